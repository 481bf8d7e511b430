/**
 * Metrics over the steps of a run: from `mlmagics.log` and from the lines that libraries print. Pure; the rules are
 * those of the card (`mlmagics/display/series.py`).
 */

import { oneLine } from "./terminal.js";

/** A series keeps about so many points, a job so many series. */
const MAX_POINTS = 1000;
const MAX_SERIES = 20;
const MAX_NAME = 80;
const MAX_LINE = 4000;

const NUMBER = String.raw`[-+]?(?:\d+\.?\d*(?:[eE][-+]?\d+)?|nan|inf)`;
const ROUND = /^\[(\d{1,15})\]\t+([^\t].*)$/;
/* `train-rmse:0.45`, of cross-validation `train-rmse:0.45+0.01`, `valid_0's l2: 0.3` */
const SCORE = new RegExp(String.raw`^([\p{L}_][^\t:]{0,${MAX_NAME}}?)\s*:\s*(${NUMBER})(?:\s*\+\s*${NUMBER})?$`, "u");
const LOGGED = new RegExp(String.raw`'([^']{1,${MAX_NAME}})': '?(${NUMBER})'?(?=[,}])`, "g");
/* What a Trainer logs beside scores. */
const ASIDE = /^(?:epoch|total_flos|.*(?:_runtime|_per_second|num_tokens|num_input_tokens_seen))$/;

/** One metric, in bounded space however long the run is: buckets of values keep their lowest and their highest. */
export class Series {
  count = 0;
  notFinite = 0;
  first = null;
  latest = null;
  low = null;
  high = null;
  #kept = [];
  #bucket = [];
  #width = 1;
  #inBucket = 0;
  #gap = false;

  constructor(name, axis) {
    this.name = name;
    this.axis = axis;
  }

  /** One more value; without a step it belongs one further than the last. A gap says that no line leads to a point. */
  add(step, value) {
    const point = { step: step ?? (this.latest ? this.latest.step + 1 : 0), value, gap: this.#gap };
    this.count += 1;
    this.latest = point;
    this.#gap = !Number.isFinite(value);
    if (this.#gap) {
      this.notFinite += 1;
      return;
    }
    this.first ??= point;
    if (!this.low || value < this.low.value) this.low = point;
    if (!this.high || value > this.high.value) this.high = point;
    this.#bucket = extremes([...this.#bucket, point]);
    this.#inBucket += 1;
    if (this.#inBucket >= this.#width) this.#close();
  }

  /** What is drawn, in the order of arrival. */
  get points() {
    const points = [...this.#kept, ...this.#bucket];
    if (this.first && !samePlace(points[0], this.first)) points.unshift(this.first);
    if (points.length && !this.#gap && !samePlace(points.at(-1), this.latest)) points.push(this.latest);
    return points;
  }

  #close() {
    this.#kept.push(...this.#bucket);
    this.#bucket = [];
    this.#inBucket = 0;
    if (this.#kept.length <= MAX_POINTS - 8) return;
    this.#width *= this.#width > 1 ? 2 : 4;
    const halved = [];
    for (let at = 0; at < this.#kept.length; at += 4) halved.push(...extremes(this.#kept.slice(at, at + 4)));
    this.#kept = halved;
  }
}

const samePlace = (one, other) => one.step === other.step && one.value === other.value;

/** The lowest and the highest of `points`, in their order. */
function extremes(points) {
  if (points.length < 3) return points;
  let low = 0;
  let high = 0;
  points.forEach((point, at) => {
    if (point.value < points[low].value) low = at;
    if (point.value > points[high].value) high = at;
  });
  const [first, ...second] = [...new Set([low, high])].sort((a, b) => a - b).map((at) => points[at]);
  const gap = points.some((point) => point.gap);
  return [gap === first.gap ? first : { ...first, gap }, ...second];
}

/** All series of a job. */
export class Metrics {
  #series = new Map();
  /** Values of further names, of which no series is kept. */
  leftOut = 0;
  /** Values in all. */
  added = 0;

  get all() {
    return [...this.#series.values()];
  }

  /** One more value of some metrics, which are numbers. */
  add(values, step, axis = "step") {
    for (const [name, value] of Object.entries(values)) this.#add(name.slice(0, MAX_NAME), value, step, axis);
  }

  /** Take the metrics that a line of output tells, if it does. */
  readLine(line) {
    for (const [name, value, step, axis] of told(line.slice(0, MAX_LINE))) this.#add(name, value, step, axis);
  }

  #add(name, value, step, axis) {
    this.added += 1;
    if (!this.#series.has(name)) {
      if (this.#series.size >= MAX_SERIES) {
        this.leftOut += 1;
        return;
      }
      this.#series.set(name, new Series(oneLine(name), axis));
    }
    this.#series.get(name).add(step, value);
  }
}

function told(line) {
  if (line.startsWith("[")) return evaluation(line);
  if (line.startsWith("{'") && line.trimEnd().endsWith("}")) return logged(line);
  return [];
}

function evaluation(line) {
  const round = ROUND.exec(line.trimEnd());
  if (!round) return [];
  const parts = round[2].split("\t").map((part) => SCORE.exec(part.trim()));
  return parts.every(Boolean) ? parts.map(([, name, value]) => [name, numberOf(value), Number(round[1]), "round"]) : [];
}

function logged(line) {
  const scores = new Map([...line.matchAll(LOGGED)].map(([, name, value]) => [name, numberOf(value)]));
  if (!scores.has("epoch")) return [];
  return [...scores].filter(([name]) => !ASIDE.test(name)).map(([name, value]) => [name, value, scores.get("epoch"), "epoch"]);
}

function numberOf(text) {
  const word = text.replace(/^[-+]/, "");
  if (word === "nan") return NaN;
  if (word === "inf") return text.startsWith("-") ? -Infinity : Infinity;
  return Number(text);
}
