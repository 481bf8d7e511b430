/** Fetch, pull and push: tasks that take their time and may have questions. */

import { Notification } from '@jupyterlab/apputils';
import { Declined } from '../failures';
import type { Words } from '../words';
import type { Mode } from './api';
import * as choosing from './choosing';
import * as dialogs from './dialogs';
import { outcomeOf } from './model';
import * as secrets from './secrets';
import type { GitStore } from './store';
import type { Task } from './types';
import type { Work } from './work';

const TOAST_MS = 5000;

export class Transfers {
  private readonly store: GitStore;
  private readonly trans: Words;

  constructor(private readonly work: Work) {
    this.store = work.store;
    this.trans = work.trans;
  }

  fetch(): Promise<void> {
    return this.work.inRepo(async repo => {
      await this.ended(() => this.store.api.fetch(repo.root, false));
    });
  }

  pull(): Promise<void> {
    return this.work.inRepo(async repo => {
      if (!(await this.work.saved(repo))) {
        return;
      }
      let mode: Mode = 'ff';
      for (let keepConflicts = false; ; ) {
        const task = await this.ended(() => this.store.api.pull(repo.root, mode, keepConflicts));
        await this.work.documents.reload(repo.root);
        if (task?.state === 'needs_choice') {
          const { gitPull } = this.work.settings.now;
          const chosen = gitPull === 'ask' ? await choosing.askHowToPull(task, repo, this.trans) : gitPull;
          if (!chosen) {
            return;
          }
          mode = chosen;
        } else if (task?.state === 'conflict' && !task.kept && (await dialogs.askToResolve(task, this.trans))) {
          keepConflicts = true;
        } else {
          return;
        }
      }
    });
  }

  push(): Promise<void> {
    return this.work.inRepo(async repo => {
      const usable = repo.remotes.filter(({ trouble }) => !trouble);
      let remote: string | null = null;
      if ((!repo.upstream || repo.gone) && usable.length > 1) {
        remote = await choosing.askRemote(repo, this.trans);
        if (remote === null) {
          return;
        }
      }
      for (let allow: readonly string[] = []; ; ) {
        const task = await this.ended(() => this.store.api.push(repo.root, remote, allow));
        if (task?.state !== 'needs_choice' || !(await secrets.confirmFindings(task, this.trans))) {
          return;
        }
        allow = [...allow, ...(task.findings ?? []).map(({ fingerprint }) => fingerprint)];
      }
    });
  }

  async cancel(): Promise<void> {
    try {
      await this.store.cancel();
    } catch (error) {
      this.work.tell(error);
    }
  }

  /** Run a task, asking for credentials as often as it takes; null when the person gives up. */
  private async ended(start: () => Promise<{ readonly task: string }>): Promise<Task | null> {
    for (;;) {
      const task = await this.store.run(start);
      if (task.code === 'git_untrusted') {
        throw new Declined(409, { code: task.code, message: task.message });
      }
      if (task.state !== 'needs_credentials' || !task.credentials) {
        this.report(task);
        return task;
      }
      const given = await secrets.askCredentials(task.credentials, this.trans);
      if (!given) {
        this.store.tell(outcomeOf(task));
        return null;
      }
      await this.store.api.credentials(task.credentials.host, given.username, given.token, given.keep);
    }
  }

  private report(task: Task): void {
    const isAsked = task.state === 'needs_choice' || (task.state === 'conflict' && task.kept === true);
    this.work.explain(isAsked ? null : outcomeOf(task));
    if (task.state === 'done') {
      Notification.success(task.message, { autoClose: TOAST_MS });
    } else if (task.state === 'cancelled') {
      Notification.info(task.message, { autoClose: TOAST_MS });
    }
  }
}
