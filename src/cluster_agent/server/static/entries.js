/**
 * What the log consists of, drawn: lines, displays, errors and notes. An entry is a record of the ring in
 * `logview.js`; `node` is its element once it has one.
 */

import { draw } from "./display.js";
import { element } from "./dom.js";
import { drawRuns, drawText } from "./terminal.js";

/** Displays whose data has to be fetched are drawn this far from what is in view, and dropped again beyond. */
const NEAR = "1500px 0px";
/** Fetches at a time: what is drawn pushes others away, which then need none. */
const AT_A_TIME = 2;

export class Drawer {
  #box;
  #fetchBlob;
  #show;
  #near;
  #entries = new WeakMap();
  /** Entries that are near and not drawn yet. */
  #waiting = new Set();
  #fetching = 0;

  /** `fetchBlob(sha256)` gets data that was too large for an event; `box` is what scrolls; `show` draws displays. */
  constructor(box, fetchBlob, show = draw) {
    this.#box = box;
    this.#fetchBlob = fetchBlob;
    this.#show = show;
    this.#near = new IntersectionObserver((seen) => seen.forEach((one) => this.#seen(one)), { root: box, rootMargin: NEAR });
  }

  draw(entry) {
    if (entry.kind === "line") drawLine(entry);
    else if (entry.kind === "display") this.#drawDisplay(entry);
    else entry.node ??= entry.kind === "error" ? drawError(entry.event) : element("p", { className: entry.kind }, entry.text);
  }

  /** Give back what the entry holds. */
  release(entry) {
    entry.gone = true;
    this.#waiting.delete(entry);
    revoke(entry);
    if (entry.node) this.#near.unobserve(entry.node);
  }

  #drawDisplay(entry) {
    entry.node ??= element("div", { className: "display" });
    entry.gone = false;
    if (!Object.keys(entry.event.blobs).length) {
      this.#fill(entry);
      return;
    }
    if (!entry.node.firstChild) entry.node.style.minHeight = "240px";
    this.#entries.set(entry.node, entry);
    // Anew, so that it is told where the node is.
    this.#near.unobserve(entry.node);
    this.#near.observe(entry.node);
  }

  #seen({ target, isIntersecting, boundingClientRect }) {
    const entry = this.#entries.get(target);
    if (!entry || entry.gone) return;
    if (isIntersecting) {
      this.#waiting.add(entry);
      this.#fetchNext();
      return;
    }
    this.#waiting.delete(entry);
    if (!entry.drawn) return;
    entry.drawn = null;
    target.style.minHeight = `${boundingClientRect.height}px`;
    target.replaceChildren();
    revoke(entry);
  }

  /** Draw what waits, the nearest first. */
  async #fetchNext() {
    if (this.#fetching >= AT_A_TIME || !this.#waiting.size) return;
    const { top, height } = this.#box.getBoundingClientRect();
    const far = (entry) => Math.abs(entry.node.getBoundingClientRect().top - top - height / 2);
    const entry = [...this.#waiting].reduce((best, one) => (far(one) < far(best) ? one : best));
    this.#waiting.delete(entry);
    this.#fetching += 1;
    await this.#fill(entry);
    this.#fetching -= 1;
    // Only after the observer has told what the drawn one has pushed away.
    requestAnimationFrame(() => requestAnimationFrame(() => this.#fetchNext()));
  }

  async #fill(entry) {
    const { event } = entry;
    if (entry.drawn === event) return;
    entry.drawn = event;
    const urls = [];
    let drawn;
    try {
      drawn = await this.#show(event, this.#fetchBlob, (url) => urls.push(url));
    } catch (error) {
      drawn = element("p", { className: "aside" }, `An output could not be shown: ${error.message}`);
    }
    if (entry.drawn !== event || entry.gone) {
      urls.forEach((url) => URL.revokeObjectURL(url));
      return;
    }
    revoke(entry);
    entry.urls = urls;
    if (Object.keys(event.blobs).length) {
      this.#fit(entry.node, drawn);
      return;
    }
    // Its data is on the page now; the ring need not keep it too.
    entry.drawn = entry.event = { display_id: event.display_id, blobs: {} };
    entry.node.replaceChildren(drawn);
  }

  /** Put `drawn` into `node`; what the reader looks at stays where it is when that is above it. */
  #fit(node, drawn) {
    const above = this.#box.getBoundingClientRect().top - node.getBoundingClientRect().top;
    const before = node.offsetHeight;
    node.replaceChildren(drawn);
    node.style.minHeight = "";
    if (above > 0 && node.isConnected && before) this.#box.scrollTop += node.offsetHeight - before;
  }
}

function revoke(entry) {
  for (const url of entry.urls ?? []) URL.revokeObjectURL(url);
  entry.urls = [];
}

function drawLine(entry) {
  entry.node ??= element("div", { className: `line ${entry.stream}` });
  drawRuns(entry.node, entry.line.runs);
  if (entry.line.cut) entry.node.append(element("span", { className: "aside" }, " … the line goes on; the download has all of it"));
}

/** Lines of a traceback that are drawn; a recursion error has its causes at both ends. */
const TRACE_CHARS = 200_000;

function drawError({ ename, evalue, traceback }) {
  const told = traceback.join("\n") || `${ename}: ${evalue}`;
  const box = element("div", { className: "error" });
  if (told.length <= TRACE_CHARS) drawText(box, told);
  else {
    drawText(box, told.slice(0, TRACE_CHARS / 2));
    box.append(element("p", { className: "note" }, `${told.length - TRACE_CHARS} characters are not shown here; %logs has them.`));
    drawText(box, told.slice(-TRACE_CHARS / 2));
  }
  return box;
}
