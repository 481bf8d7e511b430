/**
 * What a job displayed, as elements. Images inline (SVG only as an image), HTML only in a sandboxed frame without
 * scripts and without this page's origin, everything else as text.
 */

import { element } from "./dom.js";
import { size } from "./format.js";

const IMAGES = ["image/png", "image/jpeg", "image/gif", "image/webp", "image/svg+xml"];
const TEXTS = ["text/markdown", "text/latex", "application/json"];
const MAX_TEXT = 200_000;
/** Above this an output's own style sheet is its looks; without it, the plain text reads better. */
const MAX_STYLE = 1500;
const KEPT_ATTRIBUTES = new Set("align alt border class colspan dir height lang open rowspan scope span start title valign width".split(" "));
const DROPPED = "script, style, link, meta, base, title, iframe, frame, frameset, object, embed, form, input, button, select, textarea, template, audio, video, canvas, svg, math, noscript";

const asText = (value) => (Array.isArray(value) ? value.join("") : typeof value === "string" ? value : JSON.stringify(value, null, 2));
/** Texts such as `<IPython.core.display.HTML object>` and `<pandas...Styler at 0x7f>` say nothing to people. */
const isRepr = (text) => /^<[^\n]*( object| at 0x[0-9a-f]+)>$/.test(text.trim());

/**
 * An element for a display event. `fetchBlob(sha256)` gets data that was too large for the event, written the same
 * way; `own(url)` takes over an object URL.
 */
export async function draw(event, fetchBlob, own) {
  const data = event.data ?? {};
  const blobs = event.blobs ?? {};
  const has = (mime) => mime in data || mime in blobs;
  const text = async (mime) => (mime in data ? asText(data[mime]) : (await fetchBlob(blobs[mime])).text());

  const image = IMAGES.find(has);
  if (image) return drawImage(image, imageOf(image, await text(image)), event, own);
  const plain = has("text/plain") ? await text("text/plain") : "";
  if (has("text/html")) {
    const frame = drawHtml(await text("text/html"), plain, own);
    if (frame) return frame;
  }
  const rich = TEXTS.find(has);
  if (rich && (!plain || isRepr(plain) || rich === "text/markdown")) return drawPlain(await text(rich));
  if (plain) return drawPlain(plain);
  const kinds = [...Object.keys(data), ...Object.keys(blobs)].join(", ");
  return element("p", { className: "aside" }, `An output that this page does not show: ${kinds || "nothing"}`);
}

function imageOf(mime, text) {
  if (mime === "image/svg+xml") return new Blob([text], { type: mime });
  return new Blob([Uint8Array.from(atob(text.replace(/\s/g, "")), (char) => char.charCodeAt(0))], { type: mime });
}

function drawImage(mime, blob, event, own) {
  const url = URL.createObjectURL(blob);
  own(url);
  const told = event.metadata?.[mime] ?? {};
  const plain = event.data?.["text/plain"];
  const alt = plain && !isRepr(asText(plain)) ? asText(plain).slice(0, 200) : "Image that the job displayed";
  const image = element("img", { src: url, alt });
  if (told.width > 0) image.width = told.width;
  return image;
}

function drawPlain(text) {
  const box = element("pre", { className: "text" }, text.slice(0, MAX_TEXT));
  if (text.length > MAX_TEXT) box.append("\n", element("span", { className: "aside" }, `… ${size(text.length - MAX_TEXT)} more; %logs shows all of it`));
  return box;
}

/** A frame for `html`, or null when it lives by scripts or styles, which the frame does not run. */
function drawHtml(html, plain, own) {
  const bare = withoutStyle(html);
  if (html.length - bare.length > MAX_STYLE && plain && !isRepr(plain)) return null;
  // A document made by DOMParser is inert: nothing in it runs or loads.
  const page = new DOMParser().parseFromString(bare, "text/html");
  for (const node of page.querySelectorAll(DROPPED)) node.remove();
  for (const node of page.querySelectorAll("*")) quieten(node);
  if (!page.body.textContent.trim() && !page.querySelector("img[src], hr")) return null;
  dress(page);
  const url = URL.createObjectURL(new Blob(["<!doctype html>", page.documentElement.outerHTML], { type: "text/html;charset=utf-8" }));
  own(url);
  const frame = element("iframe", { title: "HTML that the job displayed", src: url });
  frame.setAttribute("sandbox", "");
  frame.style.height = `${guessHeight(page)}px`;
  return frame;
}

/** Even an inert document reports styles and handlers that the policy forbids; what this misses is only noise. */
function withoutStyle(html) {
  const sheets = /<style\b[^>]*>[^]*?<\/style\s*>/gi;
  return html.replace(sheets, "").replace(/<[a-z][^>]*>/gi, (tag) => tag.replace(/\s(?:style|on\w+)\s*=/gi, " off="));
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
