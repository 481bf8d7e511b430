/** The charts of a job: its metrics and, where there is room, what it used of the box. */

import { Chart, Figures, duration, grouped, size } from '../page';
import type { Words } from '../words';

const EVERY_MS = 1000;

interface Given {
  readonly cpus?: number;
  readonly memory_bytes?: number;
}

export class Charts {
  private readonly charts = new Map<string, Chart>();
  private figures = new Figures();
  private drawn = -1;
  private timer = 0;

  /** Charts go into `metrics` and `use`; without a `use` only the metrics are drawn. */
  constructor(
    private readonly given: Given,
    private readonly trans: Words,
    private readonly metrics: HTMLElement,
    private readonly use: HTMLElement | null
  ) {}

  /** Have `figures` drawn, soon, unless they are. */
  show(figures: Figures): void {
    if (figures === this.figures && figures.added === this.drawn) {
      return;
    }
    this.figures = figures;
    this.timer ||= window.setTimeout(() => this.draw(), this.charts.size ? EVERY_MS : 0);
  }

  /** Begin anew. */
  reset(): void {
    this.dispose();
    this.charts.clear();
    this.metrics.replaceChildren();
    this.use?.replaceChildren();
    this.drawn = -1;
  }

  dispose(): void {
    window.clearTimeout(this.timer);
    this.timer = 0;
  }

  private draw(): void {
    this.timer = 0;
    this.drawn = this.figures.added;
    for (const { key, title, axis, group } of grouped(this.figures.metrics.all)) {
      // the title of a metric changes when a second series joins it
      if (group.length > 1) {
        this.forget(`${key} alone`);
      }
      this.chart(this.metrics, `${key} ${group.length > 1 ? 'together' : 'alone'}`, { title, axis }, group);
    }
    if (this.use) {
      this.drawUse(this.use);
    }
  }

  private drawUse(place: HTMLElement): void {
    const { cpus, memory, gpus, gpuMemory, gpuTotal } = this.figures.use;
    const percent = (value: number): string => `${Math.round(value)} %`;
    const { trans } = this;
    const kinds: [string, any[], object][] = [
      [trans.__('GPU busy'), gpus, { high: 100, write: percent }],
      [trans.__('GPU memory'), gpuMemory, { high: gpuTotal, write: size }],
      [trans.__('CPUs in use'), [cpus], { high: this.given.cpus ?? 0 }],
      [trans.__('Memory'), [memory], { high: this.given.memory_bytes ?? 0, write: size }]
    ];
    for (const [title, series, options] of kinds) {
      const drawn = series.filter(one => one?.first);
      if (drawn.length) {
        this.chart(place, `use ${title}`, { title, axis: trans.__('time'), low: 0, writeStep: duration, ...options }, drawn);
      }
    }
  }

  private chart(place: HTMLElement, key: string, options: object, series: unknown[]): void {
    let chart = this.charts.get(key);
    if (!chart) {
      chart = new Chart(options);
      this.charts.set(key, chart);
      place.append(chart.node);
    }
    chart.draw(series);
  }

  private forget(key: string): void {
    this.charts.get(key)?.node.remove();
    this.charts.delete(key);
  }
}
