/** How states, times and sizes are written. Pure; the words are those of protocol/ and units.py. */

export const WORDS = Object.freeze({
  queued: "Queued",
  preparing: "Preparing",
  running: "Running",
  succeeded: "Finished",
  failed: "Failed",
  cancelled: "Cancelled",
  timed_out: "Timed out",
  lost: "Lost",
});

export const isActive = (job) => ["queued", "preparing", "running"].includes(job.state);

export function word(job) {
  return job.stopping && isActive(job) ? "Stopping" : (WORDS[job.state] ?? job.state);
}

export function duration(seconds) {
  if (seconds < 9.95) return `${Math.max(0, Math.round(seconds * 10) / 10)} s`;
  let left = Math.round(seconds);
  const parts = [];
  for (const [name, length] of [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]]) {
    const count = Math.floor(left / length);
    left %= length;
    if (count) parts.push(`${count} ${name}`);
  }
  return parts.slice(0, 2).join(" ");
}

export function size(bytes) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  while (bytes >= 1024 && unit < units.length - 1) {
    bytes /= 1024;
    unit += 1;
  }
  return `${Number(bytes.toFixed(1))} ${units[unit]}`;
}

export const number = (count) => count.toLocaleString("en-GB");

export const plural = (count, noun) => `${number(count)} ${noun}${count === 1 ? "" : "s"}`;

const CLOCK = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const DAY = new Intl.DateTimeFormat("en-GB", { weekday: "short", day: "numeric", month: "short" });
const FULL = new Intl.DateTimeFormat("en-GB", { dateStyle: "full", timeStyle: "long" });

/** Whether `at` is a time that a Date can hold. */
export const isTime = (at) => Number.isFinite(at) && Math.abs(at) <= 8.64e12;

/** Time of day of Unix seconds, with the day unless that is today (the day of `now`). */
export function clock(at, now) {
  if (!isTime(at)) return "";
  const date = new Date(at * 1000);
  const today = date.toDateString() === new Date(now * 1000).toDateString();
  return today ? CLOCK.format(date) : `${DAY.format(date)}, ${CLOCK.format(date)}`;
}

export const fullTime = (at) => FULL.format(new Date(at * 1000));

export function resources(job) {
  const parts = [plural(job.gpus ?? 0, "GPU"), plural(job.cpus ?? 1, "CPU")];
  if (job.memory_bytes) parts.push(size(job.memory_bytes));
  return parts.join(", ");
}

export function exit(job) {
  if (job.signal) return `by signal ${job.signal}`;
  return job.exit_code === undefined || job.exit_code === null ? null : `code ${job.exit_code}`;
}

/** Four significant digits, as `%.4g` writes them. */
export function significant(value) {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "nan" : value > 0 ? "inf" : "-inf";
  if (value === 0) return "0";
  const [digits, power] = value.toExponential(3).split("e").map(Number);
  if (power < -4 || power >= 4) return `${digits}e${power < 0 ? "-" : "+"}${String(Math.abs(power)).padStart(2, "0")}`;
  return String(Number(value.toFixed(3 - power)));
}

/** The nearest whole number; of two the even one, as in Python. */
export function rounded(value) {
  const near = Math.round(value);
  return near - value === 0.5 && near % 2 ? near - 1 : near;
}

/** The bytes that `text` has in base64; raises when it is not. */
export function fromBase64(text) {
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let at = 0; at < binary.length; at += 1) bytes[at] = binary.charCodeAt(at);
  return bytes;
}
