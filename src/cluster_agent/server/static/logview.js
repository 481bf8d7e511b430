/**
 * The log on the page: a ring of lines and outputs, drawn at most once per animation frame.
 *
 * The ring may run ahead of what is drawn: while the reader has scrolled up and the page is full, the page holds
 * still, and catches up when the reader goes to the end.
 */

import { Drawer } from "./entries.js";
import { Line, Terminal } from "./terminal.js";

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
  #drawer;
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

  /** `changed()` is called after each drawing; `show` draws displays, as `draw` of `display.js` does when there is none. */
  constructor(box, list, fetchBlob, changed, show) {
    this.#box = box;
    this.#list = list;
    this.#drawer = new Drawer(box, fetchBlob, show);
    this.#changed = changed;
    box.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    const resized = new ResizeObserver(() => this.#stick());
    resized.observe(list);
    resized.observe(box);
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
    this.#settle();
  }

  /** Forget what is shown but the last lines: reading goes on. */
  mark() {
    this.appended = 0;
    this.#trim(SHOWN);
  }

  output({ stream, text, seq }) {
    this.#begin();
    const pen = (this.#pens[stream] ??= { terminal: new Terminal(), entry: null });
    // A progress bar that is written again stays below what other streams wrote meanwhile.
    if (pen.entry && /^\r(?!\n)/.test(text) && this.#entries.at(-1) !== pen.entry) this.#toEnd(pen.entry);
    const line = () => {
      pen.entry ??= this.#append({ kind: "line", stream, seq, line: new Line() });
      this.#dirty.add(pen.entry);
      return pen.entry.line;
    };
    pen.terminal.feed(text, line, () => {
      pen.entry = null;
    });
    this.#grown(text.length);
  }

  display(event) {
    const weight = JSON.stringify(event.data).length + 1000;
    const shown = event.display_id ? this.#displays.get(event.display_id) : undefined;
    if (event.update && shown) {
      for (const entry of shown) {
        Object.assign(entry, { event, weight });
        this.#dirty.add(entry);
      }
    } else if (!event.update || this.partial) {
      this.#block({ kind: "display", seq: event.seq, event, weight });
    }
    this.#grown(weight);
  }

  error(event) {
    this.#block({ kind: "error", seq: event.seq, event, weight: JSON.stringify(event).length });
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
    this.#settle();
  }

  /** Stay where it is, whatever comes. */
  hold() {
    this.following = false;
    this.#settle();
  }

  /** Bring `place`, an element of the list or a range in it, into the middle of the view. */
  reveal(place) {
    this.following = false;
    const box = this.#box.getBoundingClientRect();
    const { top, left, right, height } = place.getBoundingClientRect();
    this.#box.scrollTop += top - box.top - Math.max(0, box.height - height) / 2;
    if (left < box.left || right > box.right) this.#box.scrollLeft += left - box.left - box.width / 3;
    this.#box.scrollIntoView({ block: "nearest" });
    this.#schedule();
  }

  /** The element of the first entry from event `seq` on whose text has `text`, or null. */
  nodeOf(seq, text) {
    return this.#entries.find((entry) => entry.node && entry.seq >= seq && entry.node.textContent.includes(text))?.node ?? null;
  }

  /** Draw soon; a scroll from before that is told only now says nothing any more. */
  #settle() {
    this.#top = this.#box.scrollTop;
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
    // What came before, on the page or not, is void as well.
    this.dropped = 0;
    this.partial = false;
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
      else this.#drawer.release(entry);
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
      this.#drawer.release(entry);
    }
    const fresh = document.createDocumentFragment();
    const dirty = this.#dirty;
    this.#dirty = new Set();
    for (const entry of this.#inOrder(dirty)) {
      const isNew = !entry.node || entry.moved;
      this.#drawer.draw(entry);
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

  /** Only a move upwards ends the following, and one down to the end begins it: the end itself moves whenever something grows. */
  #scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.#box;
    const moved = scrollTop - this.#top;
    this.#top = scrollTop;
    const atEnd = scrollTop + clientHeight >= scrollHeight - 24;
    const following = !this.reading && (this.following ? moved >= -1 || atEnd : moved > 0 && atEnd);
    if (following === this.following) return;
    this.following = following;
    this.#schedule();
  }

  #stick() {
    if (!this.following) return;
    this.#box.scrollTop = this.#box.scrollHeight;
    this.#top = this.#box.scrollTop;
  }
}

const weightOf = (entry) => entry.weight ?? (entry.line ? entry.line.length + entry.line.runs.length * 100 : 50);
