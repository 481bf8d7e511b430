/**
 * How far a job says that it is, read from what progress bars write. Pure; the rules are those of the card
 * (`mlmagics/display/progress.py`): only lines that say so are read, the latest counts, of nested bars the outer one.
 */

import { duration, rounded, significant } from "./format.js";
import { oneLine } from "./terminal.js";

/** Of text that comes at once only this much of its end is looked at. */
const END_CHARS = 2048;
const MAX_LINE = 400;
const MAX_LINES = 50;
const MAX_LABEL = 40;

const NUMBER = String.raw`\d[\d,]{0,18}(?:\.\d+)?`;
const SCALE = { "": 1, k: 1e3, K: 1e3, M: 1e6, G: 1e9, T: 1e12, P: 1e15 };
/* `desc:  62%|######2   | 620/1.00k [00:10<00:06, 61.3it/s]`; without a bar when it is narrow */
const TQDM = new RegExp(
  String.raw`^(?<label>.*?)(?<![\d.])(?<percent>\d{1,3})%\s*(?:\|[^|]*\|)?\s*(?<done>${NUMBER})(?<doneScale>[kMGTP]?)` +
    String.raw`/(?<total>${NUMBER})(?<totalScale>[kMGTP]?)[^\[\d]{0,12}\[[\d:]+<(?:(?<left>[\d:]{1,12})[,\]])?`,
);
/* `desc: 3.81MB [00:01, 2.4MB/s]` */
const TQDM_OPEN = new RegExp(
  String.raw`^(?:(?<label>.*?):\s+)?(?<done>${NUMBER})(?<doneScale>[kMGTP]?)(?<unit>[\p{L}_]{0,12}) ?\[\d+:[\d:]+, +[\d.?]`,
  "u",
);
/* Keras: `12/100 [==>.......] - ETA: 3s`, `12/100 <bar> 3s 5ms/step - loss: 0.3` */
const KERAS =
  /^\s*(?<done>\d{1,15})\/(?<total>\d{1,15})\s+(?:\[[=>.]+\]|[\u2501\u2578\u257a]{3,})(?:.*?ETA:\s*(?<left>[\d:]{1,12})s?)?/;
