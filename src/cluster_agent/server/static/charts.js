/** The charts of a job: its metrics, and what it used of the box. */

import { Chart } from "./chart.js";
import { byId, setText } from "./dom.js";
import { duration, plural, size } from "./format.js";

const EVERY_MS = 1000;

const WORDS = /[^0-9A-Za-z@]+/;
const DATA_SETS = new Set("train training trn valid validation val test testing eval evaluation dev holdout cv agg".split(" "));

/** The metric in `name`, without what says on which data it was measured: `rmse` of `train-rmse`. */
export function metricOf(name) {
  const kept = [];
  let afterSet = false;
  for (const word of name.split(WORDS)) {
    // `valid_0's l2`: a number and a genitive belong to the data set before them
    afterSet = DATA_SETS.has(word.toLowerCase()) || (afterSet && (/^\d*$/.test(word) || word === "s"));
    if (!afterSet && word) kept.push(word);
  }
  return kept.join(" ") || name;
}

/** Series by metric, in the order in which they began; one without any finite value has no chart. */
export function grouped(series) {
  const groups = new Map();
  for (const one of series.filter(({ first }) => first)) {
    const key = `${metricOf(one.name)}\n${one.axis}`;
    groups.set(key, [...(groups.get(key) ?? []), one]);
  }
  return [...groups].map(([key, group]) => ({ key, title: group.length > 1 ? key.split("\n")[0] : group[0].name, axis: group[0].axis, group }));
}

export class Charts {
  #charts = new Map();
  #given;
  #figures = null;
  #drawn = 0;
  #timer = 0;

  /** `given` is the job, whose resources are the scale of what it uses. */
  constructor(given) {
    this.#given = given;
    for (const part of ["metrics", "use"]) byId(part).addEventListener("toggle", () => this.#draw());
  }

  /** Have `figures` drawn, soon, unless they are. */
  show(figures) {
    if (figures === this.#figures && figures.added === this.#drawn) return;
    this.#figures = figures;
    this.#timer ||= setTimeout(() => this.#draw(), this.#charts.size ? EVERY_MS : 0);
  }

  #draw() {
    clearTimeout(this.#timer);
    this.#timer = 0;
    if (!this.#figures) return;
    this.#drawn = this.#figures.added;
    this.#drawMetrics(this.#figures.metrics);
    this.#drawUse(this.#figures.use);
  }

  #drawMetrics({ all, leftOut }) {
    byId("metrics").hidden = !all.length;
    setText(byId("metrics-more"), leftOut ? `${plural(leftOut, "value")} of further metrics not drawn; the log has them.` : "");
    byId("metrics-more").hidden = !leftOut;
    for (const { key, title, axis, group } of grouped(all)) {
      // The title of a metric changes when a second series joins it.
      this.#chart(byId("metric-charts"), `metric ${key} ${group.length > 1}`, () => ({ title, axis }), group);
      if (group.length > 1) this.#forget(`metric ${key} false`);
    }
  }

  #drawUse({ cpus, memory, gpus, gpuMemory, gpuTotal }) {
    const { cpus: mostCpus = 0, memory_bytes: mostMemory = 0 } = this.#given;
    byId("use").hidden = !cpus.count && !memory.count;
    const percent = (value) => `${Math.round(value)} %`;
    const kinds = [
      ["GPU busy", gpus, { high: 100, write: percent }],
      ["GPU memory", gpuMemory, { high: gpuTotal, write: size }],
      ["CPUs in use", [cpus], { high: mostCpus }],
      ["Memory", [memory], { high: mostMemory, write: size }],
    ];
    for (const [title, series, options] of kinds) {
      const drawn = series.filter((one) => one?.first);
      if (drawn.length) this.#chart(byId("use-charts"), `use ${title}`, () => ({ title, axis: "time", low: 0, writeStep: duration, ...options }), drawn);
    }
  }

  #chart(place, key, options, series) {
    let chart = this.#charts.get(key);
    if (!chart) {
      chart = new Chart(options());
      this.#charts.set(key, chart);
      place.append(chart.node);
    }
    if (place.closest("details").open) chart.draw(series);
  }

  #forget(key) {
    this.#charts.get(key)?.node.remove();
    this.#charts.delete(key);
  }

  /** Begin anew: the log is not the one that it was. */
  reset() {
    for (const key of [...this.#charts.keys()]) this.#forget(key);
    for (const part of ["metrics", "use"]) byId(part).hidden = true;
    this.#figures = null;
  }
}
