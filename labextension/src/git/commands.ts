/** What can be done with a repository, as commands: for the palette, menus, buttons and other extensions. */

import type { JupyterFrontEnd } from '@jupyterlab/application';
import { addIcon, checkIcon, fileIcon, refreshIcon, stopIcon, undoIcon } from '@jupyterlab/ui-components';
import type { LabIcon } from '@jupyterlab/ui-components';
import { adder, argsOf, keyAt } from '../acting';
import type { Args } from '../acting';
import type { Words } from '../words';
import { COMMIT_BOX } from './commit';
import type { Deeds } from './deeds';
import type { Documents } from './documents';
import { branchIcon, fetchIcon, minusIcon, pullIcon, pushIcon } from './icons';
import { comparedIn, fileOf, isBusy, repoOf, taskHere } from './model';
import type { Deed } from './model';
import type { GitStore } from './store';
import type { Transfers } from './transfers';
import type { FileChange, Repo } from './types';

export const GIT_IDS = {
  refresh: 'mlmagics-lab:git-refresh',
  fetch: 'mlmagics-lab:git-fetch',
  pull: 'mlmagics-lab:git-pull',
  push: 'mlmagics-lab:git-push',
  commit: 'mlmagics-lab:git-commit',
  switchBranch: 'mlmagics-lab:git-switch-branch',
  stageAll: 'mlmagics-lab:git-stage-all',
  unstageAll: 'mlmagics-lab:git-unstage-all',
  cancel: 'mlmagics-lab:git-cancel',
  goOn: 'mlmagics-lab:git-continue',
  abort: 'mlmagics-lab:git-abort',
  trust: 'mlmagics-lab:git-trust',
  diff: 'mlmagics-lab:git-diff',
  open: 'mlmagics-lab:git-open-file',
  stage: 'mlmagics-lab:git-stage',
  unstage: 'mlmagics-lab:git-unstage',
  discard: 'mlmagics-lab:git-discard',
  mine: 'mlmagics-lab:git-take-mine',
  theirs: 'mlmagics-lab:git-take-theirs',
  resolved: 'mlmagics-lab:git-mark-resolved'
} as const;

export interface GitParts {
  readonly app: JupyterFrontEnd;
  readonly store: GitStore;
  readonly deeds: Deeds;
  readonly transfers: Transfers;
  readonly documents: Documents;
  readonly trans: Words;
  /** Bring the section into view. */
  readonly show: () => void;
  /** Open a comparison in the main area. */
  readonly openDiff: (root: string, file: FileChange) => void;
}

/** Register all commands of git; gives their ids. */
export function addGitCommands(parts: GitParts): readonly string[] {
  onRepo(parts);
  onFiles(parts);
  return Object.values(GIT_IDS);
}

interface OfRepo {
  readonly label: string;
  readonly caption: string;
  readonly icon?: LabIcon;
  readonly act: () => void | Promise<void>;
  /** Whether it can be done to this repository, when nothing else goes on. */
  readonly enabled?: (repo: Repo) => boolean;
}

function onRepo(parts: GitParts): void {
  const { app, store, deeds, transfers, trans, show } = parts;
  const add = (id: string, { label, caption, icon, act, enabled = () => true }: OfRepo): void => {
    app.commands.addCommand(id, {
      label,
      caption,
      icon,
      describedBy: argsOf(),
      isEnabled: () => {
        const repo = repoOf(store.state);
        // where nobody looks, a repository may be there that nobody has asked for yet
        return repo ? !isBusy(store.state) && enabled(repo) : store.state.status === null || !store.canBeSeen;
      },
      execute: async () => {
        show();
        await act();
      }
    });
  };
  app.commands.addCommand(GIT_IDS.refresh, {
    label: trans.__('Git: refresh'),
    caption: trans.__('Look at the repository again'),
    icon: refreshIcon,
    describedBy: argsOf(),
    execute: () => store.refresh()
  });
  app.commands.addCommand(GIT_IDS.cancel, {
    label: trans.__('Git: cancel what goes on'),
    caption: trans.__('End the fetch, pull or push that goes on; the repository stays as it was before'),
    icon: stopIcon,
    describedBy: argsOf(),
    isEnabled: () => taskHere(store.state)?.cancelling === false,
    execute: () => transfers.cancel()
  });
  add(GIT_IDS.fetch, {
    label: trans.__('Git: fetch'),
    caption: trans.__('Ask the remote what is new, without changing any file'),
    icon: fetchIcon,
    act: () => transfers.fetch(),
    enabled: repo => repo.remotes.length > 0
  });
  add(GIT_IDS.pull, {
    label: trans.__('Git: pull'),
    caption: trans.__('Take over the commits of others from the remote'),
    icon: pullIcon,
    act: () => transfers.pull(),
    enabled: repo => repo.upstream !== null && !repo.in_progress
  });
  add(GIT_IDS.push, {
    label: trans.__('Git: push'),
    caption: trans.__('Send your commits to the remote'),
    icon: pushIcon,
    act: () => transfers.push(),
    enabled: repo => repo.remotes.length > 0 && !repo.in_progress
  });
  add(GIT_IDS.commit, {
    label: trans.__('Git: write a commit'),
    caption: trans.__('Go to the box in which the message of the next commit is written'),
    act: () => focusCommitBox(),
    enabled: repo => !repo.in_progress
  });
  add(GIT_IDS.switchBranch, {
    label: trans.__('Git: switch branch…'),
    caption: trans.__('Go on with another branch'),
    icon: branchIcon,
    act: () => deeds.switchBranch(),
    enabled: repo => !repo.in_progress
  });
  add(GIT_IDS.stageAll, {
    label: trans.__('Git: stage all'),
    caption: trans.__('Take all changed and new files into the next commit'),
    icon: addIcon,
    act: () => deeds.stageAll('conflict')
  });
  add(GIT_IDS.unstageAll, {
    label: trans.__('Git: unstage all'),
    caption: trans.__('Take no file into the next commit; the files stay as they are'),
    icon: minusIcon,
    act: () => deeds.unstage({ all: 'staged' })
  });
  add(GIT_IDS.goOn, {
    label: trans.__('Git: continue the merge or rebase'),
    caption: trans.__('Go on, once all conflicts are resolved'),
    act: () => deeds.goOn(),
    enabled: repo => repo.in_progress !== null && !repo.conflicts.length
  });
  add(GIT_IDS.abort, {
    label: trans.__('Git: give up the merge or rebase…'),
    caption: trans.__('Go back to how it was before the merge or rebase'),
    act: () => deeds.abort(),
    enabled: repo => repo.in_progress !== null
  });
  add(GIT_IDS.trust, {
    label: trans.__('Git: let the repository run its programs, or no more…'),
    caption: trans.__('Decide whether programs that the repository names run, such as hooks and filters'),
    act: () => deeds.trust(),
    enabled: repo => repo.programs !== null
  });
}

