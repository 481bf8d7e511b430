/** What is known about the job besides its log: title, state, notices, facts, cell, spec. */

import { progressBar } from "./bar.js";
import { byId, element, setText } from "./dom.js";
import { clock, duration, exit, fullTime, isActive, isTime, plural, resources, size, word } from "./format.js";
import { oneLine } from "./terminal.js";

const WARN_S = 900;

export class Summary {
  #agent;
  #timer;
  #job;
  #progress = null;
  #lists = new Map();
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

  /** Show how far the job says it is; null: it does not say. */
  progress(progress) {
    this.#progress = progress;
    this.#drawProgress();
  }

  #draw() {
    const job = this.#job;
    const name = `Job ${job.job_id}`;
    const title = oneLine(job.name);
    setText(byId("title"), title || name);
    setText(byId("subtitle"), title ? name : "");
    document.title = `${word(job)} · ${title ? `${title}, ${name}` : name}`;
    this.#drawState(job);
    this.#drawNotices(job);
    this.#drawProgress();
    const now = this.#agent.now();
    for (const row of facts(job, now)) this.#row(byId("facts"), ...row);
    for (const row of spec(job)) this.#row(byId("spec-list"), ...row);
    if (typeof job.source === "string") {
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

  #drawProgress() {
    const running = this.#job && isActive(this.#job) && this.#job.state !== "queued";
    progressBar(byId("progress"), running ? this.#progress : null);
  }

  #drawNotices(job) {
    const now = this.#agent.now();
    const notes = [];
    if (job.state === "queued" && job.position) {
      const why = job.waiting_for ? `: ${job.waiting_for}` : "";
      notes.push(`${job.position === 1 ? "Next in the queue" : `Place ${job.position} in the queue`}${why}.`);
      if (isTime(job.starts_by)) notes.push(`Starts by ${clock(job.starts_by, now)}.`);
    }
    if (job.reason) notes.push(job.reason);
    if (job.complete === false) notes.push("Part of the log was lost.");
    setText(byId("reason"), oneLine(notes.join(" ")));
    byId("reason").hidden = !notes.length;
    byId("reason").dataset.kind = ["failed", "timed_out", "lost"].includes(job.state) ? "bad" : "";
    const left = isTime(job.deadline_at) && isActive(job) ? job.deadline_at - now : Infinity;
    byId("limit").hidden = left > WARN_S;
    if (left <= WARN_S) {
      const minutes = Math.max(1, Math.ceil(left / 60));
      const ref = job.cluster ? ` ${oneLine(job.cluster)}/${job.job_id} 2h` : "";
      setText(byId("limit"), `Its time limit ends it in ${minutes} min. In a notebook, %extend${ref} gives it more.`);
    }
  }

  /** Show a row of `list`, kept in place and untouched while it stays the same. */
  #row(list, key, term, value) {
    const shown = [value ?? []].flat().map((part) => (typeof part === "string" ? oneLine(part) : part));
    const text = shown.map((part) => part.textContent ?? part).join("");
    const id = `${list.id}.${key}`;
    let row = this.#lists.get(id);
    if (!row) {
      row = element("div", {}, element("dt"), element("dd"));
      this.#lists.set(id, row);
      list.append(row);
    }
    row.hidden = !text;
    setText(row.firstChild, term);
    if (row.lastChild.textContent !== text) row.lastChild.replaceChildren(...shown);
  }
}

function time(at, now) {
  return isTime(at) ? element("time", { dateTime: new Date(at * 1000).toISOString(), title: fullTime(at) }, clock(at, now)) : null;
}

/** Rows of what happened: key, term, value. */
function facts(job, now) {
  const end = job.ended_at ?? now;
  const ran = job.started_at ? duration(job.seconds ?? Math.max(0, end - job.started_at)) : null;
  const waited = duration(Math.max(0, (job.started_at ?? end) - job.submitted_at));
  return [
    ["user", "User", job.user],
    ["submitted", "Submitted", time(job.submitted_at, now)],
    ["waited", isActive(job) && !job.started_at ? "Waiting for" : "Waited", waited],
    ["started", "Started", time(job.started_at, now)],
    ["ended", "Ended", time(job.ended_at, now)],
    ["ran", isActive(job) ? "Running for" : "Ran", ran],
    ["resources", "Resources", resources(job)],
    ["limit", "Time limit", limit(job, now)],
    ["exit", "Exit", exit(job)],
    ["memory", "Peak memory", job.peak_memory_bytes ? size(job.peak_memory_bytes) : null],
    ["repeats", "Repeats", job.retry_of ? element("a", { href: String(job.retry_of) }, `Job ${job.retry_of}`) : null],
  ];
}

function limit(job, now) {
  if (!job.timeout_s) return null;
  const told = duration(job.timeout_s);
  if (!isTime(job.deadline_at) || !isActive(job)) return told;
  return [told, ", until ", time(job.deadline_at, now), `, ${duration(Math.max(0, job.deadline_at - now))} left`];
}

/** Rows of what was asked for. */
function spec(job) {
  return [
    ["project", "Project", job.project],
    ["gpus", "GPUs", String(job.gpus ?? 0)],
    ["cpus", "CPUs", String(job.cpus ?? 1)],
    ["memory", "Memory", job.memory_bytes ? size(job.memory_bytes) : null],
    ["timeout", "Time limit", job.timeout_s ? duration(job.timeout_s) : null],
    ["grace", "Grace", job.grace_s ? duration(job.grace_s) : null],
    ["priority", "Priority", job.priority],
    ["runtime", "Runtime", job.runtime],
    ["packages", "Packages", job.packages?.length ? job.packages.join(", ") : null],
    ["environment", "Environment", job.environment === job.runtime ? null : job.environment],
    ["params", "Constants", Object.entries(job.params ?? {}).map(([name, text]) => `${name} = ${text}`).join(", ")],
    ["variables", "Variables", job.env_names?.length ? `${job.env_names.join(", ")} (values are not shown)` : null],
    ["fetch", "Results to keep", job.fetch?.length ? job.fetch.join(", ") : null],
    ["cluster", "Submitted to", job.cluster],
    ["notebook", "From the notebook", job.notebook],
    ["agent", "Agent", job.agent_id],
  ];
}
