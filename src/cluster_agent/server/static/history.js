/** The history page of one job: gets a token, then shows the job and follows its log. */

import { Agent, Refused } from "./api.js";
import { byId, copies, say, setText } from "./dom.js";
import { isActive, plural, size } from "./format.js";
import { LogView, SHOWN } from "./logview.js";
import { Summary, download } from "./summary.js";

/** Events that are asked for at first; what came before them can be read on demand. */
const TAIL = 2000;
const REFRESH_MS = 10_000;

const [, base, jobId] = /^(.*)\/history\/(\d{1,15})\/?$/.exec(location.pathname) ?? [null, "", ""];
const address = `${location.origin}${location.pathname}`;
const stored = { one: `cluster-agent.token.${base}.${jobId}`, all: `cluster-agent.token.${base}` };

/* ---- who looks ---- */

/** The code of the address, taken off it at once so that it stays in no history and no copied link. */
function takeCode() {
  const code = new URLSearchParams(location.hash.slice(1)).get("code");
  if (location.hash) history.replaceState(null, "", location.pathname + location.search);
  return code;
}

function forget() {
  sessionStorage.removeItem(stored.one);
  sessionStorage.removeItem(stored.all);
}

function showEntry(message = "") {
  byId("job").hidden = true;
  byId("entry").hidden = false;
  document.title = "Job history";
  const job = jobId || "42";
  setText(byId("entry-magic"), `%logs --url ${address} --open`);
  setText(byId("entry-shell"), `mlmagics open ${address}`);
  setText(byId("entry-short-magic"), `%logs gpu-box/${job} --open`);
  setText(byId("entry-short-shell"), `mlmagics open gpu-box/${job}`);
  setText(byId("entry-message"), message);
  byId("entry-message").hidden = !message;
}

async function exchange(code) {
  const reply = await new Agent(base).json("view-token", { method: "POST", body: { code } });
  if (String(reply.job_id) !== jobId) throw new Refused(403, { message: "That code opens another job." });
  sessionStorage.setItem(stored.one, reply.token);
}

async function enter() {
  const code = takeCode();
  if (!jobId) {
    showEntry("This address is not that of a job.");
    return;
  }
  let problem = "";
  if (code) {
    try {
      await exchange(code);
    } catch (error) {
      problem = error instanceof Refused ? `${error.message} A code opens the page once, within a minute.` : "The agent does not answer. Reload the page to try again.";
    }
  }
  const one = sessionStorage.getItem(stored.one);
  const token = one ?? sessionStorage.getItem(stored.all);
  if (token) await open(token, { pasted: !one });
  else showEntry(problem);
}

/** Whether a job was shown since the page was loaded: another token then begins with a fresh page. */
let shown = false;

async function open(token, { pasted }) {
  const agent = new Agent(base, token);
  try {
    const job = await agent.persist(`jobs/${jobId}`, () => waitForAgent());
    if (pasted) sessionStorage.setItem(stored.all, token);
    byId("entry").hidden = true;
    byId("job").hidden = false;
    shown = true;
    await new Page(agent, job, pasted).run();
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    if (error.status === 401) forget();
    showEntry(error.status === 401 ? "That token is not valid, or not any longer." : error.message);
  }
}

function waitForAgent() {
  if (byId("job").hidden) showEntry("The agent does not answer; trying again…");
}

/* ---- the job ---- */

class Page {
  #agent;
  #summary;
  #view;
  #pasted;
  #following = new AbortController();
  #resume = null;
  #refreshing = false;

  constructor(agent, job, pasted) {
    this.#agent = agent;
    this.#pasted = pasted;
    this.#summary = new Summary(agent);
    this.#summary.update(job);
    const fetchBlob = async (sha256) => (await agent.request(`jobs/${jobId}/blobs/${sha256}`)).blob();
    this.#view = new LogView(byId("log-box"), byId("log"), fetchBlob, () => this.#drawLog());
  }

