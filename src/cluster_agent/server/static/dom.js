/** Elements from data: strings become text nodes, never markup. */

export const byId = (id) => document.getElementById(id);

/** A new element; `properties` are DOM properties, `children` nodes or text. */
export function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  Object.assign(made, properties);
  made.append(...children);
  return made;
}

/** Set the text only when it differs, so that live regions speak once and selections survive. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export function say(text) {
  byId("said").textContent = text;
}

export async function copy(text) {
  if (navigator.clipboard) {
    await navigator.clipboard.writeText(text);
    return;
  }
  // Plain http away from localhost: browsers offer no clipboard object there.
  const field = element("textarea", { value: text, className: "unseen", readOnly: true });
  document.body.append(field);
  field.select();
  document.execCommand("copy");
  field.remove();
}

/** Make `button` copy what `text()` gives, and say so. */
export function copies(button, text) {
  const label = button.textContent;
  button.addEventListener("click", async () => {
    try {
      await copy(text());
      button.textContent = "Copied";
      say("Copied");
    } catch {
      button.textContent = "Not copied";
      say("The browser did not allow copying");
    }
    setTimeout(() => {
      button.textContent = label;
    }, 1500);
  });
}

/** Have the browser save `blob` under `name`. */
export function save(blob, name) {
  const url = URL.createObjectURL(blob);
  const link = element("a", { href: url, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
