/** How far running jobs say that they are, read from the end of their logs now and then. */

import { Signal } from '@lumino/signaling';
import type { ISignal } from '@lumino/signaling';
import type { Api } from '../api';
import { isMine } from '../model';
import type { State } from '../model';
import type { JobView } from '../types';
import { keyOf } from './keys';
import { percentIn } from './percent';

const EVERY_MS = 5000;
/** Jobs that are asked about, and events of each. */
const MOST = 8;
const EVENTS = 60;

export class Progresses {
  private readonly _changed = new Signal<this, void>(this);
  private readonly known = new Map<string, number>();
  private timer = 0;

  constructor(
    private readonly api: Api,
    private readonly state: () => State
  ) {}

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  get percents(): ReadonlyMap<string, number> {
    return this.known;
  }

  /** Read while somebody looks. */
  watch(yes: boolean): void {
    window.clearTimeout(this.timer);
    if (yes) {
      void this.look();
    }
  }

  private async look(): Promise<void> {
    window.clearTimeout(this.timer);
    const running = (this.state().jobs ?? []).filter(job => job.state === 'running' && isMine(job)).slice(0, MOST);
    if (!document.hidden) {
      for (const job of running) {
        await this.read(job);
      }
      if (running.length) {
        this._changed.emit();
      }
    }
    window.clearTimeout(this.timer);
    this.timer = window.setTimeout(() => void this.look(), EVERY_MS);
  }

  private async read(job: JobView): Promise<void> {
    try {
      const reply = await this.api.agent(job.cluster).request(`jobs/${job.job_id}/events?tail=${EVENTS}`);
      const percent = percentIn(await reply.text());
      if (percent !== null) {
        this.known.set(keyOf(job), percent);
      }
    } catch {
      // the list of jobs tells what is wrong with the cluster
    }
  }
}
