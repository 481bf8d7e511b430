/**
 * The state of the sidebar, kept up to date.
 *
 * While the panel is looked at, or a job of one's own goes on, one stream tells what changes. Else the jobs are asked
 * for now and then, so that the status bar is right and a job from elsewhere is noticed.
 */

import { Signal } from '@lumino/signaling';
import type { ISignal } from '@lumino/signaling';
import type { Api } from './api';
import { Declined, Offline, reasonOf } from './failures';
import { START, find, hasActive, justEnded, reduce } from './model';
import type { Change, Phase, State } from './model';
import { Stream } from './stream';
import type { ClusterView, JobView, Push } from './types';

const LOOK_MS = 20_000;
const HIDDEN_MS = 120_000;

export class Store {
  private readonly _changed = new Signal<this, State>(this);
  private readonly _ended = new Signal<this, readonly JobView[]>(this);
  private readonly _pushed = new Signal<this, Push>(this);
  private readonly stream: Stream;
  private _state = START;
  private isWatched = false;
  /** Jobs of notebooks that were looked for. */
  private readonly asked = new Set<string>();
  private timer = 0;

  constructor(
    readonly api: Api,
    private readonly version: string
  ) {
    this.stream = new Stream({
      open: () => new api.settings.WebSocket(api.streamUrl(this._state.everybody)),
      take: message => this.take(message as Push),
      connected: yes => (yes ? this.change({ type: 'phase', phase: 'ready' }) : void this.look()),
      later: (act, ms) => {
        const timer = window.setTimeout(act, ms);
        return () => window.clearTimeout(timer);
      }
    });
    document.addEventListener('visibilitychange', () => this.settle());
  }

  get state(): State {
    return this._state;
  }

  get changed(): ISignal<this, State> {
    return this._changed;
  }

  /** Own jobs that have just ended. */
  get ended(): ISignal<this, readonly JobView[]> {
    return this._ended;
  }

  /** All that the stream pushes. */
  get pushed(): ISignal<this, Push> {
    return this._pushed;
  }

  /** Begin to know. */
  async start(): Promise<void> {
    try {
      const { version } = await this.api.version();
      this.change({ type: 'version', own: this.version, other: version });
    } catch (error) {
      this.change({ type: 'phase', ...phaseOf(error) });
      this.settle();
      return;
    }
    await this.look();
  }

  /** Whether somebody looks at the panel. */
  watch(yes: boolean): void {
    this.isWatched = yes;
    this.settle();
  }

  /** Show the jobs of all people, or of the one who looks only. */
  showEverybody(everybody: boolean): void {
    if (everybody !== this._state.everybody) {
      this.change({ type: 'everybody', everybody });
      this.stream.stop();
      void this.look();
    }
  }

  /** Ask for everything now. */
  async refresh(): Promise<void> {
    await (this._state.phase === 'ready' ? Promise.all([this.look(), this.lookAtClusters()]) : this.start());
  }

  /** Ask for the jobs now. */
  async look(): Promise<void> {
    const { everybody } = this._state;
    try {
      const found = await this.api.jobs(everybody);
      if (everybody === this._state.everybody) {
        this.change({ type: 'jobs', ...found });
      }
      this.change({ type: 'phase', phase: 'ready' });
    } catch (error) {
      this.change({ type: 'phase', ...phaseOf(error) });
    }
    this.settle();
  }

  /** A notebook shows this job: if it is not known, it was submitted just now. */
  noticed(cluster: string, id: number): void {
    const { jobs, phase } = this._state;
    const key = `${cluster}/${id}`;
    if (phase === 'ready' && jobs !== null && !this.asked.has(key) && !find(this._state, cluster, id)) {
      this.asked.add(key);
      void this.look();
    }
  }

  /** Ask for the clusters now. */
  async lookAtClusters(): Promise<void> {
    try {
      this.change({ type: 'clusters', ...(await this.api.clusters()) });
    } catch (error) {
      this.change({ type: 'phase', ...phaseOf(error) });
    }
  }

  /** Take over a job, or a cluster list, that a call has just told. */
  learn(told: { readonly job: JobView } | { readonly clusters: readonly ClusterView[] }): void {
    this.change('job' in told ? { type: 'job', job: told.job } : { type: 'clusters', clusters: told.clusters });
    this.settle();
  }

  private take(push: Push): void {
    if (push.type === 'jobs' && (push.all ?? this._state.everybody) === this._state.everybody) {
      this.change({ type: 'jobs', jobs: push.jobs, troubles: push.troubles });
      this.settle();
    } else if (push.type === 'clusters') {
      this.change({ type: 'clusters', clusters: push.clusters });
    } else if (push.type === 'trouble') {
      this.change(
        push.error === null
          ? { type: 'phase', phase: 'ready' }
          : { type: 'phase', phase: 'refused', problem: push.error.message }
      );
    }
    this._pushed.emit(push);
  }

  private change(change: Change): void {
    const before = this._state;
    this._state = reduce(before, change);
    if (this._state === before) {
      return;
    }
    const ended = justEnded(before, this._state);
    if (ended.length) {
      this._ended.emit(ended);
    }
    this._changed.emit(this._state);
  }

  /** Listen, or look again later, as it is needed now. */
  private settle(): void {
    window.clearTimeout(this.timer);
    const { phase } = this._state;
    const wanted = (this.isWatched && !document.hidden) || hasActive(this._state);
    if (wanted && (phase === 'ready' || this.stream.isOn)) {
      this.stream.start();
      return;
    }
    this.stream.stop();
    if (phase === 'missing') {
      return; // until a person asks again
    }
    this.timer = window.setTimeout(() => void this.look(), document.hidden ? HIDDEN_MS : LOOK_MS);
  }
}

function phaseOf(error: unknown): { readonly phase: Phase; readonly problem: string } {
  if (error instanceof Offline) {
    return { phase: 'offline', problem: '' };
  }
  if (error instanceof Declined && error.status === 404) {
    return { phase: 'missing', problem: '' };
  }
  return { phase: 'refused', problem: reasonOf(error) };
}
