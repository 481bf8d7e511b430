import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Declined, Offline } from '../src/failures';
import { Tasks } from '../src/git/tasks';
import type { Task } from '../src/git/types';
import { task } from './git';

const running = task({ task: 'a', state: 'running' });
const done = task({ task: 'a', state: 'done' });

function world(...answers: (Task | Error)[]) {
  const heard: string[] = [];
  const timers: (() => void)[] = [];
  const tasks = new Tasks({
    ask: async () => {
      const answer = answers.shift() ?? running;
      if (answer instanceof Error) {
        throw answer;
      }
      return answer;
    },
    heard: one => heard.push(one.state),
    later: act => {
      timers.push(act);
      return () => timers.splice(timers.indexOf(act), 1);
    }
  });
  /** Let the silence have lasted too long. */
  const silence = async (): Promise<void> => {
    timers.splice(0).forEach(act => act());
    await new Promise(resolve => setImmediate(resolve));
  };
  return { tasks, heard, timers, silence };
}

test('an end that the stream pushes is the end', async () => {
  const { tasks, heard, timers } = world();
  const end = tasks.end('a');
  tasks.take(running);
  tasks.take(done);
  assert.equal((await end).state, 'done');
  assert.deepEqual(heard, ['running', 'done']);
  assert.equal(timers.length, 0);
});

test('an end that came before anybody waited is not waited for', async () => {
  const { tasks } = world();
  tasks.take(done);
  assert.equal((await tasks.end('a')).state, 'done');
});

test('while the stream is silent the server is asked', async () => {
  const { tasks, silence, heard } = world(running, done);
  const end = tasks.end('a');
  await silence();
  await silence();
  assert.equal((await end).state, 'done');
  assert.deepEqual(heard, ['running', 'done']);
});

test('a server that is away is asked again, for the task goes on', async () => {
  const { tasks, silence } = world(new Offline(), done);
  const end = tasks.end('a');
  await silence();
  await silence();
  assert.equal((await end).state, 'done');
});

test('a task that the server does not know any more has no end', async () => {
  const { tasks, silence } = world(new Declined(404, { message: 'there is no such task' }));
  const end = assert.rejects(tasks.end('a'), /there is no such task/);
  await silence();
  await end;
  assert.equal(tasks.isAwaited('a'), false);
});

test('the end of another task is no end of this one', async () => {
  const { tasks } = world();
  void tasks.end('a');
  tasks.take(task({ task: 'b', state: 'done' }));
  assert.equal(tasks.isAwaited('a'), true);
});
