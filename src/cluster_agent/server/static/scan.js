/** Reading the whole log, beyond what the page shows: for what the charts miss, and to search in it. */

import { tidy } from "./events.js";
import { plain } from "./terminal.js";

const SEQ = /^\{"seq":(\d+)/;
/** Where a line tells its type, at the latest. */
const HEAD = 160;
/** Characters of a line that has no end yet. */
const MAX_OPEN = 1_000_000;

/**
 * Call `each(line)` for the lines of the log after event `from` and before event `until`, within `most` characters;
 * `told(characters)` hears how far it is. Gives whether all of these were read.
 */
export async function scan(agent, jobId, { signal, from = "0", until = Infinity, most = Infinity, each, told = (_characters) => {} }) {
  let length = 0;
  for await (const lines of agent.read(jobId, from, signal)) {
    for (const line of lines) {
      const seq = Number(SEQ.exec(line)?.[1] ?? 0);
      if (seq >= until) return true;
      length += line.length;
      if (length > most) return false;
      each(line);
    }
    told(length);
  }
  return true;
}

/** Whether the event of a line is of one of `types`; a cheap look, for what is asked of each line of the log. */
export function mayHaveType(line, ...types) {
  const head = line.slice(0, HEAD);
  return types.some((type) => head.includes(`"type":"${type}"`));
}

/** The event of a line, or null for one that is damaged. */
export function eventOf(line) {
  try {
    return tidy(JSON.parse(line));
  } catch {
    return null;
  }
}

/** Puts the output of a job together to lines as a reader sees them, roughly: without colours, the last of what was rewritten. */
export class Lines {
  #open = { stdout: null, stderr: null };
  #count = { stdout: 0, stderr: 0 };

  /** Call `each({ text, seq, stream, number })` for each line that `event` ends; `seq` is that of its beginning. */
  feed({ stream, text, seq }, each) {
    const parts = text.split("\n");
    const open = this.#open[stream];
    let begun = open?.seq ?? seq;
    if (open) parts[0] = open.text + parts[0];
    const rest = parts.pop();
    for (const part of parts) {
      this.#tell(stream, part, begun, each);
      begun = seq;
    }
    this.#open[stream] = rest ? { text: rest.slice(-MAX_OPEN), seq: begun } : null;
  }

  /** The lines that have no end. */
  finish(each) {
    for (const [stream, open] of Object.entries(this.#open)) if (open) this.#tell(stream, open.text, open.seq, each);
  }

  #tell(stream, raw, seq, each) {
    this.#count[stream] += 1;
    const last = raw.includes("\r") ? raw.replace(/\r+$/, "").split("\r").at(-1) : raw;
    each({ text: plain(last), seq, stream, number: this.#count[stream] });
  }
}
