/** Search in the lines that are on the page: all are marked, one is the current. */

import { byId, say, setText } from "./dom.js";
import { number, plural } from "./format.js";

/** More are counted but not marked. */
const MARKED = 2000;
const PAUSE_MS = 200;

export class Finder {
  #list;
  #view;
  #whole;
  #field = byId("find");
  #found = [];
  /** Which is the current one, kept by its place in the log while lines come and go. */
  #current = null;
  #timer = 0;

  /** `whole(text)` searches the whole log. */
  constructor(list, view, whole) {
    this.#list = list;
    this.#view = view;
    this.#whole = whole;
    this.#field.addEventListener("input", () => this.#start());
    this.#field.addEventListener("keydown", (event) => this.#key(event));
    byId("find-next").addEventListener("click", () => this.step(1));
    byId("find-previous").addEventListener("click", () => this.step(-1));
    byId("find-whole").addEventListener("click", () => this.#whole(this.text));
  }

  get text() {
    return this.#field.value;
  }

  focus() {
    this.#field.focus();
    this.#field.select();
  }

  /** The list has changed: look again, soon. */
  refresh() {
    if (this.text) this.#timer ||= setTimeout(() => this.#search(), PAUSE_MS);
  }

  /** Go to the next (1) or the one before (-1), around the ends. */
  step(by) {
    this.#search();
    const count = this.#found.length;
    if (!count) {
      if (this.text) say("Not found");
      return;
    }
    const at = this.#index();
    const next = at === null ? this.#first(by) : (at + by + count) % count;
    this.#select(this.#found[next]);
  }

  /** Make the first match in `node` the current one. */
  go(node) {
    this.#search();
    const match = this.#found.find((one) => one.node === node);
    if (match) this.#select(match);
    else this.#view.reveal(node);
  }

  #start() {
    this.#current = null;
    this.#search();
  }

  #key(event) {
    if (event.key === "Enter") this.step(event.shiftKey ? -1 : 1);
    else if (event.key === "Escape") {
      this.#field.value = "";
      this.#start();
      byId("log-box").focus();
    } else return;
    event.preventDefault();
  }

  #search() {
    clearTimeout(this.#timer);
    this.#timer = 0;
    const wanted = folded(this.text);
    this.#found = [];
    if (wanted) for (const node of this.#list.children) this.#searchIn(node, wanted);
    this.#mark();
    this.#tell();
  }

  #searchIn(node, wanted) {
    const text = folded(node.textContent);
    for (let at = text.indexOf(wanted); at >= 0; at = text.indexOf(wanted, at + wanted.length)) {
      this.#found.push({ node, start: at, end: at + wanted.length });
    }
  }

  #index() {
    const at = this.#found.findIndex((match) => match.node === this.#current?.node && match.start === this.#current.start);
    return at < 0 ? null : at;
  }

  /** Where to begin: the first one in view or below, the last one in view or above. */
  #first(by) {
    const box = byId("log-box").getBoundingClientRect();
    const inside = (match) => {
      const { top, bottom } = match.node.getBoundingClientRect();
      return by > 0 ? bottom > box.top : top < box.bottom;
    };
    const at = by > 0 ? this.#found.findIndex(inside) : this.#found.findLastIndex(inside);
    return at >= 0 ? at : by > 0 ? 0 : this.#found.length - 1;
  }

  #select(match) {
    this.#current = match;
    this.#view.reveal(ranges([match])[0] ?? match.node);
    this.#mark();
    this.#tell();
    say(byId("find-count").textContent);
  }

  #mark() {
    if (!CSS.highlights) return; // an older browser: it scrolls, and marks nothing
    const marked = this.#found.slice(0, MARKED).filter((match) => match !== this.#current);
    CSS.highlights.set("found", new Highlight(...ranges(marked)));
    const at = this.#index();
    CSS.highlights.set("current", new Highlight(...ranges(at === null ? [] : [this.#found[at]])));
  }

  #tell() {
    const at = this.#index();
    const count = this.#found.length;
    byId("find-count").hidden = byId("find-next").hidden = byId("find-previous").hidden = !this.text;
    setText(byId("find-count"), !count ? "not found" : at === null ? `${number(count)} found` : `${number(at + 1)} of ${number(count)}`);
    const cut = this.#view.dropped > 0 || this.#view.partial;
    byId("find-whole").hidden = !this.text || !cut;
    byId("find-whole").title = `Only the ${plural(this.#list.childElementCount, "line")} shown here are searched as you type`;
  }
}

/** In lower case, letter by letter: places in the one are places in the other. */
function folded(text) {
  const lower = text.toLowerCase();
  return lower.length === text.length ? lower : text;
}

/** Ranges of the matches, which stand in the order of the page; a match may go over several text nodes. */
function ranges(matches) {
  const made = [];
  let node = null;
  let texts = [];
  for (const match of matches) {
    if (match.node !== node) {
      node = match.node;
      texts = textsOf(node);
    }
    const range = document.createRange();
    const start = texts.findLast((text) => text.at <= match.start);
    const end = texts.findLast((text) => text.at < match.end);
    if (!start || !end) continue;
    range.setStart(start.node, Math.min(match.start - start.at, start.node.length));
    range.setEnd(end.node, Math.min(match.end - end.at, end.node.length));
    made.push(range);
  }
  return made;
}

function textsOf(node) {
  const walk = document.createTreeWalker(node, NodeFilter.SHOW_TEXT);
  const texts = [];
  for (let at = 0; walk.nextNode(); at += walk.currentNode.length) texts.push({ node: walk.currentNode, at });
  return texts;
}
