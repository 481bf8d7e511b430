/** Keeps the page of an agent up to date, while somebody looks, and takes what a reader wants to see of it. */

import { Refused, pause } from "./api.js";
import { drawBox } from "./box.js";
import { byId, setText } from "./dom.js";
import { clock } from "./format.js";
import { JobList } from "./joblist.js";
import { useKeys } from "./keys.js";

const EVERY_MS = 3000;
/** At most this share of the time is spent on asking. */
const SHARE = 0.1;
const ACTIVE = 1000;
const DONE = 50;

export class Board {
  #agent;
  #info;
  #list;
  /** Jobs that have ended, by number: those do not change any more. */
  #done = new Map();
  #active = [];
  /** Cursor behind the oldest job that was asked for; null when there is none. */
  #older = null;
  #newest = 0;
  #asOf = 0;
  #failed = false;
  #wake = new AbortController();

  constructor(agent, info, base) {
    this.#agent = agent;
    this.#info = info;
    this.#list = new JobList(base);
    byId("whose-label").hidden = info.role === "user";
    this.#wire();
  }

  /** Ask again and again; raises `Refused` when the token is not good any more. */
  async run() {
    setInterval(() => this.#tick(), 1000);
    for (;;) {
      const begun = performance.now();
      if (!document.hidden || !this.#asOf) await this.#refresh();
      const took = performance.now() - begun;
      this.#wake = new AbortController();
      await pause(Math.max(EVERY_MS, took / SHARE), this.#wake.signal);
    }
  }

  async #refresh() {
    try {
      this.#info = await this.#agent.json("info");
      const mine = byId("mine").checked;
      const [active, done] = await Promise.all([this.#jobs(`state=active&limit=${ACTIVE}`), this.#jobs(`state=done&limit=${DONE}`)]);
      if (mine !== byId("mine").checked) return; // asked for something else meanwhile
      this.#active = active.jobs;
      this.#takeDone(done);
      this.#asOf = this.#agent.now();
      this.#failed = false;
    } catch (error) {
      if (error instanceof Refused && error.status < 500) throw error;
      this.#failed = true;
    }
    this.#draw();
  }

  #jobs(query) {
    const whose = byId("mine").checked ? "&user=me" : "";
    return this.#agent.json(`jobs?${query}${whose}`);
  }

  #takeDone({ jobs, next }) {
    // After a long time away there may be a gap between what is known and this page: begin anew.
    if (this.#done.size && jobs.length === DONE && jobs.at(-1).job_id > this.#newest) this.#done.clear();
    if (!this.#done.size) this.#older = next ?? null;
    for (const job of jobs) this.#done.set(job.job_id, job);
    this.#newest = Math.max(this.#newest, ...jobs.map((job) => job.job_id));
  }

  async #showOlder() {
    const button = byId("older");
    button.disabled = true;
    try {
      const { jobs, next } = await this.#jobs(`state=done&limit=${DONE}&after=${this.#older}`);
      for (const job of jobs) this.#done.set(job.job_id, job);
      this.#older = next ?? null;
    } catch (error) {
      button.title = `Not read: ${error.message}`;
    } finally {
      button.disabled = false;
    }
    this.#draw();
  }

  #draw() {
    const now = this.#agent.now();
    drawBox(this.#info, now);
    const ended = new Set(this.#done.keys());
    const jobs = [...this.#active.filter((job) => !ended.has(job.job_id)), ...this.#done.values()];
    const hidden = this.#info.queued + this.#info.running - this.#active.length;
    this.#list.draw(jobs, { now, text: byId("filter").value, which: byId("which").value });
    byId("older").hidden = this.#older === null || !["", "succeeded", "failed", "cancelled", "timed_out", "lost"].includes(byId("which").value);
    const own = this.#info.role === "user" || byId("mine").checked;
    byId("others").hidden = hidden <= 0;
    setText(byId("others"), own ? `${hidden} more that run or wait here are not yours.` : `${hidden} more that run or wait are not listed.`);
    document.title = `${this.#info.running} running, ${this.#info.queued} queued · ${location.host}`;
    this.#tick();
  }

  #tick() {
    const now = this.#agent.now();
    const late = now - this.#asOf > (3 * EVERY_MS) / 1000 + 1;
    setText(byId("as-of"), this.#failed || late ? `as of ${clock(this.#asOf, now)}` : "");
    byId("trouble").hidden = !this.#failed;
    setText(byId("trouble"), "The agent does not answer; trying again. Jobs that run go on.");
    this.#list.tick(now);
  }

  #wire() {
    const now = () => this.#wake.abort();
    byId("filter").addEventListener("input", () => this.#draw());
    byId("filter").addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      byId("filter").value = "";
      this.#draw();
      this.#list.focus(1);
    });
    byId("which").addEventListener("change", () => this.#draw());
    byId("mine").addEventListener("change", () => {
      this.#done.clear();
      now();
    });
    byId("older").addEventListener("click", () => this.#showOlder());
    useKeys([
      ["/", "filter by name, user or number", () => byId("filter").focus()],
      ["j", "next job", () => this.#list.focus(1)],
      ["k", "job before", () => this.#list.focus(-1)],
      ["Enter", "open the job"],
      ["m", "mine only, or everybody's", () => byId("whose-label").hidden || byId("mine").click()],
      ["a", "active jobs only, or all", () => this.#toggleActive()],
      ["r", "ask the agent now", now],
      ["?", "this list"],
      ["Esc", "end the filter; close this list"],
    ]);
  }

  #toggleActive() {
    byId("which").value = byId("which").value === "active" ? "" : "active";
    this.#draw();
  }
}
