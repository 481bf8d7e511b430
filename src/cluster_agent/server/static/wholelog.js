/** Search in the whole log, with a list of what was found; a click shows the place. */

import { byId, element, say, setText } from "./dom.js";
import { number, plural, size } from "./format.js";
import { Lines, eventOf, mayHaveType, scan } from "./scan.js";
import { plain } from "./terminal.js";

const LISTED = 500;
const AROUND = 80;

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

/** Counts the lines that have a text and hands out the first of them. */
class Search {
  #wanted;
  #found;
  #lines = new Lines();
  #count = 0;

  constructor(text, found) {
    this.#wanted = text.toLowerCase();
    this.#found = found;
  }

  get told() {
    const cut = this.#count > LISTED ? `, the first ${LISTED} are listed` : "";
    return `${plural(this.#count, "line")} found${cut}`;
  }

  take(line) {
    const output = mayHaveType(line, "output");
    if (!output && !mayHaveType(line, "display", "error")) return;
    const event = eventOf(line);
    if (!event) return;
    if (output) this.#lines.feed(event, (one) => this.#look(one));
    else for (const text of textsOf(event)) this.#look({ text, seq: event.seq, stream: event.type });
  }

  finish() {
    this.#lines.finish((one) => this.#look(one));
  }

  #look(line) {
    const at = line.text.toLowerCase().indexOf(this.#wanted);
    if (at < 0) return;
    this.#count += 1;
    if (this.#count > LISTED) return;
    const from = Math.max(0, at - AROUND);
    const excerpt = line.text.slice(from, at + this.#wanted.length + AROUND);
    this.#found({ line, excerpt, at: at - from, length: this.#wanted.length });
  }
}

/** The lines of what an event shows as text. */
function textsOf(event) {
  const told = event.type === "error" ? (event.traceback.length ? event.traceback : [`${event.ename}: ${event.evalue}`]).join("\n") : event.data["text/plain"];
  return typeof told === "string" ? plain(told).split("\n") : [];
}
