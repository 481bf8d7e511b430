import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  comparedIn,
  START,
  deedsOf,
  fileOf,
  groups,
  hindrance,
  isBelow,
  isBusy,
  keyOf,
  letterOf,
  lookAgainMs,
  nameAndFolder,
  outcomeOf,
  reduce,
  shouldFetch,
  taskHere
} from '../src/git/model';
import type { GitState } from '../src/git/model';
import type { Status } from '../src/git/types';
import { file, repo, status, task } from './git';

const told = (changes: Partial<Status> = {}, state: GitState = START): GitState =>
  reduce(state, { type: 'status', status: status(changes) });
const none = { conflict: 0, staged: 0, unstaged: 0, untracked: 0 };

test('files are grouped: conflicts, what is staged, what has changed, what git does not know', () => {
  assert.deepEqual(
    groups(status()).map(group => [group.kind, group.count]),
    [['staged', 2], ['unstaged', 3], ['untracked', 2]]
  );
});

test('a file that was staged and changed again is in both groups, as two rows', () => {
  const keys = status().files.filter(one => one.path === 'model.py').map(keyOf);
  assert.deepEqual(keys, ['staged model.py', 'unstaged model.py']);
  assert.equal(fileOf(status(), 'unstaged model.py')?.kind, 'unstaged');
  assert.equal(fileOf(status(), 'conflict model.py'), undefined);
  assert.equal(fileOf(null, 'staged model.py'), undefined);
});

test('a group tells how many files it has, also those that are not listed', () => {
  const [group] = groups(status({ files: [], counts: { ...none, untracked: 100_000 }, truncated: 100_000 }));
  assert.deepEqual([group.kind, group.count, group.files.length], ['untracked', 100_000, 0]);
});

test('the letter is that of the side of the row', () => {
  assert.equal(letterOf(file('model.py', { kind: 'staged', index: 'A', worktree: 'M' })), 'A');
  assert.equal(letterOf(file('model.py', { kind: 'unstaged', index: 'A', worktree: 'M' })), 'M');
  assert.equal(letterOf(file('model.py', { kind: 'untracked' })), 'U');
  assert.equal(letterOf(file('model.py', { kind: 'conflict', index: 'U', worktree: 'U' })), '!');
});

test('what can be done to a file fits its kind; nothing to a repository inside', () => {
  assert.deepEqual(deedsOf(file('model.py', { kind: 'staged' })), ['unstage']);
  assert.deepEqual(deedsOf(file('model.py', { kind: 'conflict' })), ['mine', 'theirs', 'resolved']);
  assert.deepEqual(deedsOf(file('model.py', { kind: 'untracked', repository: true })), []);
});

test('a name is told before its folder', () => {
  assert.deepEqual(nameAndFolder('a/b/c.py'), { name: 'c.py', folder: 'a/b' });
  assert.deepEqual(nameAndFolder('data/raw/'), { name: 'raw/', folder: 'data' });
  assert.deepEqual(nameAndFolder('c.py'), { name: 'c.py', folder: '' });
});

test('a folder holds what is below it and not what only begins like it', () => {
  assert.equal(isBelow('taxi/a.py', 'taxi'), true);
  assert.equal(isBelow('taxi', 'taxi'), true);
  assert.equal(isBelow('taxi-old/a.py', 'taxi'), false);
  assert.equal(isBelow('anything', ''), true);
});

test('a commit needs something staged, a message and no conflict', () => {
  assert.equal(hindrance(told(), 'Better features'), '');
  assert.equal(hindrance(told(), ' \n'), 'message');
  assert.equal(hindrance(told({ files: [], counts: none }), 'x'), 'nothing');
  assert.equal(hindrance(told({ counts: { ...none, staged: 1, conflict: 1 } }), 'x'), 'conflict');
  assert.equal(hindrance(reduce(told(), { type: 'busy', busy: true }), 'x'), 'busy');
  assert.equal(hindrance(START, 'x'), 'busy');
});

