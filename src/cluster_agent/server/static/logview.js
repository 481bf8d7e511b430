/**
 * The log on the page: a ring of lines and outputs, drawn at most once per animation frame.
 *
 * The ring may run ahead of what is drawn: while the reader has scrolled up and the page is full, the page holds
 * still, and catches up when the reader goes to the end.
 */

import { draw } from "./display.js";
import { element } from "./dom.js";
import { Line, Terminal, drawRuns, drawText } from "./terminal.js";

/** Lines and outputs on the page. */
export const SHOWN = 5000;
/** When reading from the start nothing may be lost between two pauses. */
const READING = 50_000;
/** Characters in the ring, roughly; displays count with their data. */
const MAX_WEIGHT = 32_000_000;
const WEIGH_EVERY = 4_000_000;

export class LogView {
  #box;
  #list;
  #fetchBlob;
  #changed;
  #entries = [];
  #dirty = new Set();
  #removed = [];
  #pens = {};
  #displays = new Map();
  #clearNext = false;
  #unweighed = 0;
  #frame = 0;
  #top = 0;

  /** Lines that were shown, or ran past, and are not on the page any more. */
  dropped = 0;
  /** Lines and outputs since `mark()`. */
  appended = 0;
  following = true;
  reading = false;
  /** The log was not read from its start, so that what an update replaces may be missing. */
  partial = false;

  /** `changed()` is called after each drawing. */
  constructor(box, list, fetchBlob, changed) {
    this.#box = box;
    this.#list = list;
    this.#fetchBlob = fetchBlob;
    this.#changed = changed;
    box.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    const resized = new ResizeObserver(() => this.#stick());
    resized.observe(list);
    resized.observe(box);
  }

  get waiting() {
    return this.#entries.some((entry) => !entry.node);
  }

  get isEmpty() {
    return this.#entries.length === 0;
  }

  reset(reading = false) {
    this.#remove(this.#entries.splice(0));
    this.#pens = {};
    this.#clearNext = false;
    this.dropped = this.appended = 0;
    this.reading = reading;
    this.partial = false;
    this.following = !reading;
    this.#schedule();
  }

  /** Forget what is shown but the last lines: reading goes on. */
  mark() {
    this.appended = 0;
    this.#trim(SHOWN);
  }

  output(stream, text) {
    this.#begin();
    const pen = (this.#pens[stream] ??= { terminal: new Terminal(), entry: null });
    // A progress bar that is written again stays below what other streams wrote meanwhile.
    if (pen.entry && /^\r(?!\n)/.test(text) && this.#entries.at(-1) !== pen.entry) this.#toEnd(pen.entry);
    const line = () => {
      pen.entry ??= this.#append({ kind: "line", stream, line: new Line() });
      this.#dirty.add(pen.entry);
      return pen.entry.line;
    };
    pen.terminal.feed(text, line, () => {
      pen.entry = null;
    });
    this.#grown(text.length);
  }

  display(event) {
    const weight = JSON.stringify(event.data ?? {}).length + 1000;
    const shown = event.display_id ? this.#displays.get(event.display_id) : undefined;
    if (event.update && shown) {
      for (const entry of shown) {
        Object.assign(entry, { event, weight });
        this.#dirty.add(entry);
      }
    } else if (!event.update || this.partial) {
      this.#block({ kind: "display", event, weight });
    }
    this.#grown(weight);
  }

  error(event) {
    this.#block({ kind: "error", event, weight: JSON.stringify(event).length });
    this.#grown(1000);
  }

  note(text, kind = "note") {
    this.#pens = {};
    this.#append({ kind, text });
    this.#grown(text.length);
  }

  clear(wait) {
    if (wait) this.#clearNext = true;
    else this.#clearNow();
  }

  toEnd() {
    this.following = true;
    this.#schedule();
  }

  #begin() {
    if (this.#clearNext) this.#clearNow();
  }

  #clearNow() {
    this.#clearNext = false;
    this.#pens = {};
    this.#remove(this.#entries.filter((entry) => entry.kind !== "note"));
    this.#entries = this.#entries.filter((entry) => entry.kind === "note");
    this.#schedule();
  }

  #block(entry) {
    this.#begin();
    this.#pens = {};
    this.#append(entry);
    if (entry.event.display_id) {
      const same = this.#displays.get(entry.event.display_id) ?? [];
      this.#displays.set(entry.event.display_id, [...same, entry]);
    }
  }

  #append(entry) {
    this.#entries.push(entry);
    this.#dirty.add(entry);
    this.appended += 1;
    return entry;
  }