interface InRepo {
  readonly root: string;
  readonly file: FileChange;
}

function onFiles(parts: GitParts): void {
  const { app, store, deeds, documents, trans } = parts;
  const of = {
    describedBy: argsOf({
      path: { type: 'string', description: 'The file, as the repository has it' },
      kind: { type: 'string', description: 'staged, unstaged, untracked or conflict' }
    }),
    known: (named: InRepo) => named,
    get: (named: InRepo) => named
  };
  const add = adder<InRepo, InRepo>(app, trans, { ...of, named: args => fileNamed(parts, args) });
  const may =
    (...kinds: readonly string[]) =>
    ({ file }: InRepo): boolean =>
      kinds.includes(file.kind) && !file.repository && !isBusy(store.state);
  // a comparison that is opened again after a reload is told whole: nothing is known of its repository yet
  const addWhole = adder<InRepo, InRepo>(app, trans, { ...of, named: args => comparedIn(args) ?? fileNamed(parts, args) });
  addWhole(GIT_IDS.diff, {
    label: trans.__('Compare'),
    caption: trans.__('Show what differs in the file'),
    icon: branchIcon,
    act: ({ root, file }) => parts.openDiff(root, file)
  });
  add(GIT_IDS.open, {
    label: trans.__('Open the file'),
    caption: trans.__('Open the file in a tab'),
    icon: fileIcon,
    enabled: ({ file }) => !file.folder && !file.repository && !file.submodule,
    act: ({ root, file }) => documents.open(root, file.path)
  });
  add(GIT_IDS.stage, {
    label: trans.__('Stage'),
    caption: trans.__('Take the file into the next commit'),
    icon: addIcon,
    enabled: may('unstaged', 'untracked'),
    act: ({ file }) => deeds.stage([file])
  });
  add(GIT_IDS.unstage, {
    label: trans.__('Unstage'),
    caption: trans.__('Take the file out of the next commit; it stays as it is'),
    icon: minusIcon,
    enabled: may('staged'),
    act: ({ file }) => deeds.unstage({ paths: [file.path] })
  });
  add(GIT_IDS.discard, {
    label: trans.__('Discard the changes…'),
    caption: trans.__('Let the file be as it was staged or committed; delete it when git does not know it'),
    icon: undoIcon,
    enabled: may('unstaged', 'untracked'),
    act: ({ file }) => deeds.discard([file])
  });
  add(GIT_IDS.mine, {
    label: trans.__('Take mine…'),
    caption: trans.__('Resolve the conflict with your side of the file'),
    enabled: may('conflict'),
    act: ({ file }) => deeds.resolve([file], 'mine')
  });
  add(GIT_IDS.theirs, {
    label: trans.__('Take theirs…'),
    caption: trans.__('Resolve the conflict with the other side of the file'),
    enabled: may('conflict'),
    act: ({ file }) => deeds.resolve([file], 'theirs')
  });
  add(GIT_IDS.resolved, {
    label: trans.__('Mark as resolved'),
    caption: trans.__('Resolve the conflict with the file as it is saved now'),
    icon: checkIcon,
    enabled: may('conflict'),
    act: ({ file }) => deeds.resolve([file], 'marked')
  });
}

/** The command behind each button of a row. */
export const DEED_IDS: Record<Deed, string> = {
  stage: GIT_IDS.stage,
  unstage: GIT_IDS.unstage,
  discard: GIT_IDS.discard,
  mine: GIT_IDS.mine,
  theirs: GIT_IDS.theirs,
  resolved: GIT_IDS.resolved
};

function fileNamed({ app, store }: GitParts, args: Args): InRepo | null {
  const root = repoOf(store.state)?.root;
  const { path, kind } = args;
  const key = typeof path === 'string' && typeof kind === 'string' ? `${kind} ${path}` : keyAt(app, 'mlmagics-change');
  const file = fileOf(store.state.status, key);
  return file && root !== undefined ? { root, file } : null;
}

/** The box comes with the first answer of git, a moment after its section has opened. */
function focusCommitBox(frames = 600): void {
  const box = document.querySelector<HTMLElement>(`.${COMMIT_BOX}`);
  if (box) box.focus();
  else if (frames > 0) requestAnimationFrame(() => focusCommitBox(frames - 1));
}