  async run() {
    this.#wire();
    if (this.#pasted) this.#allowCancel();
    const timer = setInterval(() => this.#refresh(), REFRESH_MS);
    try {
      for (let from = "end"; ; ) from = await this.#follow(from === "start");
    } finally {
      clearInterval(timer);
      this.#summary.stop();
    }
  }

  /** Read the log, from its start or near its end, until it is to be read anew. Gives from where: `start` or `end`. */
  async #follow(reading) {
    this.#following = new AbortController();
    const { signal } = this.#following;
    this.#view.reset(reading);
    let first = true;
    const options = { tail: reading ? 0 : TAIL, signal, alive: () => this.#connected(true), trouble: () => this.#connected(false) };
    try {
      for await (const events of this.#agent.follow(jobId, options)) {
        for (const event of events) {
          if (first && event.seq) {
            this.#view.partial = event.seq > 1;
            first = false;
          }
          this.#take(event);
          if (reading && this.#view.appended >= SHOWN) await this.#pause(signal);
          if (signal.aborted) break;
        }
      }
    } catch (error) {
      // A reboot of the box cut the log, or it got another tag: what is shown may be wrong.
      if (error instanceof Refused && [410, 416].includes(error.status) && error.nearest) return reading ? "start" : "end";
      throw error;
    }
    if (signal.aborted) return signal.reason;
    await this.#ended();
    return new Promise((resolve) => signal.addEventListener("abort", () => resolve(signal.reason)));
  }

  #pause(signal) {
    byId("paused").hidden = false;
    return new Promise((resolve) => {
      this.#resume = () => {
        byId("paused").hidden = true;
        this.#resume = null;
        this.#view.mark();
        resolve();
      };
      signal.addEventListener("abort", () => this.#resume?.());
    });
  }

  #take(event) {
    const view = this.#view;
    switch (event.type) {
      case "output":
        view.output(event.stream, event.text ?? fromBase64(event.base64));
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
      case "metric":
        this.#summary.metric(event);
        break;
      case "file":
        this.#summary.file(event);
        break;
      case "preparing":
        if (event.message) view.note(event.message);
        break;
      case "dropped":
        view.note(`${size(event.count ?? 0)} of ${event.stream ?? "output"} are not in the log: it has reached its limit.`, "note warn");
        break;
      case "recovered":
        view.note("The box was restarted here; lines that were not on disk are lost.", "note warn");
        break;
      case "cancel":
        view.note(`Cancel asked${event.by ? ` by ${event.by}` : ""}${event.reason ? `: ${event.reason}` : ""}.`);
        this.#refresh();
        break;
      case "queue":
        this.#summary.update({ state: event.state ?? "queued", position: event.position, waiting_for: event.waiting_for });
        break;
      case "started":
        this.#refresh();
        break;
      case "heartbeat":
        setText(byId("connection"), event.message ?? "");
        break;
    }
  }

  /** The log is complete; the job's record may take a moment longer to say so. */
  async #ended() {
    this.#connected(true);
    setText(byId("connection"), "");
    this.#summary.update(await this.#agent.persist(`jobs/${jobId}`, () => this.#connected(false)));
    this.#drawLog();
    byId("cancel").hidden = true;
  }

  async #refresh() {
    if (this.#refreshing || document.hidden || !isActive(this.#summary.job)) return;
    this.#refreshing = true;
    try {
      this.#summary.update(await this.#agent.json(`jobs/${jobId}`));
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
    byId("from-start").hidden = view.reading;
    setText(byId("earlier-text"), view.partial || !view.dropped ? "Earlier output is not shown here." : `${plural(view.dropped, "earlier line")} ${view.dropped === 1 ? "is" : "are"} not shown here.`);
    byId("to-end").hidden = view.following && !view.reading;
    byId("log-empty").hidden = !view.isEmpty;
    setText(byId("log-empty"), active ? "No output yet." : "It wrote nothing.");
  }

  /* ---- what a person can do ---- */

  #wire() {
    const url = () => this.#summary.job.history_url || address;
    copies(byId("copy-url"), url);
    copies(byId("copy-command"), () => `%logs --url ${url()}`);
    for (const stream of ["stdout", "stderr"]) {
      const button = byId(`save-${stream}`);
      button.addEventListener("click", () => download(this.#agent, button, `jobs/${jobId}/output/${stream}`, `job-${jobId}-${stream}.log`));
    }
    byId("wrap").addEventListener("change", ({ target }) => byId("log").classList.toggle("no-wrap", !target.checked));
    byId("from-start").addEventListener("click", () => this.#following.abort("start"));
    byId("continue").addEventListener("click", () => this.#resume?.());
    byId("to-end").addEventListener("click", () => (this.#view.reading ? this.#following.abort("end") : this.#view.toEnd()));
    byId("forget").addEventListener("click", () => {
      forget();
      location.reload();
    });
  }

  /** Offer to cancel to those who may; a token that was had for a code only looks. */
  async #allowCancel() {
    let user, role;
    try {
      ({ user, role } = await this.#agent.persist("info", () => {}));
    } catch {
      return; // a token that may not even ask may not cancel
    }
    const job = this.#summary.job;
    if (!isActive(job) || job.stopping || (role !== "admin" && !(role === "user" && user === job.user))) return;
    const dialog = byId("confirm");
    const button = byId("cancel");
    button.hidden = false;
    button.addEventListener("click", () => {
      setText(byId("confirm-title"), `Cancel ${job.name ? `${job.name}, job ${jobId}` : `job ${jobId}`}?`);
      dialog.showModal();
    });
    byId("confirm-no").addEventListener("click", () => dialog.close());
    byId("confirm-yes").addEventListener("click", () => {
      dialog.close();
      this.#cancel(button);
    });
  }

  async #cancel(button) {
    button.disabled = true;
    try {
      this.#summary.update(await this.#agent.json(`jobs/${jobId}/cancel`, { method: "POST", body: { reason: "" } }));
      button.hidden = true;
    } catch (error) {
      button.disabled = false;
      setText(byId("connection"), `Not cancelled: ${error.message}`);
      say(`Not cancelled: ${error.message}`);
    }
  }
}

const fromBase64 = (text) => new TextDecoder().decode(Uint8Array.from(atob(text ?? ""), (char) => char.charCodeAt(0)));

/* ---- start ---- */

for (const button of document.querySelectorAll("[data-copy]")) copies(button, () => byId(button.dataset.copy).textContent);
byId("token-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const token = byId("token").value.trim();
  byId("token").value = "";
  if (shown) {
    forget();
    sessionStorage.setItem(stored.all, token);
    location.reload();
  } else open(token, { pasted: true });
});
// A new code in the address of a page that is open already.
window.addEventListener("hashchange", () => location.hash.includes("code=") && location.reload());
enter();
