/**
 * Events as the page may rely on them. What a job sends is not to be trusted in form either: each field becomes
 * what its type promises, or is left out. Pure.
 */

import { fromBase64 } from "./format.js";

const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);
const text = (value) => (typeof value === "string" ? value : "");
const count = (value) => (Number.isFinite(value) && value >= 0 && value < 2 ** 60 ? value : 0);
const object = (value) => (isObject(value) ? value : {});
const finite = (value) => (Number.isFinite(value) ? value : null);
const SHA256 = /^[0-9a-f]{64}$/;

const TIDY = {
  output: (event) => ({ stream: event.stream === "stderr" ? "stderr" : "stdout", text: event.base64 === undefined ? text(event.text) : decoded(event.base64) }),
  display: (event) => ({
    data: object(event.data),
    metadata: object(event.metadata),
    blobs: Object.fromEntries(Object.entries(object(event.blobs)).filter(([, name]) => SHA256.test(name))),
    display_id: text(event.display_id),
    update: event.update === true,
  }),
  clear: (event) => ({ wait: event.wait === true }),
  error: (event) => ({
    ename: text(event.ename) || "Error",
    evalue: text(event.evalue),
    traceback: Array.isArray(event.traceback) ? event.traceback.map(text) : [],
  }),
  metric: (event) => ({ values: numbers(event.values), step: finite(event.step) }),
  sample: (event) => ({ cpus: finite(event.values?.cpus), memory: finite(event.values?.memory_bytes), gpus: gpus(event.values?.gpus) }),
  result: (event) => ({ name: text(event.name), kind: text(event.kind), format: text(event.format), size: count(event.size), reason: text(event.reason) }),
  file: (event) => ({ path: text(event.path), size: count(event.size) }),
  preparing: (event) => ({ message: text(event.message) }),
  cancel: (event) => ({ by: text(event.by), reason: text(event.reason) }),
  dropped: (event) => ({ stream: text(event.stream), count: count(event.count), message: text(event.message) }),
  storage: (event) => ({ message: text(event.message) }),
  queue: (event) => ({
    state: text(event.state) || "queued",
    position: finite(event.position),
    waiting_for: text(event.waiting_for) || null,
    starts_by: finite(event.starts_by),
  }),
  heartbeat: (event) => ({ message: text(event.message) }),
};

/** The event with the fields that its type has; types that are not known pass with none. */
export function tidy(event) {
  const given = object(event);
  const base = { type: text(given.type), seq: Number.isSafeInteger(given.seq) ? given.seq : 0, t: count(given.t) };
  return Object.hasOwn(TIDY, base.type) ? { ...base, ...TIDY[base.type](given) } : base;
}

function decoded(base64) {
  try {
    return new TextDecoder().decode(fromBase64(text(base64)));
  } catch {
    return "\ufffd";
  }
}

const WRITTEN = Object.freeze({ nan: NaN, inf: Infinity, "-inf": -Infinity });

/** The entries of `values` that are numbers; what JSON cannot say comes as its name. */
function numbers(values) {
  const kept = Object.entries(object(values)).map(([name, value]) => [name, WRITTEN[value] ?? value]);
  return Object.fromEntries(kept.filter(([, value]) => typeof value === "number"));
}

function gpus(list) {
  if (!Array.isArray(list)) return [];
  return list.slice(0, 64).map((gpu) => ({
    id: text(gpu?.id),
    percent: finite(gpu?.percent),
    memory: finite(gpu?.memory_bytes),
    total: finite(gpu?.memory_total_bytes),
  }));
}
