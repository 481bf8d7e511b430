/** HTML that a job displayed: in a sandboxed frame without scripts and without this page's origin. */

import { element } from "./dom.js";

/** Above this an output's own style sheet is its looks; without it, the plain text reads better. */
const MAX_STYLE = 1500;
export const MAX_HTML = 3_000_000;
const MAX_TAGS = 200_000;
/** A parser's time grows with the square of the depth. */
const MAX_DEPTH = 400;
/** Elements that need no end, so that they tell nothing about the depth. */
const ENDLESS = new Set("p li dt dd td th tr thead tbody tfoot option optgroup colgroup br hr img input col wbr area source track embed link meta base param".split(" "));
const KEPT_ATTRIBUTES = new Set("align alt border class colspan dir height lang open rowspan scope span start title valign width".split(" "));
const DROPPED =
  "script, style, link, meta, base, title, iframe, frame, frameset, object, embed, form, input, button, select, textarea, template, audio, video, canvas, svg, math, noscript";

/**
 * A frame for `html`; null when it is too large or too deep, or lives by scripts or styles, which the frame does not run.
 * `hasPlain` says that there is a text that tells as much.
 */
export function drawHtml(html, hasPlain, own) {
  if (isBomb(html)) return null;
  const bare = withoutStyle(html);
  if (html.length - bare.length > MAX_STYLE && hasPlain) return null;
  // A document made by DOMParser is inert: nothing in it runs or loads.
  const page = new DOMParser().parseFromString(bare, "text/html");
  for (const node of page.querySelectorAll(DROPPED)) node.remove();
  for (const node of page.querySelectorAll("*")) quieten(node);
  if (!page.body.textContent.trim() && !page.querySelector("img[src], hr")) return null;
  dress(page);
  const url = URL.createObjectURL(new Blob(["<!doctype html>", page.documentElement.outerHTML], { type: "text/html;charset=utf-8" }));
  own(url);
  const frame = element("iframe", { title: "HTML that the job displayed", loading: "lazy" });
  frame.setAttribute("sandbox", "");
  frame.src = url;
  frame.style.height = `${guessHeight(page)}px`;
  return frame;
}

/** Whether it would keep a parser busy for long. */
function isBomb(html) {
  let tags = 0;
  let depth = 0;
  for (const [, end, name] of html.matchAll(/<(\/?)([a-z][^\s\/>]{0,20})/gi)) {
    tags += 1;
    if (!ENDLESS.has(name.toLowerCase())) depth = Math.max(0, depth + (end ? -1 : 1));
    if (tags > MAX_TAGS || depth > MAX_DEPTH) return true;
  }
  return false;
}

/**
 * Even an inert document reports styles, handlers and addresses that the policy forbids; what this misses is only
 * noise. In one pass, whatever the text: a pattern that looks for both ends of something can be made to take for ever.
 */
function withoutStyle(html) {
  const sheets = replaced(html, /<style\b/gi, /<\/style\s*>|$/gi, () => "");
  return replaced(sheets, /<[a-z]/gi, />/g, (tag) => tag.replace(/^<(?=base|link|meta)/i, "<off-").replace(/\s(?:style|on\w+)\s*=/gi, " off="));
}

/** `text` with `write(piece)` for each piece that begins with `first` and goes to the next `last`. */
function replaced(text, first, last, write) {
  const parts = [];
  let at = 0;
  for (let found = first.exec(text); found; found = first.exec(text)) {
    last.lastIndex = first.lastIndex;
    if (!last.exec(text)) break;
    parts.push(text.slice(at, found.index), write(text.slice(found.index, last.lastIndex)));
    at = first.lastIndex = last.lastIndex;
  }
  return parts.join("") + text.slice(at);
}

/** Take off what would run, load or lead away; the policy forbids it too, but loudly. */
function quieten(node) {
  const image = node.localName === "img" && /^data:image\//i.test(node.getAttribute("src") ?? "");
  for (const { name } of [...node.attributes]) {
    if (!KEPT_ATTRIBUTES.has(name) && !(image && name === "src")) node.removeAttribute(name);
  }
}

/** Looks by attributes: the frame counts as another origin, so it may have no style sheet, not even of this page. */
function dress(page) {
  const scheme = page.createElement("meta");
  scheme.name = "color-scheme";
  scheme.content = "light dark";
  page.head.append(scheme);
  const font = page.createElement("font");
  font.face = "system-ui, sans-serif";
  font.size = "2";
  font.append(...page.body.childNodes);
  page.body.append(font);
  for (const table of page.querySelectorAll("table")) {
    Object.assign(table, { border: "0", cellPadding: "5", cellSpacing: "0", rules: "groups" });
    if (table.classList.contains("dataframe")) for (const row of table.rows) row.align ||= "right";
  }
}

/** A frame without scripts cannot tell its height. */
function guessHeight(page) {
  const rows = page.querySelectorAll("tr").length * 27;
  const blocks = page.querySelectorAll("p, li, br, h1, h2, h3, h4, pre").length * 22;
  const images = page.querySelectorAll("img").length * 300;
  const words = rows ? 0 : Math.ceil(page.body.textContent.trim().length / 90) * 20;
  return Math.min(480, Math.max(40, rows + blocks + images + words + 16));
}
