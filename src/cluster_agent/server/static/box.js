/** What a box has, and how much of it is free. */

import { byId, element, setText } from "./dom.js";
import { clock, duration, isTime, plural, size } from "./format.js";
import { oneLine } from "./terminal.js";

/** Show what `/v1/info` says. */
export function drawBox(info, now) {
  setText(byId("host"), location.host);
  setText(byId("version"), `cluster-agent ${info.version}, up ${duration(info.uptime_s)}`);
  meter("gpus", "GPUs", info.gpus_free, info.gpus, String, names(info.gpu_names));
  meter("cpus", "CPUs", info.cpus_free, info.cpus, String);
  meter("memory", "Memory", info.memory_free_bytes, info.memory_bytes, size);
  setText(byId("counts"), [`${plural(info.running, "job")} running, ${info.queued} queued`, ...asides(info)].join("; "));
  notice("remark", info.remark);
  notice("draining", info.draining ? drainText(info, now) : "");
  setText(byId("contact"), info.contact ? `Questions about this box: ${oneLine(info.contact)}` : "");
  setText(byId("who"), `${oneLine(info.user)} (${info.role})`);
}

function drainText({ drain_message: message, drain_until: until }, now) {
  const end = isTime(until) ? ` until ${clock(until, now)}` : "";
  return `No job starts${end}: the box is being drained.${message ? ` ${oneLine(message)}` : ""}`;
}

function notice(id, text) {
  byId(id).hidden = !text;
  setText(byId(id), text ?? "");
}

/** What else is worth a word. */
function asides({ limits, kept_bytes: kept, disk_free_bytes: free, survives_restart: survives, role }) {
  const told = [];
  if (free) told.push(`disk ${size(free)} free, ended jobs take ${size(kept ?? 0)}`);
  const own = [limits?.gpus != null && plural(limits.gpus, "GPU"), limits?.jobs != null && plural(limits.jobs, "running job")].filter(Boolean);
  if (own.length) told.push(`you have at most ${own.join(" and ")} at once`);
  if (survives === false && role === "admin") told.push("jobs do not outlive a restart of the agent");
  return told;
}

/** `NVIDIA H100 80GB HBM3 (4)`, each kind once. */
function names(list = []) {
  const counts = new Map();
  for (const name of list) counts.set(name, (counts.get(name) ?? 0) + 1);
  return [...counts].map(([name, count]) => (count > 1 ? `${count} × ${oneLine(name)}` : oneLine(name))).join(", ");
}

function meter(key, label, free, total, write, more = "") {
  let node = byId(`meter-${key}`);
  if (!node) {
    const track = element("div", { className: "track" }, element("div", { className: "fill" }));
    track.setAttribute("role", "meter");
    track.setAttribute("aria-valuemin", "0");
    node = element("div", { id: `meter-${key}` }, element("b"), element("span"), track, element("small", { className: "aside" }));
    byId("meters").append(node);
  }
  const [name, words, track, kinds] = node.children;
  const text = total ? `${write(free)} of ${write(total)} free` : "none";
  setText(name, label);
  setText(words, text);
  setText(kinds, more);
  track.hidden = !total;
  if (!total) return;
  track.setAttribute("aria-label", `${label} in use`);
  track.setAttribute("aria-valuemax", String(total));
  track.setAttribute("aria-valuenow", String(total - free));
  track.setAttribute("aria-valuetext", text);
  track.firstChild.style.width = `${(100 * (total - free)) / total}%`;
}
