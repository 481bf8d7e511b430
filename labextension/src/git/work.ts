/** How anything is done in the repository that is looked at: what has to be asked before, and where its end is told. */

import { Notification } from '@jupyterlab/apputils';
import { Declined, reasonOf } from '../failures';
import type { Known } from '../settings';
import type { Words } from '../words';
import * as dialogs from './dialogs';
import type { Documents } from './documents';
import { repoOf } from './model';
import type { Outcome } from './model';
import type { GitStore } from './store';
import type { Repo } from './types';

export class Work {
  constructor(
    readonly store: GitStore,
    readonly documents: Documents,
    readonly settings: Known,
    readonly trans: Words
  ) {}

  /** Do something in the repository that is looked at; what goes wrong is told in the section. */
  async inRepo(work: (repo: Repo) => Promise<void>): Promise<void> {
    try {
      if (!repoOf(this.store.state)) {
        await this.store.refresh();
      }
      const repo = repoOf(this.store.state);
      if (repo) {
        this.store.tell(null);
        await this.asTrusted(repo, work);
      }
    } catch (error) {
      this.tell(error);
    }
  }

  /** Do it, and once more when it takes a decision about programs that the person has not made yet. */
  private async asTrusted(repo: Repo, work: (repo: Repo) => Promise<void>): Promise<void> {
    try {
      await work(repo);
    } catch (error) {
      if (!(error instanceof Declined) || error.code !== 'git_untrusted') {
        throw error;
      }
      await this.store.refresh();
      const now = repoOf(this.store.state);
      if (now?.root !== repo.root || now.programs?.trusted !== null || !(await this.decided(now))) {
        throw error;
      }
      await work(now);
    }
  }

  async decided(repo: Repo): Promise<boolean> {
    const { programs, root } = repo;
    const answer = programs && (await dialogs.askTrust(repo, programs, this.trans));
    if (!programs || answer === null) {
      return false;
    }
    await this.store.doing(() => this.store.api.trust(root, programs.digest, answer));
    return true;
  }

  tell(error: unknown): void {
    const message = reasonOf(error) || this.trans.__('That did not work; try again.');
    this.explain({ message, next: '', paths: error instanceof Declined ? error.paths : [] });
  }

  /** Tell how something ended in the section, and where the person looks when that is elsewhere. */
  explain(outcome: Outcome | null): void {
    this.store.tell(outcome);
    if (outcome && !this.store.canBeSeen) {
      Notification.error(`${outcome.message} ${outcome.next}`.trim());
    }
  }

  /** Offer to save documents that git is about to look at; whether to go on. */
  async saved(repo: Repo, paths?: readonly string[]): Promise<boolean> {
    const unsaved = this.documents.unsaved(repo.root, paths);
    if (!unsaved.size) {
      return true;
    }
    const answer = await dialogs.askToSave([...unsaved.keys()], this.trans);
    if (answer === 'save') {
      await Promise.all([...unsaved.values()].map(context => context.save()));
    }
    return answer !== 'stop';
  }
}
