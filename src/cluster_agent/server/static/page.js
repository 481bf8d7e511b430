/** The page of one job once it may be seen: follows the log and hands its events to what shows them. */

import { Refused } from "./api.js";
import { Charts } from "./charts.js";
import { Controls } from "./controls.js";
import { byId, setText } from "./dom.js";
import { tidy } from "./events.js";
import { Figures } from "./figures.js";
import { Finder } from "./finder.js";
import { isActive, plural, size } from "./format.js";
import { Learner } from "./learner.js";
import { Left } from "./left.js";
import { LogView, SHOWN } from "./logview.js";
import { Summary } from "./summary.js";
import { WholeLog } from "./wholelog.js";

/** Events that are asked for at first, at most; what came before them can be read on demand. */
const TAIL = 2000;
/** Events before a place that is shown because a search found it. */
const BEFORE = 40;
const REFRESH_MS = 10_000;

/** The reason, once there is one; an abort may have come while something else was waited for, and tells nobody later. */
const aborted = (signal) =>
  new Promise((resolve) => {
    if (signal.aborted) resolve(signal.reason);
    else signal.addEventListener("abort", () => resolve(signal.reason));
  });

export class Page {
  #agent;
  #jobId;
  #summary;
  #charts;
  #left;
  #view;
  #finder;
  #learner;
  #figures = new Figures();
  #following = new AbortController();
  #resume = null;
  #refreshing = false;

