/** Reads the log of one job, as long as somebody looks, and hands on what comes. */

import { Agent, Figures, Learner, LogView, Refused, SHOWN, tidy } from '../page';
import type { JobView } from '../types';
import type { Words } from '../words';
import { noteOf } from './notes';
import { turns } from './turns';

/** Events that are asked for at first, at most. */
const TAIL = 2000;
/** Events that are read before a place that was searched for. */
const BEFORE = 200;

export interface Told {
  /** Numbers have come: progress, metrics, use. */
  readonly figures: (figures: Figures) => void;
  /** The state may be another: ask for the job. */
  readonly moved: () => void;
  /** What the agent says about the present; empty for nothing. */
  readonly message: (text: string) => void;
  readonly connected: (yes: boolean) => void;
  readonly ended: () => void;
  /** It cannot be read, and why. */
  readonly failed: (error: unknown) => void;
}

export class Reading {
  private readonly learner: Learner;
  private figures = new Figures();
  private going: AbortController | null = null;
  private seen = 0;
  private tag: string;
  /** The event behind which to begin; null for the last part of the log. */
  private begin: number | null = null;
  private isDone = false;
  private isFirst = true;

  constructor(
    private readonly agent: Agent,
    private readonly job: JobView,
    private readonly view: LogView,
    private readonly trans: Words,
    private readonly told: Told
  ) {
    this.tag = job.log_tag;
    this.learner = new Learner(agent, job, (event: never) => this.learn(event), () => undefined);
  }

  /** Go on reading, unless the log is complete. */
  start(): void {
    if (this.going === null && !this.isDone) {
      const going = new AbortController();
      this.going = going;
      void this.read(going.signal).finally(() => {
        if (this.going === going) {
          this.going = null;
        }
      });
    }
  }

  /** Rest; `start` goes on where it was. */
  stop(): void {
    this.going?.abort();
    this.going = null;
  }

  /** Begin anew with all of it in place of its last part, or with its last part. */
  restart(where: 'start' | 'end'): void {
    this.stop();
    this.begin = where === 'start' ? 0 : null;
    this.forget();
    this.start();
  }

  /** Show the part of the log around the event `seq`, and nothing that comes; what the charts know stays. */
  readAround(seq: number): void {
    this.stop();
    this.begin = Math.max(0, seq - 1 - BEFORE);
    this.forgetLines(true);
    this.start();
  }

  private forget(): void {
    this.figures = new Figures();
    this.learner.reset();
    this.forgetLines(false);
  }

  private forgetLines(isPart: boolean): void {
    this.seen = 0;
    this.isDone = false;
    this.isFirst = true;
    this.view.reset(isPart);
  }

  private async read(signal: AbortSignal): Promise<void> {
    const giveBack = await turns.take(signal);
    try {
      if (!signal.aborted) {
        await this.follow(signal);
      }
    } catch (error) {
      if (signal.aborted) {
        return;
      }
      if (error instanceof Refused && [410, 416].includes(error.status)) {
        // the box went down and its log was cut: what is shown may be wrong
        this.forget();
        this.tag = '';
        this.told.moved();
        window.setTimeout(() => this.start(), 1000);
        return;
      }
      this.isDone = true;
      this.told.failed(error);
    } finally {
      giveBack();
    }
  }

  private async follow(signal: AbortSignal): Promise<void> {
    const id = this.job.job_id;
    const options = {
      from: this.seen || (this.begin ?? 0),
      logTag: this.tag,
      tail: this.seen || this.begin !== null ? 0 : await this.agent.tail(id, TAIL).catch(() => TAIL),
      signal,
      alive: () => this.told.connected(true),
      trouble: () => this.told.connected(false)
    };
    for await (const events of this.agent.follow(id, options)) {
      for (const raw of events) {
        if (signal.aborted) {
          return;
        }
        this.take(tidy(raw));
        if (this.view.reading && this.view.appended >= SHOWN) {
          this.isDone = true;
          return;
        }
      }
    }
    if (!signal.aborted) {
      this.isDone = true;
      this.told.ended();
    }
  }

  private take(event: { type: string; seq: number }): void {
    if (event.seq) {
      this.seen = event.seq;
      if (this.isFirst) {
        this.isFirst = false;
        this.view.partial = event.seq > 1;
        if (!this.view.reading) {
          this.learner.begins(event.seq);
        }
      }
    }
    if (!this.view.reading) {
      this.learner.take(event);
    }
    this.show(event);
  }

  private show(event: any): void {
    const { view } = this;
    if (event.type === 'output') {
      view.output(event);
    } else if (event.type === 'display') {
      view.display(event);
    } else if (event.type === 'error') {
      view.error(event);
    } else if (event.type === 'clear') {
      view.clear(event.wait);
    } else {
      const note = noteOf(event, this.trans);
      if (note) {
        view.note(note.text, note.isWarning ? 'note warn' : 'note');
      }
    }
  }

  private learn(event: any): void {
    if (['output', 'metric', 'sample'].includes(event.type)) {
      this.figures.take(event);
      this.told.figures(this.figures);
    } else if (['queue', 'preparing', 'started', 'cancel'].includes(event.type)) {
      this.told.moved();
    } else if (event.type === 'heartbeat') {
      this.told.message(event.message);
    }
  }
}
