/** Search in the whole log, with a list of what was found; a click shows the place. */

import { byId, element, say, setText } from "./dom.js";
import { number, size } from "./format.js";
import { scan } from "./scan.js";
import { Search } from "./search.js";

export class WholeLog {
  #agent;
  #jobId;
  #show;
  #running = null;

  /** `show({ seq, text })` brings a place of the log into view. */
  constructor(agent, jobId, show) {
    this.#agent = agent;
    this.#jobId = jobId;
    this.#show = show;
    byId("hits-close").addEventListener("click", () => this.close());
    byId("hits").addEventListener("keydown", (event) => event.key === "Escape" && this.close());
  }

  close() {
    this.#running?.abort();
    byId("hits").hidden = true;
    byId("find").focus();
  }

  async search(text) {
    this.#running?.abort();
    const running = (this.#running = new AbortController());
    byId("hits-list").replaceChildren();
    byId("hits").hidden = false;
    const search = new Search(text, (hit) => this.#list(hit));
    try {
      await scan(this.#agent, this.#jobId, {
        signal: running.signal,
        each: (line) => search.take(line),
        told: (length) => setText(byId("hits-state"), `Searching, ${size(length)} read: ${search.told}`),
      });
    } catch (error) {
      if (!running.signal.aborted) setText(byId("hits-state"), `The search ended early (${error.message}): ${search.told}`);
      return;
    }
    search.finish();
    setText(byId("hits-state"), `In the whole log: ${search.told}`);
    say(byId("hits-state").textContent);
  }

  #list({ line, excerpt, at, length }) {
    const place = element("span", { className: "place" }, line.number ? `${line.stream} ${number(line.number)}` : line.stream);
    const shown = element("span", {}, excerpt.slice(0, at), element("mark", {}, excerpt.slice(at, at + length)), excerpt.slice(at + length));
    const button = element("button", { type: "button" }, place, shown);
    button.addEventListener("click", () => this.#show({ seq: line.seq, text: excerpt }));
    byId("hits-list").append(element("li", {}, button));
  }
}
