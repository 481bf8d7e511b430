/**
 * The state of the repository that is looked at, kept up to date.
 *
 * It is asked for when the place changes, when a file is saved, when the page is looked at again, after each thing that
 * was done, and now and then; never while nobody can see it.
 */

import { Signal } from '@lumino/signaling';
import type { ISignal } from '@lumino/signaling';
import { Declined, Offline, reasonOf } from '../failures';
import type { Settings } from '../settings';
import type { Store } from '../store';
import { GitApi } from './api';
import { START, glimpseMs, isBelow, isRunning, lookAgainMs, outcomeOf, reduce, repoOf, shouldFetch, taskHere } from './model';
import type { Event, GitState, Outcome } from './model';
import { Tasks } from './tasks';
import type { Status, Task } from './types';

/** After a change somewhere else, others may follow at once: all of them are looked at together. */
const SOON_MS = 300;

export class GitStore {
  readonly api: GitApi;
  /** The message of the next commit, by repository: it outlives a look at another one. */
  readonly drafts = new Map<string, string>();
  private readonly _changed = new Signal<this, GitState>(this);
  private readonly _looked = new Signal<this, void>(this);
  private readonly tasks: Tasks;
  /** When each repository was fetched last. */
  private readonly fetched = new Map<string, number>();
  private _state = START;
  private isWatched = false;
  private isGlimpsed = false;
  private looking: Promise<void> | null = null;
  private control: AbortController | null = null;
  private isStale = true;
  private timer = 0;
  private tookMs = 0;

  constructor(
    store: Store,
    private readonly settings: Readonly<Settings>
  ) {
    this.api = new GitApi(store.api);
    this.tasks = new Tasks({
      ask: id => this.api.task(id),
      heard: task => this.change({ type: 'task', task }),
      later: (act, ms) => {
        const timer = window.setTimeout(act, ms);
        return () => window.clearTimeout(timer);
      }
    });
    store.pushed.connect((_, push) => push.type === 'git-task' && this.take(push));
    store.changed.connect((_, { phase }) => {
      if (phase === 'ready' && this._state.phase === 'failed') {
        this.refreshSoon();
      }
    });
    document.addEventListener('visibilitychange', () => (document.hidden ? this.settle() : this.refreshSoon()));
    window.addEventListener('focus', () => this.refreshSoon());
  }

  get state(): GitState {
    return this._state;
  }

  /** Whether somebody may see it now. */
  get canBeSeen(): boolean {
    return this.isWatched && !document.hidden;
  }

  get changed(): ISignal<this, GitState> {
    return this._changed;
  }

  /** Something may have changed: what is drawn from files may be old. Not told of looks that are only routine. */
  get looked(): ISignal<this, void> {
    return this._looked;
  }

  /** Look at the repository of another folder or file. */
  go(place: string): void {
    if (place !== this._state.place) {
      const repo = repoOf(this._state);
      if (!repo || !isBelow(place, repo.root)) {
        this.tookMs = 0; // in another repository
      }
      this.change({ type: 'place', place });
      this.control?.abort();
      this.refreshSoon(0);
    }
  }

  /** A file was written. */
  touched(path: string): void {
    const repo = repoOf(this._state);
    if (!repo || isBelow(path, repo.root)) {
      this.refreshSoon();
    }
  }

  /** Whether somebody can see the section. */
  watch(yes: boolean): void {
    this.isWatched = yes;
    if (yes) {
      this.refreshSoon(0);
    } else {
      if (!this.isGlimpsed) {
        this.control?.abort();
      }
      this.settle();
    }
  }

  /** Whether somebody can see the branch elsewhere: it is asked for when something has happened, and not now and then. */
  glimpse(yes: boolean): void {
    if (yes !== this.isGlimpsed) {
      this.isGlimpsed = yes;
      this.refreshSoon(0);
    }
  }

  /** Look now; done when what is known is as new as this call. */
  async refresh(): Promise<void> {
    this.isStale = true;
    await this.lookOnce(false);
  }

  /** Do something short, and look at what has become of it; raises what it raises. */
  async doing<T>(work: () => Promise<T>): Promise<T> {
    this.change({ type: 'busy', busy: true });
    try {
      return await work();
    } finally {
      await this.refresh();
      this.change({ type: 'busy', busy: false });
    }
  }

