/**
 * What a program wrote to a terminal, as lines of styled runs. Carriage returns, backspaces and "erase line" are
 * folded, colours are kept, every other escape is dropped. No DOM except in `drawRuns`.
 */

const MAX_LINE = 20_000;
const MAX_HELD = 4096;
/** Changes of style in a line; what comes after goes on in the last one. */
const MAX_RUNS = 500;

/* In this order: a whole CSI; a whole OSC or other string; one that may go on in the next text; any other escape;
   a control character. Strings end at a line's end at the latest, so that stray bytes cannot swallow a log. */
const TOKEN = new RegExp(
  [
    String.raw`\x1b\[([0-?]*)[ -/]*([@-~])`,
    String.raw`\x1b[\]PX^_][^\x07\x1b\n]*(?:\x07|\x1b\\)`,
    String.raw`(\x1b(?:\[[ -?]*|[\]PX^_][^\x07\x1b\n]*\x1b?|[ -/]*)$)`,
    String.raw`\x1b(?:\[[ -?]*|[ -/]*[0-~])`,
    String.raw`[\x00-\x08\x0a-\x1f\x7f-\x9f]`,
  ].join("|"),
  "g",
);
const SPECIAL = /[\x00-\x08\x0b-\x1f\x7f-\x9f]/;

const ESCAPES = /\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_][^\x07\x1b\n]*(?:\x07|\x1b\\)|[ -/]*[0-Z\\^-~])?/g;
const CONTROLS = /[\x00-\x08\x0b-\x1f\x7f-\x9f]/g;

/** `text` without escapes and control characters, but for newlines and tabs. */
export const plain = (text) => (SPECIAL.test(text) ? text.replace(ESCAPES, "").replace(CONTROLS, "") : text);

/** Characters that turn the direction of what follows; in names they can only mislead. */
const TURNS = /[\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

/** `text` fit for a line of ours: plain, on one line, in the direction in which it is written. */
export const oneLine = (text) => plain(String(text ?? "")).replace(TURNS, "").replace(/[\n\t]/g, " ");

const PLAIN = Object.freeze({ classes: "", color: "", background: "" });

/** A line that is still being written. */
export class Line {
  runs = [];
  length = 0;
  column = 0;
  cut = false;

  write(text, style) {
    const room = MAX_LINE - this.column;
    if (text.length > room) {
      text = text.slice(0, room);
      this.cut = true;
    }
    if (!text) return;
    if (this.column >= this.length) this.#append(text, style);
    else this.#overwrite(text, style);
    this.column += text.length;
    this.length = Math.max(this.length, this.column);
  }

  #append(text, style) {
    const last = this.runs.at(-1);
    if (last && (last.style === style || this.runs.length >= MAX_RUNS)) last.text += text;
    else this.runs.push({ text, style });
  }

  #overwrite(text, style) {
    const end = this.column + text.length;
    if (this.runs.length >= MAX_RUNS) this.runs = [{ text: this.runs.map((run) => run.text).join(""), style: PLAIN }];
    this.runs = [...slice(this.runs, 0, this.column), { text, style }, ...slice(this.runs, end, Infinity)];
  }

  erase(mode) {
    if (mode === "2" || mode === "1") {
      this.runs = mode === "1" ? [{ text: " ".repeat(this.column), style: PLAIN }, ...slice(this.runs, this.column, Infinity)] : [];
    } else {
      this.runs = slice(this.runs, 0, this.column);
    }
    this.length = this.runs.reduce((sum, run) => sum + run.text.length, 0);
    if (this.length < this.column) this.#append(" ".repeat(this.column - this.length), PLAIN);
    this.length = Math.max(this.length, this.column);
  }
}

function slice(runs, start, end) {
  const kept = [];
  let at = 0;
  for (const run of runs) {
    const text = run.text.slice(Math.max(0, start - at), Math.max(0, end - at));
    if (text) kept.push({ text, style: run.style });
    at += run.text.length;
  }
  return kept;
}

/** One stream: its colours and the beginning of an escape whose rest has not come yet. */
export class Terminal {
  #state = {};
  #style = PLAIN;
  #held = "";

