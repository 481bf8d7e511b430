/** A bar that tells how far something is, for eyes and for screen readers. */

import { element, setText } from "./dom.js";

/** Show `progress` in `box`, or nothing when it is null. */
export function progressBar(box, progress) {
  box.hidden = !progress;
  if (!progress) return;
  if (!box.firstChild) {
    const bar = element("div", { className: "track" }, element("div", { className: "fill" }));
    bar.setAttribute("role", "progressbar");
    bar.setAttribute("aria-label", "Progress of the job");
    bar.setAttribute("aria-valuemin", "0");
    bar.setAttribute("aria-valuemax", "100");
    box.append(bar, element("span"));
  }
  const [bar, words] = box.children;
  setText(words, progress.text);
  bar.hidden = progress.fraction === null;
  if (progress.fraction === null) return;
  bar.setAttribute("aria-valuenow", String(progress.percent));
  bar.setAttribute("aria-valuetext", progress.text);
  bar.firstChild.style.width = `${100 * progress.fraction}%`;
}
