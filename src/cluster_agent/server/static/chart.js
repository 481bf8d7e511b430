/**
 * A small line chart with its words: who it shows, from where to where, a table of lowest and highest, and one of
 * values. The rules are those of the card (`mlmagics/display/chart.py`).
 */

import { element, setText } from "./dom.js";
import { number, rounded, significant } from "./format.js";

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 300;
const HEIGHT = 110;
const EDGE = 6;
const DECADES = 1000;
const ROWS = 100;
/** Styles of lines, in the style sheet as `.s0` and on. */
const STROKES = 8;

/** Attributes of SVG are no properties. */
function shape(tag, attributes = {}, ...children) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

/** A number in a chart: four significant digits, but below a million never without its whole part. */
export function figure(value) {
  const size = Math.abs(value);
  return size < 1e6 && (size >= 1e4 || Number.isInteger(value)) ? String(rounded(value)) : significant(value);
}

/**
 * One chart: `title`; `axis`, the word for the steps; `write` and `writeStep`, how values and steps are written;
 * `low` and `high`, where the scale begins and ends whatever the values are.
 */
export class Chart {
  node = element("figure", { className: "chart" });
  #options;
  #series = [];
  #values;
  #readout = element("p", { className: "readout" });
  #scale = null;

  constructor(options) {
    this.#options = { write: figure, writeStep: figure, ...options };
    this.#values = element("details", { className: "values" }, element("summary", {}, "Values"), element("div"));
    this.#values.addEventListener("toggle", () => this.#drawValues());
    this.node.addEventListener("pointermove", (event) => this.#point(event));
    this.node.addEventListener("pointerleave", () => this.#unpoint());
  }

  /** Draw `series` as they are now. */
  draw(series) {
    this.#series = series.map((one) => ({ name: one.name, latest: one.latest, low: one.low, high: one.high, notFinite: one.notFinite, points: one.points }));
    const { title, axis, write, writeStep } = this.#options;
    const scale = (this.#scale = new Scale(this.#series, this.#options));
    const steps = scale.steps.map(writeStep);
    this.node.replaceChildren(
      element("figcaption", {}, title),
      element(
        "div",
        { className: "plot" },
        element("div", { className: "ends" }, element("span", {}, write(scale.high)), element("span", {}, scale.low < scale.high ? write(scale.low) : "")),
        this.#drawing(scale),
      ),
      element("div", { className: "steps" }, element("span", {}, steps[0]), element("span", {}, axis + (scale.log ? ", log scale" : "")), element("span", {}, steps[0] === steps[1] ? "" : steps[1])),
      this.#readout,
      this.#summary(),
      this.#values,
    );
    this.#drawValues();
  }

  #drawing(scale) {
    const { title, axis, write, writeStep } = this.#options;
    const at = (point) => `${write(point.value)} at ${axis} ${writeStep(point.step)}`;
    const told = this.#series.map(({ name, latest, low, high }) => `${name}: latest ${at(latest)}, lowest ${at(low)}, highest ${at(high)}`);
    return shape(
      "svg",
      { role: "img", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none" },
      shape("title", {}, `${title} by ${axis}. `),
      shape("desc", {}, `${told.join(". ")}.`),
      ...[EDGE, HEIGHT - EDGE].map((y) => shape("line", { class: "rule", x1: 0, x2: WIDTH, y1: y, y2: y })),
      ...this.#series.flatMap(({ points }, index) => line(points, scale, `s${index % STROKES}`)),
      shape("line", { class: "cursor", y1: 0, y2: HEIGHT }),
    );
  }

  #summary() {
    const { write, writeStep } = this.#options;
    const at = (point) => [element("span", {}, write(point.value)), " ", element("span", { className: "aside" }, `at ${writeStep(point.step)}`)];
    const rows = this.#series.map(({ name, latest, low, high, notFinite }, index) => {
      const bad = notFinite ? ` (${number(notFinite)} not finite)` : "";
      return [[sample(index), " ", name], [element("span", {}, write(latest.value)), bad], at(low), at(high)];
    });
    return table(["series", "latest", "lowest", "highest"], rows);
  }

