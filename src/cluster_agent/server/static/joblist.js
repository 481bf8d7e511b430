/** The table of jobs: those that run, the queue in its order, those that have ended. Rows stay in place while they last. */

import { byId, element, setText } from "./dom.js";
import { clock, duration, isActive, isTime, plural, resources, word } from "./format.js";
import { oneLine } from "./terminal.js";

const GROUPS = [
  ["running", "Running", (a, b) => b.started_at - a.started_at || b.job_id - a.job_id],
  ["queue", "Queue", (a, b) => (a.position ?? Infinity) - (b.position ?? Infinity) || a.job_id - b.job_id],
  ["ended", "Ended", (a, b) => b.ended_at - a.ended_at || b.job_id - a.job_id],
];

const groupOf = (job) => (job.state === "queued" ? "queue" : isActive(job) ? "running" : "ended");

export class JobList {
  #base;
  #rows = new Map();
  #bodies = new Map();

  constructor(base) {
    this.#base = base;
    for (const [key, title] of GROUPS) {
      const head = element("tr", { className: "group" }, element("th", { colSpan: 6, scope: "rowgroup" }, title, " ", element("span", { className: "aside" })));
      const body = element("tbody", { hidden: true }, head);
      this.#bodies.set(key, body);
      byId("list").append(body);
    }
  }

  /** Show those of `jobs` that fit `text` and `which`. */
  draw(jobs, { now, text, which }) {
    const shown = jobs.filter((job) => isOfKind(job, which) && hasText(job, text.trim().toLowerCase()));
    const focused = byId("list").contains(document.activeElement) ? document.activeElement : null;
    const kept = new Set(shown.map((job) => job.job_id));
    for (const [id, row] of this.#rows) {
      if (kept.has(id)) continue;
      row.node.remove();
      this.#rows.delete(id);
    }
    for (const [key, , order] of GROUPS) this.#drawGroup(key, shown.filter((job) => groupOf(job) === key).sort(order), now);
    // A row that was moved has lost it.
    if (focused?.isConnected && document.activeElement !== focused) focused.focus({ preventScroll: true });
    byId("empty").hidden = shown.length > 0;
    setText(byId("empty"), jobs.length ? "No job fits the filter." : "No jobs yet. The first line of a cell sends it here, for example %%gpu-box.");
    setText(byId("shown"), shown.length === jobs.length ? "" : `${shown.length} of ${plural(jobs.length, "job")}`);
  }

  /** What changes by itself. */
  tick(now) {
    for (const row of this.#rows.values()) if (isActive(row.job)) setText(row.time, time(row.job, now));
  }

  /** Move the focus to the next (1) job or the one before (-1). */
  focus(by) {
    const links = [...byId("list").querySelectorAll("tbody:not([hidden]) td a, tbody:not([hidden]) th a")];
    const at = links.indexOf(document.activeElement);
    const next = at < 0 ? (by > 0 ? 0 : links.length - 1) : Math.min(links.length - 1, Math.max(0, at + by));
    links[next]?.focus();
  }

  #drawGroup(key, jobs, now) {
    const body = this.#bodies.get(key);
    body.hidden = !jobs.length;
    setText(body.querySelector(".aside"), String(jobs.length));
    let before = body.firstChild;
    for (const job of jobs) {
      const row = this.#row(job, now);
      if (before.nextSibling !== row.node) before.after(row.node);
      before = row.node;
    }
  }

  #row(job, now) {
    let row = this.#rows.get(job.job_id);
    if (!row) {
      row = makeRow(job, this.#base);
      this.#rows.set(job.job_id, row);
    }
    row.job = job;
    row.node.dataset.state = job.stopping && isActive(job) ? "stopping" : job.state;
    setText(row.state, word(job));
    setText(row.resources, resources(job));
    setText(row.time, time(job, now));
    setText(row.note, note(job, now));
    return row;
  }
}

function makeRow(job, base) {
  const link = element("a", { href: `${base}/history/${job.job_id}` }, `${job.job_id}${job.name ? ` ${oneLine(job.name)}` : ""}`);
  const state = element("span", { className: "state" });
  const [given, took, told] = ["Resources", "Time", "Note"].map(() => element("td"));
  told.className = "told";
  const node = element("tr", {}, element("th", { scope: "row" }, link), element("td", {}, state), element("td", {}, oneLine(job.user)), given, took, told);
  return { node, state, resources: given, time: took, note: told, job };
}

function time(job, now) {
  if (job.state === "queued") return `waits ${duration(Math.max(0, now - job.submitted_at))}`;
  if (isActive(job)) return job.started_at ? `runs ${duration(Math.max(0, now - job.started_at))}` : "";
  return job.started_at ? `ran ${duration(job.seconds ?? Math.max(0, job.ended_at - job.started_at))}` : "never ran";
}

function note(job, now) {
  const parts = [];
  if (job.state === "queued") {
    if (job.position) parts.push(`place ${job.position}`);
    if (job.waiting_for) parts.push(oneLine(job.waiting_for));
    if (isTime(job.starts_by)) parts.push(`starts by ${clock(job.starts_by, now)}`);
  } else if (isActive(job)) {
    if (isTime(job.deadline_at)) parts.push(`until ${clock(job.deadline_at, now)} at most`);
  } else {
    if (isTime(job.ended_at)) parts.push(clock(job.ended_at, now));
    if (job.reason) parts.push(oneLine(job.reason).slice(0, 200));
  }
  if (["low", "high"].includes(job.priority) && isActive(job)) parts.push(`${job.priority} priority`);
  return parts.join("; ");
}

function isOfKind(job, which) {
  return !which || (which === "active" ? isActive(job) : which === "running" ? isActive(job) && job.state !== "queued" : job.state === which);
}

function hasText(job, text) {
  return !text || [`${job.job_id}`, job.name, job.user, job.project, job.reason, job.waiting_for].some((part) => part?.toLowerCase().includes(text));
}