test('the same place, the same work and the same news change nothing', () => {
  const state = told();
  assert.equal(reduce(state, { type: 'place', place: state.place }), state);
  assert.equal(reduce(state, { type: 'busy', busy: false }), state);
  assert.equal(reduce(state, { type: 'outcome', outcome: null }), state);
});

test('what went wrong in one repository is not told in another', () => {
  const outcome = { message: 'no', next: '', paths: [] };
  const state = reduce(told(), { type: 'outcome', outcome });
  assert.equal(told({}, state).outcome, outcome);
  assert.equal(told({ repo: repo({ root: 'other' }) }, state).outcome, null);
  assert.equal(told({ repo: null }, state).outcome, null);
});

test('a task is shown where it goes on, until it has ended', () => {
  const running = reduce(told(), { type: 'task', task: task({ state: 'running' }) });
  assert.equal(taskHere(running)?.task, task().task);
  assert.equal(taskHere(told({ repo: repo({ root: 'other' }) }, running)), null);
  assert.equal(taskHere(reduce(running, { type: 'task', task: task({ state: 'done' }) })), null);
});

test('a message that was on its way does not make a task run again', () => {
  const ended = reduce(told(), { type: 'task', task: task({ state: 'done' }) });
  assert.equal(taskHere(reduce(ended, { type: 'task', task: task({ state: 'running' }) })), null);
  assert.equal(taskHere(told({ task: task({ state: 'running' }) }, ended)), null);
});

test('the late end of a task leaves the one that was begun after it', () => {
  const next = reduce(told(), { type: 'task', task: task({ task: 'second', state: 'running' }) });
  const late = reduce(next, { type: 'task', task: task({ task: 'first', state: 'failed' }) });
  assert.equal(taskHere(late)?.task, 'second');
});

test('a page that was loaded anew finds what goes on', () => {
  assert.equal(taskHere(told({ task: task({ state: 'running' }) }))?.operation, task().operation);
});

test('a fetch that nobody asked for keeps nobody from working', () => {
  const quiet = reduce(told(), { type: 'task', task: task({ state: 'running', quiet: true }) });
  assert.equal(isBusy(quiet), false);
  assert.equal(isBusy(reduce(told(), { type: 'task', task: task({ state: 'running', quiet: false }) })), true);
});

test('only what did not work is told, with its files and what the remote said', () => {
  assert.equal(outcomeOf(task({ state: 'done' })), null);
  assert.equal(outcomeOf(task({ state: 'cancelled' })), null);
  const failed = task({ state: 'failed', message: 'Rejected.', next: 'Pull first.', remote_says: ['hook: no'] });
  assert.deepEqual(outcomeOf(failed), { message: 'Rejected.\nhook: no', next: 'Pull first.', paths: [] });
  assert.deepEqual(outcomeOf(task({ state: 'conflict', conflicts: ['a.py'] }))?.paths, ['a.py']);
});

test('the remote is asked when it is time, and never in the middle of something', () => {
  const minutes = (n: number): number => n * 60_000;
  assert.equal(shouldFetch(status(), minutes(5), 5), true);
  assert.equal(shouldFetch(status(), minutes(4), 5), false);
  assert.equal(shouldFetch(status(), minutes(500), Infinity), false);
  assert.equal(shouldFetch(status({ repo: repo({ in_progress: 'merge' }) }), minutes(5), 5), false);
  assert.equal(shouldFetch(status({ repo: repo({ remote: null }) }), minutes(5), 5), false);
  assert.equal(shouldFetch(status({ task: task() }), minutes(5), 5), false);
  assert.equal(shouldFetch(status({ repo: null }), minutes(5), 5), false);
});

test('where looking takes long it is done seldom', () => {
  assert.equal(lookAgainMs(20), 10_000);
  assert.equal(lookAgainMs(3000), 60_000);
});

test('a comparison is opened again from what was kept of it, and from nothing else', () => {
  const [changed] = status().files;
  assert.deepEqual(comparedIn({ root: 'taxi', ...changed }), { root: 'taxi', file: changed });
  assert.equal(comparedIn({ path: changed.path, kind: changed.kind }), null);
  assert.equal(comparedIn({ root: 'taxi', ...changed, kind: 'other' }), null);
});
