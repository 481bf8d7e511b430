import assert from 'node:assert/strict';
import { test } from 'node:test';
import { START, counts, find, groups, hasActive, justEnded, reduce } from '../src/model';
import type { State } from '../src/model';
import { clusters, job, jobs, version } from './recorded';

const told = (state: State = START): State => reduce(state, { type: 'jobs', ...jobs() });

test('jobs are grouped: what runs, the queue in its order, what has ended with the newest first', () => {
  const found = groups(jobs().jobs).map(group => [group.name, group.jobs.map(one => one.job_id)]);
  assert.deepEqual(found, [['running', [3]], ['queued', [4, 5]], ['ended', [2, 1]]]);
});

test('queues of several clusters are not mixed', () => {
  const other = [job(4, { cluster: 'away', job_id: 9, position: 1 }), job(5, { cluster: 'away', position: 2 })];
  const [queue] = groups([...other, job(5), job(4)]);
  assert.deepEqual(queue.jobs.map(one => `${one.cluster}/${one.job_id}`), ['away/9', 'away/5', 'gpu-box/4', 'gpu-box/5']);
});

test('a group without jobs is not listed', () => {
  assert.deepEqual(groups([job(1)]).map(group => group.name), ['ended']);
  assert.deepEqual(groups([]), []);
});

test('only own jobs are counted', () => {
  assert.deepEqual(counts(told()), { running: 1, queued: 2 });
  const others = { type: 'jobs' as const, jobs: [job(3, { mine: false }), job(4)], troubles: [] };
  assert.deepEqual(counts(reduce(START, others)), { running: 0, queued: 1 });
});

test('a job that ran before and has ended now has just ended', () => {
  const before = told();
  const after = reduce(before, { type: 'job', job: job(3, { state: 'succeeded', ended_at: 2 }) });
  assert.deepEqual(justEnded(before, after).map(one => one.job_id), [3]);
  assert.deepEqual(justEnded(after, after), []);
});

test('neither a job of somebody else nor one that had ended before has just ended', () => {
  const before = reduce(START, { type: 'jobs', jobs: [job(3, { mine: false })], troubles: [] });
  const after = reduce(before, { type: 'job', job: job(3, { mine: true, state: 'failed' }) });
  assert.deepEqual(justEnded(before, after), []);
  assert.deepEqual(justEnded(START, told()), []);
});

test('a job of the same number behind another agent is another job', () => {
  const before = told();
  const jobs_ = [job(3, { agent_id: 'another', state: 'succeeded' })];
  assert.deepEqual(justEnded(before, reduce(before, { type: 'jobs', jobs: jobs_, troubles: [] })), []);
});

test('a list that was on its way does not make an ended job run again', () => {
  const ended = reduce(told(), { type: 'job', job: job(3, { state: 'cancelled', word: 'Cancelled' }) });
  assert.equal(find(told(ended), 'gpu-box', 3)?.state, 'cancelled');
});

test('a look at one job does not change whose it is', () => {
  const after = reduce(told(), { type: 'job', job: job(3, { mine: false, stopping: true }) });
  assert.equal(find(after, 'gpu-box', 3)?.mine, true);
  assert.equal(find(after, 'gpu-box', 3)?.stopping, true);
});

test('a job that is not listed yet comes first; before there is a list it waits for it', () => {
  const made = job(1, { job_id: 7, state: 'queued' });
  assert.equal(reduce(told(), { type: 'job', job: made }).jobs?.[0].job_id, 7);
  assert.equal(reduce(START, { type: 'job', job: made }).jobs, null);
});

test('listening goes on while an own job is active', () => {
  assert.equal(hasActive(told()), true);
  assert.equal(hasActive(reduce(START, { type: 'jobs', jobs: [job(1), job(3, { mine: false })], troubles: [] })), false);
});

test('other people’s jobs are not shown among those of one, not even for a moment', () => {
  const after = reduce(told(), { type: 'everybody', everybody: true });
  assert.equal(after.jobs, null);
  assert.equal(after.everybody, true);
});

test('what is known stays when the server is gone, and the same news are no news', () => {
  const gone = reduce(told(), { type: 'phase', phase: 'offline' });
  assert.equal(gone.jobs?.length, 5);
  assert.equal(reduce(gone, { type: 'phase', phase: 'offline' }), gone);
});

test('a version that is not ours is kept, ours is not', () => {
  const { version: other } = version();
  assert.equal(reduce(START, { type: 'version', own: other, other }).otherVersion, '');
  assert.equal(reduce(START, { type: 'version', own: '9.9.9', other }).otherVersion, other);
});

test('clusters are kept as they are told', () => {
  const rows = clusters();
  assert.deepEqual(reduce(START, { type: 'clusters', clusters: rows }).clusters, rows);
});
