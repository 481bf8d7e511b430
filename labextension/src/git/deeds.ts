/** What is done to a repository: each deed with what has to be asked before, and what is told after. */

import { Notification } from '@jupyterlab/apputils';
import { Declined, reasonOf } from '../failures';
import { oneLine } from '../page';
import type { Known } from '../settings';
import type { Words } from '../words';
import type { Mode, Side, Which } from './api';
import * as choosing from './choosing';
import * as dialogs from './dialogs';
import type { Documents } from './documents';
import { changedFiles, outcomeOf, repoOf } from './model';
import type { Outcome } from './model';
import * as secrets from './secrets';
import type { GitStore } from './store';
import type { FileChange, Kind, Repo, Task } from './types';
import { inProgress } from './words';

export interface DeedsOptions {
  readonly store: GitStore;
  readonly documents: Documents;
  readonly settings: Known;
  readonly trans: Words;
}

const TOAST_MS = 5000;

export class Deeds {
  private readonly store: GitStore;
  private readonly trans: Words;

  constructor(private readonly options: DeedsOptions) {
    this.store = options.store;
    this.trans = options.trans;
  }

  stage(files: readonly FileChange[]): Promise<void> {
    const paths = files.map(file => file.path);
    return this.inRepo(async repo => {
      if (await this.saved(repo, paths)) {
        await this.store.doing(() => this.store.api.stage(repo.root, { paths }));
      }
    });
  }

  stageAll(kind: Kind): Promise<void> {
    const all = kind === 'unstaged' || kind === 'untracked' ? kind : 'both';
    return this.inRepo(async repo => {
      if (await this.saved(repo)) {
        await this.store.doing(() => this.store.api.stage(repo.root, { all }));
      }
    });
  }

  unstage(which: Which): Promise<void> {
    return this.inRepo(async repo => {
      await this.store.doing(() => this.store.api.unstage(repo.root, which));
    });
  }

  discard(files: readonly FileChange[]): Promise<void> {
    return this.inRepo(async repo => {
      const paths = files.map(file => file.path);
      const { documents } = this.options;
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
    await this.inRepo(async repo => {
      const known = await this.store.api.identity(repo.root);
      const author = known ? null : await choosing.askIdentity(trans);
      if (!known && !author) {
        return;
      }
      const strip = this.options.settings.now.gitStripOutputs;
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
    return this.inRepo(async repo => {
      const { branches, truncated } = await this.store.api.branches(repo.root);
      const others = branches.filter(branch => branch.remote || branch.name !== repo.branch);
      if (!others.length) {
        Notification.info(trans.__('There is no other branch. Make one in a terminal: git switch -c NAME'), { autoClose: TOAST_MS });
        return;
      }
      const { status } = this.store.state;
      const branch = await choosing.askBranch(others, truncated, status ? changedFiles(status) : 0, trans);
      if (branch && (await this.saved(repo))) {
        const { branch: now } = await this.store.doing(() => this.store.api.switchTo(repo.root, branch.name, branch.remote));
        await this.options.documents.reload(repo.root);
        Notification.success(trans.__('Switched to %1.', oneLine(now)), { autoClose: TOAST_MS });
      }
    });
  }

  fetch(): Promise<void> {
    return this.inRepo(async repo => {
      await this.ended(() => this.store.api.fetch(repo.root, false));
    });
  }

  pull(): Promise<void> {
    return this.inRepo(async repo => {
      if (!(await this.saved(repo))) {
        return;
      }
      let mode: Mode = 'ff';
      for (let keepConflicts = false; ; ) {
        const task = await this.ended(() => this.store.api.pull(repo.root, mode, keepConflicts));
        await this.options.documents.reload(repo.root);
        if (task?.state === 'needs_choice') {
          const { gitPull } = this.options.settings.now;
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
    return this.inRepo(async repo => {
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

  resolve(files: readonly FileChange[], side: Side): Promise<void> {
    const paths = files.map(file => file.path);
    return this.inRepo(async repo => {
      const goes =
        side === 'marked' ? await this.saved(repo, paths) : await dialogs.confirmSide(side, paths, this.trans);
      if (goes) {
        await this.store.doing(() => this.store.api.resolve(repo.root, paths, side));
        if (side !== 'marked') {
          await this.options.documents.revert(repo.root, paths);
        }
      }
    });
  }

  goOn(): Promise<void> {
    return this.inRepo(async repo => {
      if (await this.saved(repo)) {
        await this.store.doing(() => this.store.api.goOn(repo.root));
        await this.options.documents.reload(repo.root);
      }
    });
  }

  abort(): Promise<void> {
    return this.inRepo(async repo => {
      if (await dialogs.confirmAbort(inProgress(repo, this.trans), this.trans)) {
        await this.store.doing(() => this.store.api.abort(repo.root));
        await this.options.documents.reload(repo.root);
      }
    });
  }

  /** Decide whether programs of the repository run. */
  trust(): Promise<void> {
    return this.inRepo(async repo => {
      await this.decided(repo);
    });
  }

  async cancel(): Promise<void> {
    try {
      await this.store.cancel();
    } catch (error) {
      this.tell(error);
    }
  }

  /** Do something in the repository that is looked at; what goes wrong is told in the section. */
  private async inRepo(work: (repo: Repo) => Promise<void>): Promise<void> {
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

  private async decided(repo: Repo): Promise<boolean> {
    const { programs, root } = repo;
    const answer = programs && (await dialogs.askTrust(repo, programs, this.trans));
    if (!programs || answer === null) {
      return false;
    }
    await this.store.doing(() => this.store.api.trust(root, programs.digest, answer));
    return true;
  }

  private tell(error: unknown): void {
    const message = reasonOf(error) || this.trans.__('That did not work; try again.');
    this.explain({ message, next: '', paths: error instanceof Declined ? error.paths : [] });
  }

  /** Tell how something ended in the section, and where the person looks when that is elsewhere. */
  private explain(outcome: Outcome | null): void {
    this.store.tell(outcome);
    if (outcome && !this.store.canBeSeen) {
      Notification.error(`${outcome.message} ${outcome.next}`.trim());
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
    this.explain(isAsked ? null : outcomeOf(task));
    if (task.state === 'done') {
      Notification.success(task.message, { autoClose: TOAST_MS });
    } else if (task.state === 'cancelled') {
      Notification.info(task.message, { autoClose: TOAST_MS });
    }
  }

  /** Offer to save documents that git is about to look at; whether to go on. */
  private async saved(repo: Repo, paths?: readonly string[]): Promise<boolean> {
    const unsaved = this.options.documents.unsaved(repo.root, paths);
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
