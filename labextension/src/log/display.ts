/**
 * What a job displayed, drawn by JupyterLab's own renderers as content that is not trusted: HTML without scripts and
 * handlers. HTML that lives by its scripts goes into a frame that reaches neither this page nor the server.
 */

import { MimeModel } from '@jupyterlab/rendermime';
import type { IRenderMimeRegistry } from '@jupyterlab/rendermime';
import type { PartialJSONObject, PartialJSONValue } from '@lumino/coreutils';
import { IMAGES, drawImage, imageBlob } from '../page';
import type { Words } from '../words';

/** A display event as `tidy` leaves it. */
interface Display {
  readonly data: Record<string, unknown>;
  readonly blobs: Record<string, string>;
  readonly metadata: Record<string, { width?: number; height?: number } | undefined>;
}

export type Show = (
  event: Display,
  fetchBlob: (sha256: string) => Promise<Blob>,
  own: (url: string) => void
) => Promise<HTMLElement>;

const MAX_CHARS = 5_000_000;
/** Types that draw data and run nothing of it; their renderers are extensions that may not be there. */
const DATA = /^application\/(json|geo\+json|vnd\.(plotly|vega|vegalite)\.v\d+\+json)$/;
const TEXTS = ['text/html', 'text/markdown', 'text/latex', 'text/plain'];
const SCRIPTED = /<(script|iframe|object|embed)\b/i;

/** Draws displays; `mine` says whether they come from the reader's own job. */
export function shower(rendermime: IRenderMimeRegistry, mine: boolean, trans: Words): Show {
  return async ({ data, blobs, metadata }, fetchBlob, own) => {
    const mimes = [...Object.keys(data), ...Object.keys(blobs)];
    const read = async (mime: string): Promise<unknown> => {
      if (Object.hasOwn(data, mime)) {
        return data[mime];
      }
      const text = await (await fetchBlob(blobs[mime])).text();
      return mime.endsWith('json') ? JSON.parse(text) : text;
    };
    const rich = mimes.find(mime => mine && DATA.test(mime) && rendermime.mimeTypes.includes(mime));
    if (rich && rich !== 'application/json') {
      return rendered(rendermime, rich, await read(rich));
    }
    const image = IMAGES.find(mime => mimes.includes(mime));
    if (image) {
      const plain = textOf(data['text/plain']);
      const alt = plain && !plain.startsWith('<') ? plain.slice(0, 200) : trans.__('Image that the job displayed');
      return drawImage(imageBlob(image, textOf(await read(image))), image, { metadata: metadata[image], alt, own });
    }
    const mime = TEXTS.find(one => mimes.includes(one)) ?? rich;
    if (!mime) {
      return aside(trans.__('An output that is not shown here: %1', mimes.join(', ').slice(0, 200)));
    }
    const content = await read(mime);
    const length = textOf(content).length;
    if (length > MAX_CHARS) {
      return aside(trans.__('An output of %1 characters is too large for this page; the job’s page has it.', length));
    }
    if (mime === 'text/html' && SCRIPTED.test(textOf(content))) {
      return framed(textOf(content), trans);
    }
    return rendered(rendermime, mime, mime === rich ? content : textOf(content));
  };
}

async function rendered(rendermime: IRenderMimeRegistry, mime: string, content: unknown): Promise<HTMLElement> {
  const renderer = rendermime.createRenderer(mime);
  const data: PartialJSONObject = { [mime]: content as PartialJSONValue };
  await renderer.renderModel(new MimeModel({ data, trusted: false }));
  return renderer.node;
}

function framed(markup: string, trans: Words): HTMLElement {
  const frame = document.createElement('iframe');
  frame.setAttribute('sandbox', 'allow-scripts');
  frame.referrerPolicy = 'no-referrer';
  frame.title = trans.__('HTML that the job displayed');
  frame.srcdoc = markup;
  return frame;
}

function aside(text: string): HTMLElement {
  const node = document.createElement('p');
  node.className = 'aside';
  node.textContent = text;
  return node;
}

const textOf = (content: unknown): string =>
  Array.isArray(content) ? content.join('') : typeof content === 'string' ? content : (JSON.stringify(content, null, 2) ?? '');
