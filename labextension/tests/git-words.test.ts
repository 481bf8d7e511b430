import assert from 'node:assert/strict';
import { test } from 'node:test';
import { moved } from '../src/git/grid';
import { visible } from '../src/git/diffview';
import {
  branchSentence,
  branchWords,
  fileWords,
  headName,
  hindranceWords,
  inProgress,
  listed,
  pullWords,
  pushWords,
  taskWords,
  tracking
} from '../src/git/words';
import { file, repo, task } from './git';
import { trans } from './recorded';

test('the branch is told; without one the commit', () => {
  assert.equal(headName(repo({ branch: 'main' }), trans), 'main');
  assert.equal(headName(repo({ branch: null, detached: true, commit: 'abc1234def' }), trans), 'commit abc1234');
  assert.equal(headName(repo({ branch: null, commit: null }), trans), 'no branch');
});

test('how the branch stands to its remote', () => {
  const here = { upstream: 'origin/main', gone: false };
  assert.equal(tracking(repo({ ...here, ahead: 0, behind: 0 }), trans), 'the same as origin/main');
  assert.equal(tracking(repo({ ...here, ahead: 2, behind: 0 }), trans), 'origin/main: 2 commits to push');
  assert.equal(tracking(repo({ ...here, ahead: 1, behind: 3 }), trans), 'origin/main: 1 commit to push, 3 to pull');
  assert.equal(tracking(repo({ upstream: null, remote: 'origin' }), trans), 'only here so far: Push sends it to origin');
  assert.equal(tracking(repo({ ...here, gone: true, remote: 'origin' }), trans), 'only here so far: Push sends it to origin');
  assert.equal(tracking(repo({ remotes: [] }), trans), 'no remote');
  assert.match(tracking(repo({ detached: true, branch: null }), trans), /switch to one before you commit/);
  assert.equal(tracking(repo({ unborn: true }), trans), 'no commit yet');
});

test('Pull and Push say what they do, and why they cannot', () => {
  const here = { upstream: 'origin/main', gone: false, ahead: 2, behind: 1 };
  assert.equal(pullWords(repo(here), trans), 'Pull 1 commit from origin/main');
  assert.equal(pushWords(repo(here), trans), 'Push 2 commits to origin/main');
  assert.match(pushWords(repo({ upstream: null, branch: 'try', remote: 'origin' }), trans), /^Push try to origin for the first time/);
  assert.match(pullWords(repo({ upstream: null }), trans), /push it first/);
  assert.match(pushWords(repo({ remotes: [] }), trans), /git remote add origin ADDRESS/);
  assert.match(pushWords(repo({ branch: null, detached: true }), trans), /Switch to a branch first/);
  assert.match(pushWords(repo({ unborn: true }), trans), /Commit something first/);
});

test('a file is told with how it differs', () => {
  assert.equal(fileWords(file('model.py', { kind: 'staged', index: 'M' }), trans), 'model.py: changed');
  assert.equal(fileWords(file('model.py', { kind: 'staged', index: 'R', old_path: 'old.py' }), trans), 'model.py, before old.py: renamed');
  assert.equal(fileWords(file('model.py', { kind: 'conflict', conflict: 'both changed' }), trans), 'model.py: conflict, both changed');
  assert.equal(fileWords(file('model.py', { kind: 'unstaged', outputs_only: true, worktree: 'M' }), trans), 'model.py: changed, outputs only');
});

test('names from a repository stay on one line and do not turn around', () => {
  assert.equal(fileWords(file('model.py', { path: 'a\nb\u202egpj.py', kind: 'untracked' }), trans), 'a bgpj.py: not in git yet');
  assert.equal(headName(repo({ branch: 'a\u202eb' }), trans), 'ab');
});

test('what is not finished tells what can be done', () => {
  assert.match(inProgress(repo({ in_progress: 'merge', conflicts: ['a', 'b'] }), trans), /^A merge is not finished: 2 files have conflicts/);
  assert.match(inProgress(repo({ in_progress: 'rebase', step: '3/7', conflicts: [] }), trans), /^A rebase is not finished \(step 3\/7\). No conflict is left/);
  assert.match(inProgress(repo({ in_progress: 'bisect', conflicts: [] }), trans), /^Something is not finished: bisect/);
});

test('the commit button says why it is off where that is not plain to see', () => {
  assert.match(hindranceWords('nothing', trans), /stage what belongs/);
  assert.equal(hindranceWords('message', trans), '');
});

test('a task tells what git says, or what it does', () => {
  assert.equal(taskWords(task({ progress: 'Receiving objects: 45 %' }), trans), 'Receiving objects: 45 %');
  assert.equal(taskWords(task({ progress: '', message: '', operation: 'push' }), trans), 'Pushing');
});

test('of many names only the first are listed', () => {
  assert.equal(listed(['a', 'b', 'c'], trans, 2), 'a\nb\nand 1 more');
  assert.equal(listed(['a\nb'], trans), 'a b');
});

test('keys move the focus over rows of several buttons', () => {
  const widths = [1, 3, 2];
  const from = (row: number, column: number) => ({ row, column });
  assert.deepEqual(moved('ArrowDown', from(1, 2), widths), from(2, 1));
  assert.deepEqual(moved('ArrowDown', from(2, 0), widths), from(2, 0));
  assert.deepEqual(moved('ArrowUp', from(0, 0), widths), from(0, 0));
  assert.deepEqual(moved('ArrowRight', from(1, 2), widths), from(1, 2));
  assert.deepEqual(moved('ArrowLeft', from(1, 2), widths), from(1, 1));
  assert.deepEqual(moved('End', from(0, 0), widths), from(2, 0));
  assert.equal(moved('Enter', from(0, 0), widths), null);
});

test('characters that cannot be seen are shown in a comparison, and not obeyed', () => {
  assert.equal(visible('x = 1\r'), 'x = 1␍');
  assert.equal(visible('a\u202eb\u0007'), 'a\\u202eb\\u0007');
  assert.equal(visible('\tTab stays'), '\tTab stays');
});

test('the status bar tells the branch and how far it is apart', () => {
  const here = repo({ branch: 'main', upstream: 'origin/main', gone: false, ahead: 1, behind: 2 });
  assert.equal(branchWords(here, trans), 'main ↑1 ↓2');
  assert.match(branchSentence(here, trans), /^Git: on main, .*to push.*Open the panel\.$/);
  assert.equal(branchWords(repo({ branch: 'x'.repeat(40), ahead: 0, behind: null }), trans), `${'x'.repeat(30)}…`);
});
