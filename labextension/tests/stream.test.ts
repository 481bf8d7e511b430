import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Stream, backOff } from '../src/stream';
import type { Socket } from '../src/stream';

/** A socket whose other end is the test. */
class TestSocket implements Socket {
  onopen: ((event: never) => unknown) | null = null;
  onmessage: ((event: never) => unknown) | null = null;
  onclose: ((event: never) => unknown) | null = null;
  closed = false;

  close(): void {
    this.closed = true;
  }

  opens(): void {
    this.onopen?.({} as never);
  }

  says(data: unknown): void {
    this.onmessage?.({ data } as never);
  }

  breaks(): void {
    this.onclose?.({} as never);
  }
}

function world() {
  const sockets: TestSocket[] = [];
  const heard: unknown[] = [];
  const timers: { act: () => void; ms: number }[] = [];
  const stream = new Stream({
    open: () => {
      sockets.push(new TestSocket());
      return sockets[sockets.length - 1];
    },
    take: message => heard.push(message),
    connected: yes => heard.push(yes),
    later: (act, ms) => {
      const timer = { act, ms };
      timers.push(timer);
      return () => timers.splice(timers.indexOf(timer), 1);
    }
  });
  const wait = (): number => {
    const [timer] = timers.splice(0, 1);
    timer.act();
    return timer.ms;
  };
  return { stream, sockets, heard, timers, wait };
}

test('messages are handed on; what is no JSON is passed over', () => {
  const { stream, sockets, heard } = world();
  stream.start();
  sockets[0].opens();
  sockets[0].says('{"type":"jobs"}');
  sockets[0].says('{"type":');
  assert.deepEqual(heard, [true, { type: 'jobs' }]);
});

test('a connection that breaks is made anew', () => {
  const { stream, sockets, heard, wait } = world();
  stream.start();
  sockets[0].opens();
  sockets[0].breaks();
  assert.equal(stream.isOn, true);
  wait();
  sockets[1].opens();
  assert.deepEqual(heard, [true, false, true]);
});

test('it waits longer each time in vain, and begins anew after a success', () => {
  const { stream, sockets, wait } = world();
  stream.start();
  const waits = [0, 1, 2, 3, 4, 5, 6, 7].map(at => {
    sockets[at].breaks();
    return wait();
  });
  assert.ok(waits[0] <= 1000 && waits[3] > waits[0] && waits[7] >= 15_000);
  sockets[8].opens();
  sockets[8].breaks();
  assert.ok(wait() <= 30_000);
  sockets[9].breaks();
  assert.ok(wait() <= 1000);
});

test('one that was stopped says nothing and does not come back', () => {
  const { stream, sockets, heard, timers } = world();
  stream.start();
  stream.stop();
  assert.equal(sockets[0].closed, true);
  sockets[0].opens();
  sockets[0].says('{}');
  sockets[0].breaks();
  assert.deepEqual([heard, timers, stream.isOn], [[], [], false]);
});

test('stopping while it waits ends the waiting', () => {
  const { stream, sockets, timers } = world();
  stream.start();
  sockets[0].breaks();
  stream.stop();
  assert.equal(timers.length, 0);
  stream.start();
  assert.equal(sockets.length, 2);
});

test('starting twice opens one connection', () => {
  const { stream, sockets } = world();
  stream.start();
  stream.start();
  assert.equal(sockets.length, 1);
});

test('the wait is bounded and never nothing', () => {
  for (const tries of [0, 5, 1000]) {
    assert.ok(backOff(tries, 0) >= 500);
    assert.ok(backOff(tries, 1) <= 30_000);
  }
});
