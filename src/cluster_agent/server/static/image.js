/** Images that a job displayed: checked before the browser gets them, since a small file can hold a huge picture. */

import { element } from "./dom.js";
import { fromBase64, number, plural, size } from "./format.js";

const RASTER = ["image/png", "image/jpeg", "image/gif", "image/webp"];
const SVG = "image/svg+xml";
export const IMAGES = [...RASTER, SVG];

/** A browser holds four bytes for each pixel that it shows. */
const MAX_PIXELS = 60_000_000;
const MAX_BYTES = 64 * 2 ** 20;
const MAX_SVG = 4_000_000;
const MAX_SHOWN = 8192;

/** The image as a blob, or null when `text` is not one. */
export function imageBlob(mime, text) {
  if (mime === SVG) return new Blob([text], { type: mime });
  try {
    return new Blob([fromBase64(text)], { type: mime });
  } catch {
    return null;
  }
}

/** An element for the image, or the reason why there is none. `own(url)` takes over its object URL. */
export async function drawImage(blob, mime, { metadata, alt, own }) {
  if (blob === null || blob.size === 0) return refused("An image that is damaged");
  if (blob.size > (mime === SVG ? MAX_SVG : MAX_BYTES)) return refused(`An image of ${size(blob.size)}, too large for this page`);
  const extent = mime === SVG ? null : dimensions(new Uint8Array(await blob.slice(0, 2 ** 20).arrayBuffer()));
  if (mime !== SVG && !extent) return refused(`Data that is not ${mime}`);
  if (extent && extent.width * extent.height > MAX_PIXELS) {
    return refused(`An image of ${number(extent.width)} by ${plural(extent.height, "pixel")}, too large for this page`);
  }
  const url = URL.createObjectURL(blob);
  own(url);
  const image = element("img", { alt, decoding: "async", src: url });
  const width = Number(metadata?.width);
  const height = Number(metadata?.height);
  // Told beforehand, so that what is below does not move once it is decoded.
  if (extent) Object.assign(image, extent);
  if (width > 0 && width <= MAX_SHOWN) {
    image.width = width;
    if (height > 0 && height <= MAX_SHOWN) image.height = height;
    else if (extent) image.height = Math.round((width / extent.width) * extent.height);
  }
  image.addEventListener("error", () => image.replaceWith(refused("An image that the browser cannot show")));
  return image;
}

const refused = (text) => element("p", { className: "aside" }, `${text}; %logs has it.`);

/** Width and height as the head of a PNG, GIF, WebP or JPEG tells them, or null. */
export function dimensions(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const tag = (at, text) => [...text].every((char, index) => bytes[at + index] === char.charCodeAt(0));
  try {
    if (tag(0, "\x89PNG")) return { width: view.getUint32(16), height: view.getUint32(20) };
    if (tag(0, "GIF8")) return { width: view.getUint16(6, true), height: view.getUint16(8, true) };
    if (tag(0, "RIFF") && tag(8, "WEBP")) return webp(view, tag);
    if (bytes[0] === 0xff && bytes[1] === 0xd8) return jpeg(view);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error; // a RangeError is a head that ends too early
  }
  return null;
}

function webp(view, tag) {
  const three = (at) => view.getUint16(at, true) + (view.getUint8(at + 2) << 16);
  if (tag(12, "VP8X")) return { width: three(24) + 1, height: three(27) + 1 };
  if (tag(12, "VP8 ")) return { width: view.getUint16(26, true) & 0x3fff, height: view.getUint16(28, true) & 0x3fff };
  const bits = view.getUint32(21, true);
  return { width: (bits & 0x3fff) + 1, height: ((bits >> 14) & 0x3fff) + 1 };
}

/** The frame header stands behind any number of other segments. */
function jpeg(view) {
  for (let at = 2; ; at += 2 + view.getUint16(at + 2)) {
    if (view.getUint8(at) !== 0xff) return null;
    const marker = view.getUint8(at + 1);
    const frame = marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker);
    if (frame) return { width: view.getUint16(at + 7), height: view.getUint16(at + 5) };
  }
}
