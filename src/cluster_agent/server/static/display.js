/**
 * What a job displayed, as elements. Images inline (SVG only as an image), HTML only in a sandboxed frame,
 * everything else as text.
 */

import { element } from "./dom.js";
import { size } from "./format.js";
import { IMAGES, drawImage, imageBlob } from "./image.js";
import { MAX_HTML, drawHtml } from "./markup.js";

const TEXTS = ["text/markdown", "text/latex", "application/json"];
const MAX_TEXT = 200_000;
const MAX_KINDS = 200;

const asText = (value) => (Array.isArray(value) ? value.join("") : typeof value === "string" ? value : JSON.stringify(value, null, 2));
/** Texts such as `<IPython.core.display.HTML object>` and `<pandas...Styler at 0x7f>` say nothing to people. */
const isRepr = (text) => /^<[^\n]*( object| at 0x[0-9a-f]+)>$/.test(text.trim());

/**
 * An element for a display event. `fetchBlob(sha256)` gets data that was too large for the event, written the same
 * way; `own(url)` takes over an object URL.
 */
export async function draw({ data, blobs, metadata }, fetchBlob, own) {
  const has = (mime) => Object.hasOwn(data, mime) || Object.hasOwn(blobs, mime);
  const text = async (mime) => (Object.hasOwn(data, mime) ? asText(data[mime]) : (await fetchBlob(blobs[mime])).text());

  const plain = has("text/plain") ? await text("text/plain") : "";
  const tells = plain && !isRepr(plain);
  const image = IMAGES.find(has);
  if (image) {
    const alt = tells ? plain.slice(0, 200) : "Image that the job displayed";
    return drawImage(imageBlob(image, await text(image)), image, { metadata: metadata[image], alt, own });
  }
  if (has("text/html")) {
    const html = await text("text/html");
    const frame = html.length > MAX_HTML ? null : drawHtml(html, tells, own);
    if (frame) return frame;
    if (!plain) return missing(html.length > MAX_HTML ? `HTML of ${size(html.length)}` : "HTML that lives by its scripts or its style");
  }
  const rich = TEXTS.find(has);
  if (rich && (!tells || rich === "text/markdown")) return drawPlain(await text(rich));
  return plain ? drawPlain(plain) : missing([...Object.keys(data), ...Object.keys(blobs)].join(", ").slice(0, MAX_KINDS) || "nothing");
}

const missing = (what) => element("p", { className: "aside" }, `An output that this page does not show: ${what}`);

function drawPlain(text) {
  const box = element("pre", { className: "text" }, text.slice(0, MAX_TEXT));
  if (text.length > MAX_TEXT) box.append("\n", element("span", { className: "aside" }, `… ${size(text.length - MAX_TEXT)} more; %logs shows all of it`));
  return box;
}