/* rich and pip: `Working <bar>  62% 0:00:12`, `<bar> 5.2/8.3 MB 1.1 MB/s eta 0:00:03` */
const RICH = new RegExp(
  String.raw`^(?<label>.*?)[\u2501\u2578\u257a]{3,}\s*(?:(?<percent>\d{1,3})%)?` +
    String.raw`(?:\s*(?<done>${NUMBER})/(?<total>${NUMBER}))?(?:.*?(?<left>\d+:\d\d(?::\d\d)?))?`,
);
/* `  62%|#####    |` with a format of one's own, `62% [====>   ]`, `Progress: 62.5 %` */
const PERCENT = new RegExp(
  String.raw`^(?:(?<label>.*?)(?<![\d.]))?(?<percent>\d{1,3}(?:\.\d+)?)\s?%(?:\||\s*\[[=>#. -])` +
    String.raw`|\b(?:progress|completed?|done)\b\W{1,4}(?<percent2>\d{1,3}(?:\.\d+)?)\s?%`,
  "i",
);
const COUNTER = new RegExp(
  String.raw`\b(?<what>epoch|step|iter(?:ation)?|batch|fold|trial|round|stage|episode|generation|chunk|file|part)` +
    String.raw`\b[\s:#=]{0,3}[\[(]?\s{0,4}(?<done>\d{1,15})\s?(?:/|of)\s?(?<total>\d{1,15})`,
  "i",
);
/** Each shape with text without which it cannot be there. */
const SHAPES = [["%", TQDM], ["[", TQDM_OPEN], ["/", KERAS], ["\u2501", RICH], ["%", PERCENT], ["", COUNTER]];
const LIKELY = /\d\s?%|\d\/\d|\[\d+:\d\d|\d of \d/;
const UP = "\x1b[A";

/** What a bar says: `fraction` (null where the total is not known), `percent`, `text`, and what it was made of. */
class Progress {
  constructor(fields) {
    Object.assign(this, fields);
  }

  /** In whole percents; 100 only when all is done. */
  get percent() {
    return this.fraction === 1 ? 100 : Math.min(99, rounded(100 * (this.fraction ?? 0)));
  }

  get text() {
    if (this.counter) return this.label;
    const parts = [];
    if (this.fraction !== null) parts.push(`${this.percent} %`);
    if (this.done !== null && this.total !== null) parts.push(`${count(this.done)} of ${count(this.total)}`);
    else if (this.done !== null) parts.push(`${count(this.done)}${this.unit === "B" && this.done >= SCALE.M ? "" : " "}${this.unit}`.trimEnd());
    if (this.left && this.fraction !== 1) parts.push(`${duration(this.left)} left`);
    return (this.label ? `${this.label}: ` : "") + parts.join(", ");
  }
}

/** The progress that one line without escapes tells; null when it tells none. */
export function readLine(line) {
  if (!LIKELY.test(line)) return null;
  for (const [needed, shape] of SHAPES) {
    const found = line.includes(needed) ? shape.exec(line) : null;
    const progress = found && progressOf(found.groups);
    if (progress) return progress;
  }
  return null;
}

/** Reads a stream as it comes; `current` is what it said last, or null. */
export class ProgressReader {
  current = null;
  #tail = "";
  #before = null;
  /** The bar that the text so far ends with. */
  #last = null;
  #counter = "";
  /** Bars that were seen inside another one. */
  #inner = new Set();

  /** Whether `text`, with its carriage returns and escapes, told progress. */
  feed(text) {
    if (text.startsWith(UP)) this.#demote();
    this.#last = null;
    const end = /[%/]| of /.test(text) ? (this.#tail + text).slice(-END_CHARS) : "";
    this.#keepTail(text);
    if (!LIKELY.test(end)) return false;
    const pieces = end.split(/[\r\n]/);
    let inner = null;
    for (let at = pieces.length - 1; at >= Math.max(0, pieces.length - MAX_LINES); at -= 1) {
      const piece = pieces[at];
      const found = piece && readLine(oneLine(piece.slice(0, MAX_LINE)));
      if (!found) continue;
      if (piece.endsWith(UP)) this.#isInner(found);
      if (this.#inner.has(keyOf(found))) inner ??= found;
      else if (!inner || isUnfinished(found)) {
        this.#take(found);
        this.#last = at === pieces.length - 1 ? this.current : null;
        return true;
      } else break;
    }
    if (inner && !(isUnfinished(this.current) && !this.#inner.has(keyOf(this.current)))) this.#take(inner);
    return inner !== null;
  }

  #take(found) {
    if (found.counter) this.#counter = found.label;
    else if (!found.label && this.#counter) found = new Progress({ ...found, label: this.#counter });
    this.#before = this.current;
    this.current = found;
  }

  /** The bar at the end of the text before was an inner one: the cursor goes up from it to the outer one. */
  #demote() {
    if (!this.#last) return;
    this.#isInner(this.#last);
    if (isUnfinished(this.#before)) this.current = this.#before;
  }

  #isInner(bar) {
    if (this.#inner.size < MAX_LINES) this.#inner.add(keyOf(bar));
  }

  #keepTail(text) {
    const cut = Math.max(text.lastIndexOf("\n"), text.lastIndexOf("\r"));
    this.#tail = (cut >= 0 ? text.slice(cut + 1) : this.#tail + text).slice(-MAX_LINE);
  }
}

const keyOf = (bar) => (bar ? bar.label || `of ${bar.total}` : "");
const isUnfinished = (bar) => bar !== null && bar.fraction !== null && bar.fraction !== 1;

function progressOf({ label, what, percent, percent2, left, unit, ...groups }) {
  const done = value(groups.done, groups.doneScale);
  const total = value(groups.total, groups.totalScale);
  const told = percent ?? percent2;
  if (told !== undefined && Number(told) > 100) return null;
  let fraction = told === undefined ? null : Number(told) / 100;
  if (done !== null && total !== null) {
    if (done < 0 || done > total || total === 0) return null;
    fraction = done / total;
  } else if (done === null && fraction === null) return null;
  return new Progress({
    fraction,
    done,
    total,
    label: what ? `${what} ${groups.done}/${groups.total}` : stripped(label ?? "").slice(0, MAX_LABEL),
    left: seconds(left),
    unit: unit ?? "",
    counter: Boolean(what),
  });
}

const stripped = (label) => label.replace(/^[ :|.-]+|[ :|.-]+$/g, "");
const value = (text, scale = "") => (text ? Number(text.replaceAll(",", "")) * SCALE[scale] : null);
/** Seconds in `1:02:03`, `02:03` or `3`. */
const seconds = (text) => (text ? text.split(":").reduce((sum, part) => 60 * sum + Number(part || 0), 0) : null);

function count(value) {
  for (const letter of "GM") if (value >= SCALE[letter]) return `${significant(value / SCALE[letter])} ${letter}`;
  const [whole, part] = (Number.isInteger(value) ? String(value) : significant(value)).split(".");
  return whole.replace(/\B(?=(\d{3})+$)/g, ",") + (part ? `.${part}` : "");
}