  /** Values over the run, as many as fit a table. */
  #drawValues() {
    if (!this.#values.open) return;
    const { axis, write, writeStep } = this.#options;
    const steps = [...new Set(this.#series.flatMap(({ points }) => points.map(({ step }) => step)))].sort((a, b) => a - b);
    const every = Array.from({ length: ROWS }, (_, at) => steps[Math.round((at * (steps.length - 1)) / (ROWS - 1))]);
    const values = this.#series.map(({ points }) => new Map(points.map(({ step, value }) => [step, value])));
    const rows = (steps.length <= ROWS ? steps : [...new Set(every)]).map((step) => [
      [writeStep(step)],
      ...values.map((of) => [of.has(step) ? write(of.get(step)) : ""]),
    ]);
    this.#values.lastChild.replaceChildren(table([axis, ...this.#series.map(({ name }) => name)], rows));
  }

  /** Tell the values nearest to the pointer. */
  #point({ target, clientX }) {
    const drawing = target.closest(".plot svg");
    if (!drawing || !this.#scale) return;
    const { left, width } = drawing.getBoundingClientRect();
    const near = (points) => points.reduce((best, point) => (Math.abs(this.#scale.x(point.step) - x) < Math.abs(this.#scale.x(best.step) - x) ? point : best));
    const x = ((clientX - left) / width) * WIDTH;
    const found = this.#series.map(({ name, points }) => ({ name, ...near(points) }));
    const { axis, write, writeStep } = this.#options;
    setText(this.#readout, `${axis} ${writeStep(found[0].step)}: ${found.map(({ name, value }) => `${name} ${write(value)}`).join(", ")}`);
    const cursor = drawing.querySelector(".cursor");
    for (const end of ["x1", "x2"]) cursor.setAttribute(end, this.#scale.x(found[0].step));
    this.node.classList.add("pointed");
  }

  #unpoint() {
    this.node.classList.remove("pointed");
    setText(this.#readout, "");
  }
}

/** Where a point of a chart is drawn. */
class Scale {
  constructor(series, { low = Infinity, high = -Infinity }) {
    const points = series.flatMap((one) => one.points);
    this.low = points.reduce((least, { value }) => Math.min(least, value), low);
    this.high = points.reduce((most, { value }) => Math.max(most, value), high);
    this.steps = [points.reduce((least, { step }) => Math.min(least, step), Infinity), points.reduce((most, { step }) => Math.max(most, step), -Infinity)];
    this.log = this.low > 0 && this.high / this.low > DECADES;
  }

  x(step) {
    return EDGE + share(step, ...this.steps) * (WIDTH - 2 * EDGE);
  }

  y(value) {
    const part = this.log ? share(Math.log(value), Math.log(this.low), Math.log(this.high)) : share(value, this.low, this.high);
    return HEIGHT - EDGE - part * (HEIGHT - 2 * EDGE);
  }
}

/** Halves, so that the difference of huge numbers stays finite. */
const share = (value, low, high) => (high > low ? (value / 2 - low / 2) / (high / 2 - low / 2) : 0.5);

/** A line that begins anew where steps go back and after gaps; a point alone is a dot. */
function line(points, scale, className) {
  const starts = (at) => at === 0 || points[at].gap || points[at].step < points[at - 1].step;
  const dots = [];
  const path = points.map(({ step, value }, at) => {
    const [x, y] = [scale.x(step).toFixed(1), scale.y(value).toFixed(1)];
    const lonely = starts(at) && (at + 1 === points.length || starts(at + 1));
    // A dot is a line without a length: a circle would become an ellipse where the drawing is stretched.
    if (lonely) dots.push(shape("path", { class: `${className} dot`, d: `M${x} ${y}h0` }));
    return `${starts(at) ? "M" : "L"}${x} ${y}`;
  });
  return [shape("path", { class: className, d: path.join("") }), ...dots];
}

/** The stroke of a line, for the table. */
function sample(index) {
  return shape("svg", { class: "sample", viewBox: "0 0 28 8", "aria-hidden": "true" }, shape("path", { class: `s${index % STROKES}`, d: "M0 4H28" }));
}

/** A table whose cells are lists of texts and nodes; the first of a row is its head. */
function table(heads, rows) {
  const head = (scope, ...content) => element("th", { scope }, ...content);
  const body = rows.map(([first, ...cells]) => element("tr", {}, head("row", ...first), ...cells.map((cell) => element("td", {}, ...cell))));
  return element("table", {}, element("thead", {}, element("tr", {}, ...heads.map((word) => head("col", word)))), element("tbody", {}, ...body));
}