  #toEnd(entry) {
    this.#entries.splice(this.#entries.lastIndexOf(entry), 1);
    this.#entries.push(entry);
    entry.moved = true;
  }

  #grown(weight) {
    this.#unweighed += weight;
    this.#trim(this.reading ? READING : SHOWN);
    if (this.#unweighed > WEIGH_EVERY) this.#weigh();
    this.#schedule();
  }

  #trim(most) {
    if (this.#entries.length > most) this.#drop(this.#entries.length - most);
  }

  #weigh() {
    this.#unweighed = 0;
    let weight = 0;
    const from = this.#entries.findLastIndex((entry) => (weight += weightOf(entry)) > MAX_WEIGHT);
    if (from > 0) this.#drop(from);
  }

  #drop(count) {
    const gone = this.#entries.splice(0, count);
    this.dropped += gone.length;
    this.#remove(gone);
  }

  #remove(entries) {
    for (const entry of entries) {
      this.#dirty.delete(entry);
      const shown = this.#displays.get(entry.event?.display_id)?.filter((other) => other !== entry);
      if (shown?.length) this.#displays.set(entry.event.display_id, shown);
      else if (shown) this.#displays.delete(entry.event.display_id);
      for (const pen of Object.values(this.#pens)) if (pen.entry === entry) pen.entry = null;
      if (entry.node) this.#removed.push(entry);
      else release(entry);
    }
  }

  #schedule() {
    this.#frame ||= requestAnimationFrame(() => this.#render());
  }

  #render() {
    this.#frame = 0;
    const still = !this.following && !this.reading && this.#list.childElementCount >= SHOWN;
    if (!still) this.#catchUp();
    this.#stick();
    this.#changed();
  }

  #catchUp() {
    for (const entry of this.#removed.splice(0)) {
      entry.node.remove();
      release(entry);
    }
    const fresh = document.createDocumentFragment();
    const dirty = this.#dirty;
    this.#dirty = new Set();
    for (const entry of this.#inOrder(dirty)) {
      const isNew = !entry.node || entry.moved;
      this.#draw(entry);
      if (isNew) fresh.append(entry.node);
      entry.moved = false;
    }
    this.#list.append(fresh);
  }

  /** New and moved entries are the last of the ring, in its order; the dirty set may hold them in another. */
  #inOrder(dirty) {
    const rest = [...dirty].filter((entry) => entry.node && !entry.moved);
    const last = this.#entries.findLastIndex((entry) => entry.node && !entry.moved);
    return [...rest, ...this.#entries.slice(last + 1)];
  }

  #draw(entry) {
    if (entry.kind === "line") this.#drawLine(entry);
    else if (entry.kind === "display") this.#drawDisplay(entry);
    else entry.node ??= entry.kind === "error" ? drawError(entry.event) : element("p", { className: entry.kind }, entry.text);
  }

  #drawLine(entry) {
    entry.node ??= element("div", { className: `line ${entry.stream}` });
    drawRuns(entry.node, entry.line.runs);
    if (entry.line.cut) entry.node.append(element("span", { className: "aside" }, " … the line goes on; the download has all of it"));
  }

  async #drawDisplay(entry) {
    const { event } = entry;
    entry.node ??= element("div", { className: "display" });
    const urls = [];
    let drawn;
    try {
      drawn = await draw(event, this.#fetchBlob, (url) => urls.push(url));
    } catch (error) {
      drawn = element("p", { className: "aside" }, `An output could not be shown: ${error.message}`);
    }
    if (entry.event !== event || entry.gone) {
      urls.forEach((url) => URL.revokeObjectURL(url));
      return;
    }
    release(entry);
    entry.gone = false;
    entry.urls = urls;
    // Its data is on the page now; the ring need not keep it too.
    entry.event = { display_id: event.display_id };
    entry.node.replaceChildren(drawn);
  }

  /** Only a move upwards ends the following: the end itself moves down whenever something grows. */
  #scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.#box;
    const upwards = scrollTop < this.#top - 1;
    this.#top = scrollTop;
    const atEnd = scrollTop + clientHeight >= scrollHeight - 24;
    const following = !this.reading && (atEnd || (this.following && !upwards));
    if (following === this.following) return;
    this.following = following;
    this.#schedule();
  }

  #stick() {
    if (this.following) this.#box.scrollTop = this.#box.scrollHeight;
  }
}

const weightOf = (entry) => entry.weight ?? (entry.line?.length ?? 0) + 50;

function release(entry) {
  entry.gone = true;
  for (const url of entry.urls ?? []) URL.revokeObjectURL(url);
  entry.urls = [];
}

function drawError(event) {
  const told = (event.traceback ?? []).join("\n");
  const box = element("div", { className: "error" });
  drawText(box, told || `${event.ename}: ${event.evalue}`);
  return box;
}
