/** Single keys as commands, and the dialog that lists them. */

import { byId, element } from "./dom.js";

const OFF = "cluster-agent.keys";

/**
 * Have keys do what `commands` says: lists of `[key, label, action]`, and `[keys, label]` for what works without
 * this. `?` shows them all. They rest while something is typed, a dialog is open, or the reader has switched them off.
 */
export function useKeys(commands) {
  const dialog = byId("help");
  const toggle = byId("help-keys");
  const actions = new Map(commands.filter(([, , action]) => action).map(([key, , action]) => [key, action]));
  byId("help-list").replaceChildren(...commands.flatMap(([key, label]) => [element("dt", {}, ...keycaps(key)), element("dd", {}, label)]));
  toggle.checked = sessionStorage.getItem(OFF) === null;
  toggle.addEventListener("change", () => (toggle.checked ? sessionStorage.removeItem(OFF) : sessionStorage.setItem(OFF, "1")));
  const help = () => dialog.showModal();
  byId("help-open").addEventListener("click", help);
  byId("help-close").addEventListener("click", () => dialog.close());
  document.addEventListener("keydown", (event) => {
    if (!toggle.checked || event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (event.target.closest("input:not([type=checkbox]), textarea, select") || document.querySelector("dialog[open]")) return;
    const action = event.key === "?" ? help : actions.get(event.key);
    if (!action) return;
    event.preventDefault();
    action();
  });
}

const keycaps = (keys) => keys.split(" ").flatMap((key, index) => (index ? [" ", element("kbd", {}, key)] : [element("kbd", {}, key)]));
