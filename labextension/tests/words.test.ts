import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clusterFacts, endWords, endsWords, exactly, facts, readInvite, resources, roughly, summary, title } from '../src/words';
import { clusters, job, trans } from './recorded';

const started = (): number => job(3).started_at ?? 0;

test('a running job tells resources, time and progress', () => {
  const now = started() + 14 * 60 + 20;
  assert.deepEqual(facts(job(3, { gpus: 2 }), now, trans, 62), ['gpu-box/3', '2 GPUs', '14 min', '62 %']);
  assert.deepEqual(facts(job(3, { gpus: 1 }), now, trans), ['gpu-box/3', '1 GPU', '14 min']);
});

test('a queued job tells its place, why it waits and when it starts at the latest', () => {
  const waiting = job(4, { waiting_for: 'needs 2 GPUs, 0 free', starts_by: 1.8e9 });
  const [ref, place, why, start] = facts(waiting, 1.8e9, trans);
  assert.deepEqual([ref, place, why], ['gpu-box/4', 'next', 'needs 2 GPUs, 0 free']);
  assert.match(start, /^starts by \d\d:\d\d$/);
  assert.equal(facts(job(5), 0, trans)[0], 'place 2');
});

test('an ended job tells first why it did not finish', () => {
  const [why, ref, took, when] = facts(job(2, { seconds: 3725 }), job(2).ended_at ?? 0, trans);
  assert.deepEqual([why, ref, took], ['ZeroDivisionError: division by zero', 'gpu-box/2', '1 h 2 min']);
  assert.match(when, /^\d\d:\d\d$/);
});

test('a job without a name is called by its number', () => {
  assert.equal(title(job(5)), 'gpu-box/5');
  assert.equal(title(job(3)), 'train');
});

test('names and reasons from outside stay on one line, without escapes and turned text', () => {
  assert.equal(title(job(3, { name: 'a\u001b[31mb\nc\u202ed' })), 'ab cd');
  assert.equal(facts(job(4, { waiting_for: 'x\ny' }), 0, trans)[2], 'x y');
});

test('durations have no seconds once there are minutes', () => {
  assert.deepEqual([0, 9.7, 59, 61, 3599, 3661, 90_000].map(roughly), ['0 s', '10 s', '59 s', '1 min', '59 min', '1 h 1 min', '1 d 1 h']);
});

test('resources are told in full', () => {
  assert.equal(resources(job(3, { gpus: 0, cpus: 1, memory_bytes: 2 ** 31 }), trans), 'no GPU, 1 CPU, 2 GiB');
  assert.equal(resources(job(3, { gpus: 2, cpus: 8, memory_bytes: 0 }), trans), '2 GPUs, 8 CPUs');
});

test('a cluster tells GPUs and queue; one that is away tells nothing that is not known', () => {
  const [box, away] = clusters();
  assert.deepEqual(clusterFacts({ ...box, gpus: 8, gpus_free: 3 }, trans).slice(0, 3), ['3 of 8 GPUs free', '1 running', '2 queued']);
  assert.equal(clusterFacts(box, trans)[0], 'no GPU');
  assert.deepEqual(clusterFacts(away, trans), []);
});

test('the status bar is empty when nothing goes on', () => {
  assert.equal(summary(2, 1, trans), '2 running, 1 queued');
  assert.equal(summary(0, 1, trans), '1 queued');
  assert.equal(summary(0, 0, trans), '');
});

test('an end is told with its reason', () => {
  assert.equal(endWords(job(2), trans), 'Job gpu-box/2 broken: Failed: ZeroDivisionError: division by zero');
  assert.equal(endWords(job(1), trans), 'Job gpu-box/1 first: Finished');
});

test('an invite is understood as a line, as name and address, as an address', () => {
  const url = 'https://gpu-box:8900#CODE';
  assert.deepEqual(readInvite(`%attachments add gpu-box ${url}`), { name: 'gpu-box', url });
  assert.deepEqual(readInvite(`  mlmagics attachments add gpu-box '${url}'\n`), { name: 'gpu-box', url });
  assert.deepEqual(readInvite(`gpu-box ${url}`), { name: 'gpu-box', url });
  assert.deepEqual(readInvite(url), { name: '', url });
  assert.deepEqual(readInvite('hello'), { name: 'hello', url: '' });
});

test('names with percent signs are filled in as they are', () => {
  const words = exactly(trans);
  assert.equal(words.__('%1: %2', '100%% %1 %% .py', 'a%2'), '100%% %1 %% .py: a%2');
  assert.equal(words._n('%1 file of %2', '%1 files of %2', 2, '%% x'), '2 files of %% x');
  assert.equal(words.__('begins with %%%%%1', 'gpu-box'), 'begins with %%gpu-box');
});

test('several ends are told together, the first of many by name', () => {
  const jobs = [1, 2, 3, 4, 5, 6, 7].map(n => job(2, { job_id: n, ref: `gpu-box/${n}`, name: '', reason: null }));
  const lines = endsWords(jobs, trans).split('\n');
  assert.equal(lines[0], '7 jobs have ended.');
  assert.deepEqual([lines.length, lines[1], lines[6]], [7, `Job gpu-box/1: ${jobs[0].word}`, 'and 2 more']);
});
