/** Tells that jobs of one's own have ended: those that end within a moment in one notification. */

import { Notification } from '@jupyterlab/apputils';
import type { CommandRegistry } from '@lumino/commands';
import { IDS } from './commands';
import type { JobView } from './types';
import { endWords, endsWords } from './words';
import type { Words } from './words';

/** A cluster that is drained, or a sweep that is cancelled, ends many at once. */
const TOGETHER_MS = 1000;
const STAYS_MS = 10_000;

const TYPES: Record<string, Notification.TypeOptions> = {
  succeeded: 'success',
  cancelled: 'info'
};

const typeOf = (job: JobView): Notification.TypeOptions => TYPES[job.state] ?? 'error';

export class EndNotices {
  private waiting: JobView[] = [];
  private timer = 0;

  constructor(
    private readonly commands: CommandRegistry,
    private readonly trans: Words
  ) {}

  /** Tell of these, soon. */
  add(jobs: readonly JobView[]): void {
    this.waiting.push(...jobs);
    this.timer ||= window.setTimeout(() => this.tell(), TOGETHER_MS);
  }

  private tell(): void {
    const { trans } = this;
    const jobs = this.waiting;
    this.waiting = [];
    this.timer = 0;
    const [{ cluster, job_id, ref }] = jobs;
    if (jobs.length === 1) {
      this.emit(jobs, endWords(jobs[0], trans), {
        label: trans.__('Show log'),
        caption: trans.__('Open the log of %1', ref),
        callback: () => void this.commands.execute(IDS.openLog, { cluster, job_id })
      });
    } else {
      this.emit(jobs, endsWords(jobs, trans), {
        label: trans.__('Show jobs'),
        caption: trans.__('Show the panel of clusters, jobs and git'),
        callback: () => void this.commands.execute(IDS.show)
      });
    }
  }

  private emit(jobs: readonly JobView[], text: string, action: Notification.IAction): void {
    const types = new Set(jobs.map(typeOf));
    // what went wrong stays until it is read
    const type = types.has('error') ? 'error' : types.size === 1 ? typeOf(jobs[0]) : 'info';
    Notification.emit(text, type, { autoClose: type === 'error' ? false : STAYS_MS, actions: [action] });
  }
}
