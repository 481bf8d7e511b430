/** The agent's HTTP: requests with the token, and one event stream that survives its connections. */

/** The agent said no. */
export class Refused extends Error {
  constructor(status, { code = "", message = "", nearest = null } = {}) {
    super(message || `The agent answered ${status}.`);
    this.status = status;
    this.code = code;
    this.nearest = nearest;
  }
}

/** Whether the page comes through a server that lends it the token, and lets it look only: JupyterLab's. */
export const LENT = globalThis.document?.documentElement.dataset.lent !== undefined;

const SILENCE_MS = 30_000;
const REPLY_MS = 20_000;
const BACK_OFF_MS = [100, 10_000];
/** The first events that are read: at most so many characters, judged by the last so many events. */
const FIRST_CHARS = 8_000_000;
const PROBE_EVENTS = 20;
const FATAL = new Set([400, 401, 403, 404, 410, 416]);

async function refusal(response) {
  try {
    return new Refused(response.status, (await response.json()).error);
  } catch {
    return new Refused(response.status);
  }
}

/** Wait, but not longer than until the network is back, the tab is looked at or `signal` fires. */
export function pause(ms, signal) {
  return new Promise((resolve) => {
    const events = new AbortController();
    const done = () => {
      clearTimeout(timer);
      events.abort();
      resolve();
    };
    const timer = setTimeout(done, ms);
    const options = { signal: events.signal };
    window.addEventListener("online", done, options);
    document.addEventListener("visibilitychange", () => document.hidden || done(), options);
    signal?.addEventListener("abort", done, options);
  });
}

export class Agent {
  #token;

  /** Seconds by which the agent's clock is ahead of this one. */
  skew = 0;

  /** `base` is what precedes `/v1` and `/history` in the agent's address. */
  constructor(base, token = "") {
    this.base = base;
    this.#token = token;
  }

  now() {
    return Date.now() / 1000 + this.skew;
  }

  async request(path, { method = "GET", body, signal } = {}) {
    const headers = {};
    if (this.#token) headers.Authorization = `Bearer ${this.#token}`;
    if (body !== undefined) headers["Content-Type"] = "application/json";
    const response = await fetch(`${this.base}/v1/${path}`, {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      signal,
      cache: "no-store",
      // That server knows people by a cookie; an agent has none, and is not to get those of its neighbours.
      credentials: LENT ? "same-origin" : "omit",
      redirect: "error",
    });
    const date = Date.parse(response.headers.get("Date") ?? "");
    // The header counts whole seconds: a smaller difference says nothing.
    if (Math.abs(date - Date.now()) > 2000) this.skew = (date - Date.now()) / 1000;
    if (!response.ok) throw await refusal(response);
    return response;
  }

  async json(path, options = {}) {
    const response = await this.request(path, { signal: AbortSignal.timeout(REPLY_MS), ...options });
    return response.json();
  }

  /** `json`, tried again with a growing pause until the agent answers; `trouble` hears of each failure. */
  async persist(path, trouble) {
    for (let tries = 0; ; tries += 1) {
      try {
        return await this.json(path);
      } catch (error) {
        if (error instanceof Refused && error.status < 500) throw error;
        trouble(error);
        await pause(backOff(tries));
      }
    }
  }

  /** Lists of lines, as written, as they arrive on one connection. Raises when it breaks or falls silent. */
  async *#lines(jobId, query, signal, opened = () => {}) {
    const silence = new AbortController();
    const stop = () => silence.abort();
    signal.addEventListener("abort", stop);
    let timer = setTimeout(stop, SILENCE_MS);
    try {
      const response = await this.request(`jobs/${jobId}/events?${query}`, { signal: silence.signal });
      opened(response);
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      let rest = [];
      for (;;) {
        const { value, done } = await reader.read();
        if (done) return;
        clearTimeout(timer);
        timer = setTimeout(stop, SILENCE_MS);
        const end = value.lastIndexOf("\n");
        if (end >= 0) {
          const lines = (rest.join("") + value.slice(0, end)).split("\n");
          rest = [];
          yield lines.filter(Boolean);
        }
        rest.push(value.slice(end + 1));
      }
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", stop);
      silence.abort();
    }
  }

  /** The log as it is now, from cursor `from` on: lists of lines as written. */
  read(jobId, from, signal) {
    return this.#lines(jobId, `after=${from}`, signal);
  }

  /** How many of the last events make a page: as many as `most`, fewer where they are large. */
  async tail(jobId, most) {
    const signal = AbortSignal.timeout(REPLY_MS);
    let count = 0;
    let length = 0;
    for await (const lines of this.#lines(jobId, `tail=${PROBE_EVENTS}`, signal)) {
      count += lines.length;
      for (const line of lines) length += line.length;
    }
    return count < PROBE_EVENTS ? most : Math.max(PROBE_EVENTS, Math.min(most, Math.floor((FIRST_CHARS * count) / length)));
  }

  /**
   * Lists of events of a job until it has ended, each event once, over as many connections as it takes.
   *
   * `from` is the event after which to begin, `tail` how many of the last ones to begin with; `alive` and `trouble`
   * hear how the connection fares. Raises `Refused` when trying again cannot help.
   */
  async *follow(jobId, { from = 0, logTag = "", tail = 0, signal, alive, trouble }) {
    let seen = from;
    let tag = logTag;
    for (let tries = 0; !signal.aborted; tries += 1) {
      const begin = seen ? `after=${tag}.${seen}` : tail ? `tail=${tail}` : "after=0";
      const opened = (response) => {
        tag = response.headers.get("Log-Tag") ?? tag;
        alive();
      };
      try {
        for await (const lines of this.#lines(jobId, `${begin}&follow=1`, signal, opened)) {
          tries = 0;
          const fresh = lines.map(parse).filter((event) => !event.seq || event.seq > seen);
          seen = fresh.reduce((last, event) => event.seq ?? last, seen);
          yield fresh;
          if (fresh.some((event) => event.type === "ended")) return;
        }
      } catch (error) {
        if (signal.aborted) return;
        if (error instanceof Refused && FATAL.has(error.status)) throw error;
      }
      if (signal.aborted) return;
      trouble();
      await pause(backOff(tries), signal);
    }
  }
}

/** A line of the log as an event; one that is not whole is told, not passed over. */
function parse(line) {
  try {
    return JSON.parse(line);
  } catch {
    return { type: "damaged" };
  }
}

function backOff(tries) {
  const [first, most] = BACK_OFF_MS;
  return Math.min(most, first * 2 ** Math.min(tries, 10)) * (0.5 + Math.random());
}
