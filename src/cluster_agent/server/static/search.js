/** What has a text in the whole log: counted, and the first of it handed out. */

import { plural } from "./format.js";
import { Lines, eventOf, mayHaveType } from "./scan.js";
import { plain } from "./terminal.js";

const LISTED = 500;
const AROUND = 80;

export class Search {
  #wanted;
  #found;
  #lines = new Lines();
  #count = 0;

  /** Calls `found({ line, excerpt, at, length })` for lines that have `text`. */
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
