/** The way in: a token that is kept for this tab only, pasted or had for the one-time code of the address. */

import { Agent, Refused } from "./api.js";
import { byId, setText } from "./dom.js";

export class Entry {
  #base;
  #jobId;
  #main;
  #title = document.title;

  /** `main` is what the page shows once it knows who looks; `jobId` is null where it is not about one job. */
  constructor(base, main, jobId = null) {
    this.#base = base;
    this.#main = main;
    this.#jobId = jobId;
  }

  get #all() {
    return `cluster-agent.token.${this.#base}`;
  }

  get #one() {
    return `${this.#all}.${this.#jobId}`;
  }

  /** The token that this tab has, and whether a person pasted it. */
  get kept() {
    const one = this.#jobId && sessionStorage.getItem(this.#one);
    return { token: one || sessionStorage.getItem(this.#all), pasted: !one };
  }

  keep(token) {
    sessionStorage.setItem(this.#all, token);
  }

  forget() {
    if (this.#jobId) sessionStorage.removeItem(this.#one);
    sessionStorage.removeItem(this.#all);
  }

  /** Use the code of the address, if it has one; gives what went wrong. */
  async useCode() {
    const code = takeCode();
    if (!code || !this.#jobId) return "";
    try {
      const reply = await new Agent(this.#base).json("view-token", { method: "POST", body: { code } });
      if (String(reply.job_id) !== this.#jobId) return "That code opens another job.";
      sessionStorage.setItem(this.#one, reply.token);
      return "";
    } catch (error) {
      if (!(error instanceof Refused)) return "The agent does not answer. Reload the page to try again.";
      return `${error.message} A code opens the page once, within a minute.`;
    }
  }

  ask(message = "") {
    this.#main.hidden = true;
    byId("entry").hidden = false;
    document.title = this.#title;
    setText(byId("entry-message"), message);
    byId("entry-message").hidden = !message;
  }

  admit() {
    byId("entry").hidden = true;
    this.#main.hidden = false;
  }

  /** Have `use(token)` called for each token that is pasted. */
  whenPasted(use) {
    byId("token-form").addEventListener("submit", (event) => {
      event.preventDefault();
      const token = byId("token").value.trim();
      byId("token").value = "";
      use(token);
    });
  }
}

/** The code of the address, taken off it at once so that it stays in no history and no copied link. */
function takeCode() {
  const code = new URLSearchParams(location.hash.slice(1)).get("code");
  if (location.hash) history.replaceState(null, "", location.pathname + location.search);
  return code;
}
