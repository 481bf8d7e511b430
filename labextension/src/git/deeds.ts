/** What is done to files, commits and branches: what has to be asked before, and what is told after. */

import { Notification } from '@jupyterlab/apputils';
import { oneLine } from '../page';
import type { Words } from '../words';
import type { Side, Which } from './api';
import * as choosing from './choosing';
import * as dialogs from './dialogs';
import { changedFiles } from './model';
import type { GitStore } from './store';
import type { FileChange, Kind } from './types';
import { inProgress } from './words';
import type { Work } from './work';

const TOAST_MS = 5000;

export class Deeds {
  private readonly store: GitStore;
  private readonly trans: Words;

  constructor(private readonly work: Work) {
    this.store = work.store;
    this.trans = work.trans;
  }

  stage(files: readonly FileChange[]): Promise<void> {
    const paths = files.map(file => file.path);
    return this.work.inRepo(async repo => {
      if (await this.work.saved(repo, paths)) {
        await this.store.doing(() => this.store.api.stage(repo.root, { paths }));
      }
    });
  }

  stageAll(kind: Kind): Promise<void> {
    const all = kind === 'unstaged' || kind === 'untracked' ? kind : 'both';
    return this.work.inRepo(async repo => {
      if (await this.work.saved(repo)) {
        await this.store.doing(() => this.store.api.stage(repo.root, { all }));
      }
    });
  }

  unstage(which: Which): Promise<void> {
    return this.work.inRepo(async repo => {
      await this.store.doing(() => this.store.api.unstage(repo.root, which));
    });
  }

  discard(files: readonly FileChange[]): Promise<void> {
    return this.work.inRepo(async repo => {
      const paths = files.map(file => file.path);
      const { documents } = this.work;
      if (await dialogs.confirmDiscard(files, documents.unsaved(repo.root, paths).size > 0, this.trans)) {
        await this.store.doing(async () => {
          await this.store.api.discard(repo.root, files.map(({ path, kind }) => ({ path, kind })));
          await documents.revert(repo.root, paths);
        });
      }
    });
  }

  /** Commit what is staged; tells whether it was. */
  async commit(message: string): Promise<boolean> {
    const { trans } = this;
    let isDone = false;
    await this.work.inRepo(async repo => {
      const known = await this.store.api.identity(repo.root);
      const author = known ? null : await choosing.askIdentity(trans);
      if (!known && !author) {
        return;
      }
      const strip = this.work.settings.now.gitStripOutputs;
      const made = await this.store.doing(() => this.store.api.commit(repo.root, message, author, strip));
      isDone = true;
      const notes = [trans.__('Committed %1.', made.commit.slice(0, 7))];
      if (made.stripped) {
        notes.push(trans._n('%1 notebook went in without its outputs; your copy keeps them.', '%1 notebooks went in without their outputs; your copies keep them.', made.stripped));
      }
      if (made.hooks_skipped.length) {
        notes.push(trans.__('Hooks that did not run: %1.', made.hooks_skipped.map(oneLine).join(', ')));
      }
      Notification.success(notes.join(' '), { autoClose: TOAST_MS });
    });
    return isDone;
  }

  switchBranch(): Promise<void> {
    const { trans } = this;
    return this.work.inRepo(async repo => {
      const { branches, truncated } = await this.store.api.branches(repo.root);
      const others = branches.filter(branch => branch.remote || branch.name !== repo.branch);
      if (!others.length) {
        Notification.info(trans.__('There is no other branch. Make one in a terminal: git switch -c NAME'), { autoClose: TOAST_MS });
        return;
      }
      const { status } = this.store.state;
      const branch = await choosing.askBranch(others, truncated, status ? changedFiles(status) : 0, trans);
      if (branch && (await this.work.saved(repo))) {
        const { branch: now } = await this.store.doing(() => this.store.api.switchTo(repo.root, branch.name, branch.remote));
        await this.work.documents.reload(repo.root);
        Notification.success(trans.__('Switched to %1.', oneLine(now)), { autoClose: TOAST_MS });
      }
    });
  }

  resolve(files: readonly FileChange[], side: Side): Promise<void> {
    const paths = files.map(file => file.path);
    return this.work.inRepo(async repo => {
      const goes =
        side === 'marked' ? await this.work.saved(repo, paths) : await dialogs.confirmSide(side, paths, this.trans);
      if (goes) {
        await this.store.doing(() => this.store.api.resolve(repo.root, paths, side));
        if (side !== 'marked') {
          await this.work.documents.revert(repo.root, paths);
        }
      }
    });
  }

  goOn(): Promise<void> {
    return this.work.inRepo(async repo => {
      if (await this.work.saved(repo)) {
        await this.store.doing(() => this.store.api.goOn(repo.root));
        await this.work.documents.reload(repo.root);
      }
    });
  }

  abort(): Promise<void> {
    return this.work.inRepo(async repo => {
      if (await dialogs.confirmAbort(inProgress(repo, this.trans), this.trans)) {
        await this.store.doing(() => this.store.api.abort(repo.root));
        await this.work.documents.reload(repo.root);
      }
    });
  }

  /** Decide whether programs of the repository run. */
  trust(): Promise<void> {
    return this.work.inRepo(async repo => {
      await this.work.decided(repo);
    });
  }
}