  /** Feed `text`: `line()` gives the open line, `newline()` closes it. */
  feed(text, line, newline) {
    text = this.#held + text;
    this.#held = "";
    if (!SPECIAL.test(text)) {
      this.#lines(text, line, newline);
      return;
    }
    let done = 0;
    for (const token of text.matchAll(TOKEN)) {
      if (token.index > done) line().write(text.slice(done, token.index), this.#style);
      done = token.index + token[0].length;
      if (token[3] !== undefined) this.#hold(token[3]);
      else this.#token(token, line, newline);
    }
    if (done < text.length) line().write(text.slice(done), this.#style);
  }

  #lines(text, line, newline) {
    const parts = text.split("\n");
    const rest = parts.pop();
    for (const part of parts) {
      line().write(part, this.#style);
      newline();
    }
    if (rest) line().write(rest, this.#style);
  }

  #hold(text) {
    if (text.length <= MAX_HELD) this.#held = text;
  }

  #token([text, parameters, final], line, newline) {
    if (text === "\n") {
      line();
      newline();
    } else if (text === "\r") line().column = 0;
    else if (text === "\b") line().column = Math.max(0, line().column - 1);
    else if (final === "m") {
      select(this.#state, parameters);
      this.#style = styleOf(this.#state);
    } else if (final === "K") line().erase(parameters);
  }
}

/** Apply the parameters of a colour escape (SGR) to `state`. */
function select(state, parameters) {
  const codes = parameters.split(";");
  while (codes.length) {
    const [first, ...sub] = codes.shift().split(":");
    const code = Number(first);
    if (code === 38 || code === 48) {
      const color = sub.length ? extended(sub[0], sub.slice(sub[0] === "2" ? -3 : 1)) : extended(codes.shift(), codes, true);
      if (color !== null) state[code === 38 ? "fg" : "bg"] = color;
    } else simple(state, code, sub);
  }
}

function simple(state, code, sub) {
  if (code === 0) for (const key of Object.keys(state)) delete state[key];
  else if (code === 1) state.bold = true;
  else if (code === 2) state.dim = true;
  else if (code === 3) state.italic = true;
  else if (code === 4 || code === 21) state.underline = sub[0] !== "0";
  else if (code === 7) state.inverse = true;
  else if (code === 9) state.strike = true;
  else if (code === 22) state.bold = state.dim = false;
  else if (code === 23) state.italic = false;
  else if (code === 24) state.underline = false;
  else if (code === 27) state.inverse = false;
  else if (code === 29) state.strike = false;
  else if (code >= 30 && code <= 37) state.fg = code - 30;
  else if (code === 39) delete state.fg;
  else if (code >= 40 && code <= 47) state.bg = code - 40;
  else if (code === 49) delete state.bg;
  else if (code >= 90 && code <= 97) state.fg = code - 82;
  else if (code >= 100 && code <= 107) state.bg = code - 92;
}

/** A colour of the 256 or a true one; with `take` its numbers are taken off `values`. */
function extended(kind, values, take = false) {
  const numbers = (take ? values.splice(0, kind === "2" ? 3 : 1) : values).map((value) => Number(value) & 255);
  if (kind === "2" && numbers.length === 3) return `rgb(${numbers.join(", ")})`;
  if (kind !== "5" || numbers.length !== 1) return null;
  const [index] = numbers;
  if (index < 16) return index;
  if (index >= 232) return `rgb(${Array(3).fill((index - 232) * 10 + 8).join(", ")})`;
  const level = (step) => (step ? step * 40 + 55 : 0);
  const cube = index - 16;
  return `rgb(${[Math.floor(cube / 36), Math.floor(cube / 6) % 6, cube % 6].map(level).join(", ")})`;
}

function styleOf(state) {
  let { fg, bg } = state;
  if (state.inverse) [fg, bg] = [bg ?? "paper", fg ?? "ink"];
  const classes = ["bold", "dim", "italic", "underline", "strike"].filter((name) => state[name]);
  const named = (color, side) => {
    if (color === undefined) return "";
    if (typeof color === "string" && color.startsWith("rgb")) return color;
    classes.push(`${side}-${color}`);
    return "";
  };
  const color = named(fg, "fg");
  const background = named(bg, "bg");
  return classes.length || color || background ? { classes: classes.join(" "), color, background } : PLAIN;
}

/** Replace the content of `node` by `runs`. */
export function drawRuns(node, runs) {
  if (runs.every((run) => run.style === PLAIN)) {
    node.textContent = runs.map((run) => run.text).join("");
    return;
  }
  node.replaceChildren(
    ...runs.map(({ text, style }) => {
      if (style === PLAIN) return text;
      const span = document.createElement("span");
      span.className = style.classes;
      span.style.color = style.color;
      // for a style sheet that brings colours nearer to those of a theme
      if (style.color) span.style.setProperty("--own", style.color);
      span.style.backgroundColor = style.background;
      span.textContent = text;
      return span;
    }),
  );
}

/** Draw a finished text, such as a traceback, into `node` as one element a line. */
export function drawText(node, text) {
  let line = new Line();
  const lines = [line];
  const newline = () => {
    line = new Line();
    lines.push(line);
  };
  new Terminal().feed(text, () => line, newline);
  for (const { runs } of lines) {
    const row = document.createElement("div");
    row.className = "line";
    drawRuns(row, runs);
    node.append(row);
  }
}
