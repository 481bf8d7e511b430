/** Tells that a job of one's own has ended. */

import { Notification } from '@jupyterlab/apputils';
import type { CommandRegistry } from '@lumino/commands';
import { IDS } from './commands';
import type { JobView } from './types';
import { endWords } from './words';
import type { Words } from './words';

const TYPES: Record<string, Notification.TypeOptions> = {
  succeeded: 'success',
  cancelled: 'info'
};

export function notifyEnd(job: JobView, commands: CommandRegistry, trans: Words): void {
  const type = TYPES[job.state] ?? 'error';
  const { cluster, job_id } = job;
  Notification.emit(endWords(job, trans), type, {
    autoClose: type === 'error' ? false : 10_000,
    actions: [
      {
        label: trans.__('Show log'),
        caption: trans.__('Open the log of %1', job.ref),
        callback: () => void commands.execute(IDS.openLog, { cluster, job_id })
      }
    ]
  });
}
