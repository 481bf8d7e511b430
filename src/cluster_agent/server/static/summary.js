/** What is known about the job besides its log: title, state, facts, cell, files. */

import { byId, element, save, setText } from "./dom.js";
import { clock, duration, exit, fullTime, isActive, plural, resources, size, word } from "./format.js";

const MAX_FILES = 200;
const WARN_S = 900;

export class Summary {
  #agent;
  #timer;
  #job;
  #files = new Map();
  #metrics = "";
  #facts = new Map();
  /** Unix seconds of the last word from the agent while it cannot be reached, else null. */
  #cutOffAt = null;

  constructor(agent) {
    this.#agent = agent;
    this.#timer = setInterval(() => this.#job && isActive(this.#job) && this.#draw(), 1000);
  }

  stop() {
    clearInterval(this.#timer);
  }

  get job() {
    return this.#job;
  }

  /** Take over a job as the agent tells it, or part of one. */
  update(fields) {
    this.#job = { ...this.#job, ...fields };
    this.#draw();
  }

  reachable(yes) {
    this.#cutOffAt = yes ? null : (this.#cutOffAt ?? this.#agent.now());
    if (this.#job) this.#draw();
  }

  metric({ values = {}, step }) {
    const shown = Object.entries(values).map(([name, value]) => `${name} ${typeof value === "number" ? Number(value.toPrecision(5)) : value}`);
    if (step !== undefined && step !== null) shown.unshift(`step ${step}`);
    this.#metrics = shown.slice(0, 12).join(", ");
  }

  file({ path, size: bytes }) {
    if (this.#files.has(path)) return;
    this.#files.set(path, bytes);
    byId("files").hidden = false;
    setText(byId("files-count"), plural(this.#files.size, "file"));
    if (this.#files.size > MAX_FILES) return;
    const button = element("button", { type: "button", className: "link" }, path);
    button.addEventListener("click", () => this.#fetchFile(button, path));
    byId("file-list").append(element("li", {}, button, ` ${size(bytes ?? 0)}`));
  }

  async #fetchFile(button, path) {
    const parts = path.split("/").map(encodeURIComponent).join("/");
    await download(this.#agent, button, `jobs/${this.#job.job_id}/files/${parts}`, path.split("/").at(-1));
  }

  #draw() {
    const job = this.#job;
    const name = `Job ${job.job_id}`;
    setText(byId("title"), job.name || name);
    setText(byId("subtitle"), job.name ? name : "");
    document.title = `${word(job)} · ${job.name ? `${job.name}, ${name}` : name}`;
    this.#drawState(job);
    this.#drawNotices(job);
    for (const row of this.#rows(job)) this.#fact(...row);
    if (job.source !== undefined && job.source !== null) {
      byId("cell").hidden = false;
      setText(byId("source"), job.source);
      setText(byId("cell-size"), plural(job.source.replace(/\n$/, "").split("\n").length, "line"));
    }
  }

  #drawState(job) {
    byId("state").dataset.state = job.stopping && isActive(job) ? "stopping" : job.state;
    setText(byId("state-word"), word(job));
    const cutOff = this.#cutOffAt !== null && isActive(job);
    setText(byId("state-more"), cutOff ? `as of ${clock(this.#cutOffAt, this.#agent.now())}` : "");
  }

  #drawNotices(job) {
    const notes = [];
    if (job.state === "queued" && job.position) {
      const why = job.waiting_for ? `: ${job.waiting_for}` : "";
      notes.push(`${job.position === 1 ? "Next in the queue" : `Place ${job.position} in the queue`}${why}.`);
    }
    if (job.reason) notes.push(job.reason);
    if (job.complete === false) notes.push("Part of the log was lost.");
    setText(byId("reason"), notes.join(" "));
    byId("reason").hidden = !notes.length;
    byId("reason").dataset.kind = ["failed", "timed_out", "lost"].includes(job.state) ? "bad" : "";
    const left = job.deadline_at && isActive(job) ? job.deadline_at - this.#agent.now() : Infinity;
    byId("limit").hidden = left > WARN_S;
    if (left <= WARN_S) {
      const minutes = Math.max(1, Math.ceil(left / 60));
      setText(byId("limit"), `Its time limit ends it in ${minutes} min. In a notebook, %extend gives it more.`);
    }
  }

  #rows(job) {
    const now = this.#agent.now();
    const time = (at) => (at ? element("time", { dateTime: new Date(at * 1000).toISOString(), title: fullTime(at) }, clock(at, now)) : null);
    const end = job.ended_at ?? now;
    const ran = job.started_at ? duration(job.seconds ?? Math.max(0, end - job.started_at)) : null;
    const waited = duration(Math.max(0, (job.started_at ?? end) - job.submitted_at));
    const limit = job.timeout_s ? duration(job.timeout_s) : null;
    const until = job.deadline_at && isActive(job) ? [", until ", time(job.deadline_at)] : [];
    return [
      ["user", "User", job.user],
      ["project", "Project", job.project],
      ["submitted", "Submitted", time(job.submitted_at)],
      ["waited", isActive(job) && !job.started_at ? "Waiting for" : "Waited", waited],
      ["started", "Started", time(job.started_at)],
      ["ended", "Ended", time(job.ended_at)],
      ["ran", isActive(job) ? "Running for" : "Ran", ran],
      ["resources", "Resources", resources(job)],
      ["limit", "Time limit", limit && [limit, ...until]],
      ["priority", "Priority", job.priority === "low" ? "low" : null],
      ["exit", "Exit", exit(job)],
      ["memory", "Peak memory", job.peak_memory_bytes ? size(job.peak_memory_bytes) : null],
      ["metrics", "Metrics", this.#metrics || null],
      ["variables", "Variables", job.env_names?.length ? `${job.env_names.join(", ")} (values are not shown)` : null],
      ["repeats", "Repeats", job.retry_of ? element("a", { href: String(job.retry_of) }, `Job ${job.retry_of}`) : null],
    ];
  }

  /** Show a fact, kept in place and untouched while it stays the same. */
  #fact(key, term, value) {
    const shown = [value ?? []].flat();
    const text = shown.map((part) => part.textContent ?? part).join("");
    let row = this.#facts.get(key);
    if (!row) {
      row = element("div", {}, element("dt"), element("dd"));
      this.#facts.set(key, row);
      byId("facts").append(row);
    }
    row.hidden = !text;
    setText(row.firstChild, term);
    if (row.lastChild.textContent !== text) row.lastChild.replaceChildren(...shown);
  }
}

/** Have the browser save what `path` gives; the button tells how it goes. */
export async function download(agent, button, path, name) {
  const label = button.textContent;
  button.disabled = true;
  button.textContent = "Downloading…";
  try {
    const response = await agent.request(path);
    save(await response.blob(), name);
    button.textContent = label;
  } catch (error) {
    button.textContent = `${label}: not downloaded`;
    button.title = error.message;
  } finally {
    button.disabled = false;
  }
}
