/**
 * Hands each event of a log on once and in order, however often and from where the page reads it. What lies before
 * the part that the page shows is read apart; what comes meanwhile waits.
 */

import { eventOf, mayHaveType, scan } from "./scan.js";

/** Characters that are read without being asked to. */
const MOST = 64_000_000;
const LEARNT = ["output", "metric", "sample", "file", "result"];

export class Learner {
  #agent;
  #job;
  #take;
  #told;
  #seen = 0;
  #waiting = null;
  #stop = new AbortController();

  /** `take(event)` gets the events; `told({ missing, error })` hears whether what came before could be read. */
  constructor(agent, job, take, told) {
    this.#agent = agent;
    this.#job = job;
    this.#take = take;
    this.#told = told;
  }

  /** The page begins to read at event `seq`. */
  begins(seq) {
    if (seq > this.#seen + 1 && !this.#waiting) this.#fill(this.#seen, seq, MOST);
  }

  take(event) {
    if (event.seq) {
      if (event.seq <= this.#seen) return;
      this.#seen = event.seq;
    }
    if (event.seq && this.#waiting) this.#waiting.push(event);
    else this.#take(event);
  }

  /** Forget all: another log stands in the place of this one, or it is to be read from its start after all. */
  reset() {
    this.#stop.abort();
    this.#stop = new AbortController();
    this.#waiting = null;
    this.#seen = 0;
  }

  /** Read everything that was passed over, however long it takes; whoever takes it begins anew, too. */
  readAll() {
    const until = this.#seen + 1;
    if (!this.#waiting) this.#fill(0, until, Infinity);
  }

  async #fill(from, until, most) {
    const { signal } = this.#stop;
    this.#waiting = [];
    const each = (line) => {
      const event = mayHaveType(line, ...LEARNT) && eventOf(line);
      if (event && !signal.aborted) this.#take(event);
    };
    const cursor = from ? `${this.#job.log_tag}.${from}` : "0";
    let missing = true;
    let error = null;
    try {
      missing = !(await scan(this.#agent, this.#job.job_id, { signal, from: cursor, until, most, each }));
    } catch (reason) {
      error = reason;
    }
    if (signal.aborted) return;
    this.#told({ missing, error });
    const waiting = this.#waiting;
    this.#waiting = null;
    for (const event of waiting) this.#take(event);
  }
}
