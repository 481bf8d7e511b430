/** How a repository is told. Pure. */

import { oneLine } from '../page';
import type { Words } from '../words';
import { letterOf } from './model';
import type { Hindrance } from './model';
import type { FileChange, Kind, Repo, Task } from './types';

const MOST_BRANCH = 30;

/** What a group of changed files is called. */
export function groupName(kind: Kind, trans: Words): string {
  return {
    conflict: trans.__('Conflicts'),
    staged: trans.__('Staged'),
    unstaged: trans.__('Changed'),
    untracked: trans.__('Not in git yet')
  }[kind];
}

/** How a file differs, in words. */
export function changeWord(file: FileChange, trans: Words): string {
  switch (letterOf(file)) {
    case '!':
      return trans.__('conflict');
    case 'U':
      return trans.__('not in git yet');
    case 'A':
      return trans.__('new');
    case 'D':
      return trans.__('deleted');
    case 'R':
      return trans.__('renamed');
    case 'C':
      return trans.__('copied');
    case 'T':
      return trans.__('another type');
    default:
      return trans.__('changed');
  }
}

/** A file and how it differs, for those who hear and for the tooltip. */
export function fileWords(file: FileChange, trans: Words): string {
  const path = oneLine(file.path);
  const told = file.old_path ? trans.__('%1, before %2', path, oneLine(file.old_path)) : path;
  const parts = [changeWord(file, trans)];
  if (file.conflict) {
    parts.push(oneLine(file.conflict));
  }
  if (file.outputs_only) {
    parts.push(trans.__('outputs only'));
  }
  if (file.repository) {
    parts.push(trans.__('a repository of its own'));
  }
  return trans.__('%1: %2', told, parts.join(', '));
}

/** What is checked out. */
export function headName(repo: Repo, trans: Words): string {
  if (repo.branch) {
    return oneLine(repo.branch);
  }
  return repo.commit ? trans.__('commit %1', repo.commit.slice(0, 7)) : trans.__('no branch');
}

/** How the branch stands to its remote. */
export function tracking(repo: Repo, trans: Words): string {
  if (repo.unborn) {
    return trans.__('no commit yet');
  }
  if (repo.detached) {
    return trans.__('on no branch: switch to one before you commit');
  }
  if (!repo.remotes.length) {
    return trans.__('no remote');
  }
  if (!repo.upstream || repo.gone) {
    return trans.__('only here so far: Push sends it to %1', remoteName(repo));
  }
  const upstream = oneLine(repo.upstream);
  if (!repo.ahead && !repo.behind) {
    return trans.__('the same as %1', upstream);
  }
  const parts = [];
  if (repo.ahead) {
    parts.push(trans._n('%1 commit to push', '%1 commits to push', repo.ahead));
  }
  if (repo.behind) {
    parts.push(trans._n('%1 to pull', '%1 to pull', repo.behind));
  }
  return trans.__('%1: %2', upstream, parts.join(', '));
}

/** The branch and how it stands, in the status bar: `main ↑1 ↓2`. */
export function branchWords(repo: Repo, trans: Words): string {
  const name = headName(repo, trans);
  const short = name.length > MOST_BRANCH ? `${name.slice(0, MOST_BRANCH)}…` : name;
  return [short, repo.ahead ? `↑${repo.ahead}` : '', repo.behind ? `↓${repo.behind}` : ''].filter(Boolean).join(' ');
}

/** The same as sentences. */
export function branchSentence(repo: Repo, trans: Words): string {
  return trans.__('Git: on %1, %2. Open the panel.', headName(repo, trans), tracking(repo, trans));
}

/** What Pull does now, or why it cannot. */
export function pullWords(repo: Repo, trans: Words): string {
  if (!repo.remotes.length) {
    return noRemote(trans);
  }
  if (!repo.branch) {
    return trans.__('Switch to a branch first: only a branch can be pulled.');
  }
  if (!repo.upstream || repo.gone) {
    return trans.__('This branch is not on the remote yet: push it first.');
  }
  return repo.behind
    ? trans._n('Pull %1 commit from %2', 'Pull %1 commits from %2', repo.behind, oneLine(repo.upstream))
    : trans.__('Pull what is new in %1', oneLine(repo.upstream));
}

/** What Push does now, or why it cannot. */
export function pushWords(repo: Repo, trans: Words): string {
  if (!repo.remotes.length) {
    return noRemote(trans);
  }
  if (!repo.branch) {
    return trans.__('Switch to a branch first: only a branch can be pushed.');
  }
  if (repo.unborn) {
    return trans.__('Commit something first: there is nothing to push yet.');
  }
  if (!repo.upstream || repo.gone) {
    return trans.__('Push %1 to %2 for the first time; from then on it follows the branch there', oneLine(repo.branch), remoteName(repo));
  }
  return repo.ahead
    ? trans._n('Push %1 commit to %2', 'Push %1 commits to %2', repo.ahead, oneLine(repo.upstream))
    : trans.__('Nothing to push: %1 has all commits', oneLine(repo.upstream));
}

/** Where a first push goes. */
export const remoteName = (repo: Repo): string => oneLine(repo.remote ?? repo.remotes[0]?.name ?? '');

function noRemote(trans: Words): string {
  return trans.__('No remote: add one in a terminal, git remote add origin ADDRESS');
}

/** What goes on in a repository that was left in the middle of something. */
export function inProgress(repo: Repo, trans: Words): string {
  const what = {
    merge: trans.__('A merge is not finished'),
    rebase: trans.__('A rebase is not finished'),
    'cherry-pick': trans.__('A cherry-pick is not finished'),
    revert: trans.__('A revert is not finished')
  }[repo.in_progress ?? ''];
  const named = what ?? trans.__('Something is not finished: %1', oneLine(repo.in_progress));
  const begun = repo.step ? trans.__('%1 (step %2)', named, oneLine(repo.step)) : named;
  const n = repo.conflicts.length;
  if (!n) {
    return trans.__('%1. No conflict is left: go on, or go back to how it was.', begun);
  }
  const files = trans._n('%1 file has a conflict', '%1 files have conflicts', n);
  return trans.__('%1: %2. For each, take one side or edit it and mark it as resolved; or go back to how it was.', begun, files);
}

/** Why the commit button is off; empty where it is plain to see. */
export function hindranceWords(hindrance: Hindrance, trans: Words): string {
  switch (hindrance) {
    case 'nothing':
      return trans.__('Nothing is staged: stage what belongs into the commit.');
    case 'conflict':
      return trans.__('Resolve the conflicts first.');
    default:
      return '';
  }
}

/** What a task does, and how far it is. */
export function taskWords(task: Task, trans: Words): string {
  return oneLine(task.progress) || oneLine(task.message) || operationWords(task.operation, trans);
}

export function operationWords(operation: string, trans: Words): string {
  const known: Record<string, string> = {
    fetch: trans.__('Fetching'),
    pull: trans.__('Pulling'),
    push: trans.__('Pushing'),
    switch: trans.__('Switching'),
    scan: trans.__('Looking for secrets')
  };
  return known[operation] ?? oneLine(operation);
}

/** Names on lines of their own; of many only the first. */
export function listed(names: readonly string[], trans: Words, most = 12): string {
  const shown = names.slice(0, most).map(name => oneLine(name));
  const more = names.length - shown.length;
  return [...shown, ...(more > 0 ? [trans._n('and %1 more', 'and %1 more', more)] : [])].join('\n');
}
