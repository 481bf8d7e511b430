/** What a job tells in numbers: progress, metrics, use of the box. Pure; fed with the events of its log, in order. */

import { ProgressReader } from "./progress.js";
import { Metrics, Series } from "./series.js";

/** A line that is still being written is kept up to this length. */
const MAX_TAIL = 4000;

export class Figures {
  metrics = new Metrics();
  use = new Use();
  #readers = { stdout: new ProgressReader(), stderr: new ProgressReader() };
  #tails = { stdout: "", stderr: "" };
  #latest = null;

  /** How far the job said last that it is, or null. */
  get progress() {
    return this.#latest?.current ?? null;
  }

  /** Grows with each value that the charts show. */
  get added() {
    return this.metrics.added + this.use.added;
  }

  take(event) {
    if (event.type === "output") this.#read(event.stream, event.text);
    else if (event.type === "metric") this.metrics.add(event.values, event.step);
    else if (event.type === "sample") this.use.add(event);
  }

  #read(stream, text) {
    const reader = this.#readers[stream];
    if (reader.feed(text)) this.#latest = reader;
    const tail = this.#tails[stream];
    const cut = text.lastIndexOf("\n") + 1;
    if (cut && (tellsMetrics(text) || tellsMetrics(tail))) {
      for (const line of (tail + text.slice(0, cut)).split(/[\r\n]+/)) this.metrics.readLine(line);
    }
    this.#tails[stream] = (cut ? text.slice(cut) : tail + text).slice(-MAX_TAIL);
  }
}

/** Whether `text` may hold lines with metrics: a cheap look before the lines are cut. */
const tellsMetrics = (text) => text.includes("]\t") || text.includes("'epoch':");

/** GPUs that are drawn one by one. */
const MAX_GPUS = 16;

/** What a job used over the seconds of its log, from the samples that its supervisor takes. */
class Use {
  cpus = new Series("CPUs", "time");
  memory = new Series("Memory", "time");
  gpus = [];
  gpuMemory = [];
  /** Bytes of the largest GPU's memory, where known. */
  gpuTotal = 0;
  added = 0;

  add({ t, cpus, memory, gpus }) {
    this.added += 1;
    if (cpus !== null) this.cpus.add(t, cpus);
    if (memory !== null) this.memory.add(t, memory);
    gpus.slice(0, MAX_GPUS).forEach((gpu, index) => {
      const name = gpus.length > 1 ? `GPU ${index + 1}` : "GPU";
      if (gpu.percent !== null) (this.gpus[index] ??= new Series(name, "time")).add(t, gpu.percent);
      if (gpu.memory !== null) (this.gpuMemory[index] ??= new Series(name, "time")).add(t, gpu.memory);
      this.gpuTotal = Math.max(this.gpuTotal, gpu.total ?? 0);
    });
  }
}