  /** `job` as the agent told it; `options` has the page's `address` and its `entry`. */
  constructor(agent, job, options) {
    this.#agent = agent;
    this.#jobId = job.job_id;
    this.#summary = new Summary(agent);
    this.#summary.update(job);
    this.#charts = new Charts(job);
    this.#learner = new Learner(agent, job, (event) => this.#learn(event), (how) => this.#tellMissing(how));
    byId("metrics-all").addEventListener("click", () => this.#learnAll());
    this.#left = new Left(agent, this.#jobId);
    const fetchBlob = async (sha256) => (await agent.request(`jobs/${this.#jobId}/blobs/${sha256}`)).blob();
    this.#view = new LogView(byId("log-box"), byId("log"), fetchBlob, () => this.#drawLog());
    const whole = new WholeLog(agent, this.#jobId, (hit) => this.#following.abort({ hit }));
    this.#finder = new Finder(byId("log"), this.#view, (text) => whole.search(text));
    const go = {
      start: () => this.#following.abort({ start: true }),
      end: () => (this.#view.reading ? this.#following.abort({}) : this.#view.toEnd()),
      on: () => this.#resume?.(),
    };
    new Controls(agent, { ...options, summary: this.#summary, view: this.#view, finder: this.#finder, go });
  }

  async run() {
    const timer = setInterval(() => this.#refresh(), REFRESH_MS);
    try {
      for (let wish = {}; ; ) wish = await this.#follow(wish);
    } finally {
      clearInterval(timer);
      this.#summary.stop();
    }
  }

  /** Read the log from where `wish` says until it is to be read from elsewhere; gives that wish. */
  async #follow(wish) {
    this.#following = new AbortController();
    const { signal } = this.#following;
    const reading = Boolean(wish.start || wish.hit);
    this.#view.reset(reading);
    let first = true;
    try {
      const begin = await this.#begin(wish);
      const options = { ...begin, signal, alive: () => this.#connected(true), trouble: () => this.#connected(false) };
      for await (const events of this.#agent.follow(this.#jobId, options)) {
        for (const raw of events) {
          const event = tidy(raw);
          if (first && event.seq) {
            first = false;
            this.#view.partial = event.seq > 1;
            this.#learner.begins(event.seq);
          }
          this.#learner.take(event);
          this.#show(event);
          if (reading && this.#view.appended >= SHOWN) await this.#pause(signal, wish);
          if (signal.aborted) break;
        }
        this.#reveal(wish);
      }
    } catch (error) {
      // A reboot of the box cut the log, or it got another tag: what is shown may be wrong.
      if (!(error instanceof Refused && [410, 416].includes(error.status) && error.nearest)) throw error;
      this.#learner.reset();
      this.#forgetFigures();
      this.#summary.update(await this.#agent.persist(`jobs/${this.#jobId}`, () => this.#connected(false)));
      if (signal.aborted) return signal.reason;
      return wish.hit ? {} : wish;
    }
    if (signal.aborted) return signal.reason;
    await this.#ended();
    this.#reveal(wish);
    return aborted(signal);
  }

  async #begin({ start, hit }) {
    if (start) return {};
    if (hit) return { from: Math.max(0, hit.seq - 1 - BEFORE), logTag: this.#summary.job.log_tag };
    try {
      return { tail: await this.#agent.tail(this.#jobId, TAIL) };
    } catch (error) {
      if (error instanceof Refused && error.status < 500) throw error;
      return { tail: TAIL };
    }
  }

  #forgetFigures() {
    this.#figures = new Figures();
    this.#charts.reset();
    this.#summary.progress(null);
  }

  #learnAll() {
    byId("metrics-note").hidden = true;
    this.#forgetFigures();
    this.#learner.readAll();
  }

  /** A log too long to be read without being asked to, or a connection that broke: the charts begin late. */
  #tellMissing({ missing, error }) {
    byId("metrics-note").hidden = !missing;
    setText(byId("metrics-missing"), error ? `Earlier values could not be read (${error.message}).` : "The log is long: values before its last part are not drawn.");
  }

  /** Show the place that was searched for, once it is there. */
  #reveal(wish) {
    if (!wish.hit) return;
    requestAnimationFrame(() => {
      const node = wish.hit && this.#view.nodeOf(wish.hit.seq, wish.hit.text);
      if (!node) return;
      wish.hit = null;
      this.#finder.go(node);
    });
  }

  #pause(signal, wish) {
    this.#reveal(wish);
    byId("paused").hidden = false;
    return new Promise((resolve) => {
      this.#resume = () => {
        byId("paused").hidden = true;
        this.#resume = null;
        this.#view.mark();
        resolve();
      };
      aborted(signal).then(() => this.#resume?.());
    });
  }

  #show(event) {
    const view = this.#view;
    switch (event.type) {
      case "output":
        view.output(event);
        break;
      case "display":
        view.display(event);
        break;
      case "error":
        view.error(event);
        break;
      case "clear":
        view.clear(event.wait);
        break;
      case "preparing":
        if (event.message) view.note(event.message);
        break;
      case "dropped":
        view.note(event.message || `${size(event.count)} of ${event.stream || "output"} are not in the log: it has reached its limit.`, "note warn");
        break;
      case "storage":
        view.note(event.message, "note warn");
        break;
      case "damaged":
        view.note("A line of the log could not be read.", "note warn");
        break;
      case "recovered":
        view.note("The box was restarted here; lines that were not on disk are lost.", "note warn");
        break;
      case "cancel":
        view.note(`Cancel asked${event.by ? ` by ${event.by}` : ""}${event.reason ? `: ${event.reason}` : ""}.`);
        break;
    }
  }

  /** Take from the event what is shown beside the log. */
  #learn(event) {
    switch (event.type) {
      case "output":
      case "metric":
      case "sample":
        this.#figures.take(event);
        this.#charts.show(this.#figures);
        this.#summary.progress(this.#figures.progress);
        break;
      case "file":
        this.#left.file(event);
        break;
      case "result":
        this.#left.result(event);
        break;
      case "queue":
        this.#summary.update({ state: event.state, position: event.position, waiting_for: event.waiting_for, starts_by: event.starts_by });
        break;
      case "started":
      case "cancel":
        this.#refresh();
        break;
      case "heartbeat":
        setText(byId("connection"), event.message);
        break;
    }
  }

  /** The log is complete; the job's record may take a moment longer to say so. */
  async #ended() {
    this.#connected(true);
    setText(byId("connection"), "");
    this.#summary.update(await this.#agent.persist(`jobs/${this.#jobId}`, () => this.#connected(false)));
    this.#drawLog();
    byId("cancel").hidden = true;
    if (this.#view.partial) await this.#left.load();
  }

  async #refresh() {
    if (this.#refreshing || document.hidden || !isActive(this.#summary.job)) return;
    this.#refreshing = true;
    try {
      this.#summary.update(await this.#agent.json(`jobs/${this.#jobId}`));
    } catch (error) {
      if (error instanceof Refused && error.status === 401) location.reload();
    } finally {
      this.#refreshing = false;
    }
  }

  #connected(yes) {
    this.#summary.reachable(yes);
    setText(byId("connection"), yes ? "" : "Reconnecting…");
  }

  #drawLog() {
    const view = this.#view;
    const active = isActive(this.#summary.job);
    byId("earlier").hidden = !view.dropped && !view.partial;
    byId("from-start").hidden = view.reading && !view.partial;
    setText(byId("earlier-text"), view.partial || !view.dropped ? "Earlier output is not shown here." : `${plural(view.dropped, "earlier line")} ${view.dropped === 1 ? "is" : "are"} not shown here.`);
    byId("to-end").hidden = view.following && !view.reading;
    byId("follow").checked = view.following && !view.reading;
    byId("log-empty").hidden = !view.isEmpty;
    setText(byId("log-empty"), active ? "No output yet." : "It wrote nothing.");
    this.#finder.refresh();
  }
}