  /** Start a task, and wait until it has ended. */
  async run(start: () => Promise<{ readonly task: string }>): Promise<Task> {
    const { task: id } = await start();
    try {
      return await this.tasks.end(id);
    } finally {
      await this.refresh();
    }
  }

  /** End the task that goes on here; done when it has ended. */
  async cancel(): Promise<void> {
    const task = taskHere(this._state);
    if (task) {
      const ended = this.tasks.isAwaited(task.task) ? null : this.tasks.end(task.task);
      this.tasks.take(await this.api.cancel(task.task));
      await ended;
    }
  }

  /** Tell how something ended; nothing, to forget it. */
  tell(outcome: Outcome | null): void {
    this.change({ type: 'outcome', outcome });
  }

  private take(task: Task): void {
    const wasAwaited = this.tasks.isAwaited(task.task);
    this.tasks.take(task);
    if (!wasAwaited && !isRunning(task)) {
      // begun by another page, or before this one was loaded
      const isHere = task.root === repoOf(this._state)?.root;
      const outcome = isHere && !task.quiet ? outcomeOf(task) : null;
      if (outcome) {
        this.tell(outcome);
      }
      this.refreshSoon();
    }
  }

  private lookOnce(isRoutine: boolean): Promise<void> {
    this.looking ??= this.look(isRoutine).finally(() => {
      this.looking = null;
      this.settle();
    });
    return this.looking;
  }

  private async look(isRoutine: boolean): Promise<void> {
    for (; this.isStale || isRoutine; isRoutine = false) {
      this.isStale = false;
      const { place } = this._state;
      const control = (this.control = new AbortController());
      const begun = performance.now();
      try {
        const status = await this.api.status(place, control.signal);
        this.tookMs = performance.now() - begun;
        if (place === this._state.place) {
          this.learn(status);
          if (!isRoutine) {
            this._looked.emit();
          }
        }
      } catch (error) {
        if (!control.signal.aborted) {
          // that the server is away, or has no part of ours, is told for the whole panel
          const isTold = error instanceof Offline || (error instanceof Declined && !error.code);
          this.change({ type: 'unknown', problem: isTold ? '' : reasonOf(error) });
          continue;
        }
        this.isStale = true;
        if (!this.isWatched && !this.isGlimpsed) {
          return;
        }
      }
    }
  }

  private learn(status: Status): void {
    this.change({ type: 'status', status });
    const { repo } = status;
    const minutes = this.settings.gitFetch ? this.settings.gitFetchMinutes : Infinity;
    if (repo && this.canBeSeen && shouldFetch(status, Date.now() - (this.fetched.get(repo.root) ?? 0), minutes)) {
      this.fetched.set(repo.root, Date.now());
      void this.fetchQuietly(repo.root);
    }
  }

  /** What comes of it is in the next status; that it failed is no news. */
  private async fetchQuietly(root: string): Promise<void> {
    try {
      const { task } = await this.api.fetch(root, true);
      await this.tasks.end(task);
      this.refreshSoon();
    } catch {
      // the next one may do better
    }
  }

  private change(event: Event): void {
    const before = this._state;
    this._state = reduce(before, event);
    if (this._state !== before) {
      this._changed.emit(this._state);
    }
  }

  private refreshSoon(ms = SOON_MS): void {
    this.isStale = true;
    this.settle(ms);
  }

  /** Look again when it is time to; not at all while nobody can see it. */
  private settle(ms = 0): void {
    window.clearTimeout(this.timer);
    const { isStale } = this;
    // a server that is away is asked again when the panel has found it back
    const isAway = this._state.phase === 'failed' && !this._state.problem;
    if (this.looking || document.hidden) {
      return;
    }
    if (this.isWatched && (isStale || !isAway)) {
      this.timer = window.setTimeout(() => void this.lookOnce(!isStale), isStale ? ms : lookAgainMs(this.tookMs));
    } else if (this.isGlimpsed && isStale) {
      this.timer = window.setTimeout(() => void this.lookOnce(false), glimpseMs(ms, this.tookMs));
    }
  }
}
