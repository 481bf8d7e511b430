import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isSilent, readCard } from '../src/card/saved';
import { keyOf, readKey } from '../src/jobs/keys';
import { percentIn } from '../src/jobs/percent';
import { noteOf } from '../src/log/notes';
import { Turns } from '../src/log/turns';
import { tidy } from '../src/page';
import { events, job, trans } from './recorded';

const text = (): string => events().map(event => `${JSON.stringify(event)}\n`).join('');

test('the progress is that of the last bar, carriage returns or not', () => {
  assert.equal(percentIn(text()), 80);
  assert.equal(percentIn(text().slice(0, -10)), 80);
  assert.equal(percentIn(''), null);
  assert.equal(percentIn('{"type":"output","text":"hello"}\nnot JSON\n'), null);
});

test('a key names a job and can be read', () => {
  assert.equal(keyOf(job(3)), 'gpu-box/3');
  assert.deepEqual(readKey('gpu-box/3'), { cluster: 'gpu-box', job_id: 3 });
});

test('a card that a notebook keeps is read; what is none is none', () => {
  const saved = { cluster: 'gpu-box', job_id: 3, agent_id: 'a', state: 'running', as_of: 100, name: 'train' };
  const card = readCard(saved);
  assert.deepEqual(card, { cluster: 'gpu-box', job_id: 3, agent_id: 'a', active: true, as_of: 100 });
  assert.equal(readCard({ ...saved, state: 'succeeded' })?.active, false);
  for (const broken of [null, 'x', [], {}, { ...saved, job_id: '3' }, { ...saved, job_id: 1.5 }, { ...saved, cluster: 7 }]) {
    assert.equal(readCard(broken), null);
  }
});

test('a card that was drawn just now is left to its kernel', () => {
  const card = readCard({ cluster: 'a', job_id: 1, agent_id: 'b', state: 'running', as_of: 1000 });
  assert.ok(card);
  assert.equal(isSilent(card, 1002), false);
  assert.equal(isSilent(card, 1100), true);
});

test('notes tell what the log lost, and words from outside stay on one line', () => {
  const dropped = noteOf(tidy({ type: 'dropped', stream: 'stdout', count: 2048 }), trans);
  assert.deepEqual(dropped, { text: '2 KiB of stdout are not in the log: it has reached its limit.', isWarning: true });
  assert.equal(noteOf(tidy({ type: 'cancel', by: 'ada\nbob', reason: 'too slow' }), trans)?.text, 'Cancel asked by ada bob: too slow');
  const refused = noteOf(tidy({ type: 'storage', message: 'the disk\nfailed' }), trans);
  assert.deepEqual(refused, { text: 'the disk failed', isWarning: true });
  assert.equal(noteOf(tidy({ type: 'output', text: 'x' }), trans), null);
});

test('turns are given in the order in which they were asked for', async () => {
  const turns = new Turns(1);
  const first = await turns.take(new AbortController().signal);
  const taken: string[] = [];
  const gone = new AbortController();
  const second = turns.take(gone.signal).then(() => taken.push('second'));
  const third = turns.take(new AbortController().signal).then(end => {
    taken.push('third');
    return end;
  });
  gone.abort();
  await second;
  first();
  first();
  (await third)();
  assert.deepEqual(taken, ['second', 'third']);
  await turns.take(new AbortController().signal);
});
