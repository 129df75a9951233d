/** @module Subjects: abort, at any moment and by anybody. */
import { nextTurn, until } from '../servers.js';
import type { Door } from './doors.js';
import type { Exchange } from './origin.js';
import { readAll } from './streams.js';
import { caught, type Subject, seen } from './subject.js';

const nothing = (): void => {};
const ok = (exchange: Exchange): void => exchange.reply(200, {}, 'ok');
const half = (exchange: Exchange): void => exchange.raw('HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhello');

const reasons: [string, () => unknown][] = [
  ['no reason', () => undefined],
  ['an Error', () => new RangeError('mine')],
  ['text', () => 'mine'],
  ['null', () => null],
  ['0', () => 0],
  ['an object', () => ({ mine: 1 })],
  ['a TypeError', () => new TypeError('mine')],
  ['a DOMException', () => new DOMException('mine', 'TimeoutError')],
];

/** What came of it, and whether it is the very reason of the signal. */
async function outcome(promise: Promise<unknown>, signal: AbortSignal): Promise<unknown> {
  const error = await caught(promise);
  return { error, same: error === signal.reason };
}

type Act = (door: Door, controller: AbortController) => Promise<unknown>;

const abort = (name: string, act: Act, answer: Subject['answer'] = nothing): Subject => ({
  name: `abort: ${name}`,
  answer,
  brokenOff: !name.startsWith('before'),
  run: (door) => act(door, new AbortController()),
});

const reads: [string, (response: Response) => Promise<unknown>][] = [
  ['text', (r) => r.text()],
  ['json', (r) => r.json()],
  ['arrayBuffer', (r) => r.arrayBuffer()],
  ['blob', (r) => r.blob()],
  ['formData', (r) => r.formData()],
  ['stream', (r) => readAll(r.body)],
  ['clone', (r) => r.clone().text()],
];

export const aborts: Subject[] = [
  ...reasons.flatMap(([name, make]) => [
    abort(`before, ${name}`, (door) => {
      const signal = AbortSignal.abort(make());
      return outcome(door.fetch(`${door.origin}/x`, { signal }), signal);
    }),
    abort(`while waiting, ${name}`, async (door, controller) => {
      const { signal } = controller;
      const result = outcome(door.fetch(`${door.origin}/x`, { signal }), signal);
      const exchange = await door.a.arrived(1);
      controller.abort(make());
      await exchange.gone();
      return result;
    }),
    abort(
      `within the body, ${name}`,
      async (door, controller) => {
        const { signal } = controller;
        const response = await door.fetch(`${door.origin}/x`, { signal });
        const result = outcome(response.text(), signal);
        await nextTurn();
        controller.abort(make());
        return [await result, response.bodyUsed];
      },
      half,
    ),
  ]),
  abort('in the turn of the call', async (door, controller) => {
    const { signal } = controller;
    const result = outcome(door.fetch(`${door.origin}/x`, { signal }), signal);
    controller.abort();
    return result;
  }),
  abort('before, with an invalid header', (door) =>
    caught(door.fetch(`${door.origin}/x`, { signal: AbortSignal.abort(), headers: { 'a b': 'c' } })),
  ),
  abort('before, with no URL', (door) => caught(door.fetch('x', { signal: AbortSignal.abort(door) }))),
  ...reads.map(([how, read]) =>
    abort(
      `within the body, read as ${how}`,
      async (door, controller) => {
        const { signal } = controller;
        const response = await door.fetch(`${door.origin}/x`, { signal });
        const result = outcome(read(response), signal);
        await nextTurn();
        controller.abort();
        await (await door.a.arrived(1)).gone();
        return [await result, response.bodyUsed];
      },
      half,
    ),
  ),
  ...reads.map(([how, read]) =>
    abort(
      `after the head and before ${how}`,
      async (door, controller) => {
        const { signal } = controller;
        const response = await door.fetch(`${door.origin}/x`, { signal });
        controller.abort();
        return [await outcome(read(response), signal), response.status, response.headers.get('content-length')];
      },
      half,
    ),
  ),
  ...reads.slice(0, 6).map(([how, read]) =>
    abort(
      `after a whole body has come, before ${how}`,
      async (door, controller) => {
        const { signal } = controller;
        const response = await door.fetch(`${door.origin}/x`, { signal });
        await door.quiet();
        controller.abort();
        const error = await caught(read(response));
        return error instanceof DOMException ? 'the reason' : 'the body';
      },
      ok,
    ),
  ),
  abort(
    'after the body was read',
    async (door, controller) => {
      const response = await door.fetch(`${door.origin}/x`, { signal: controller.signal });
      const text = await response.text();
      controller.abort();
      return [text, response.status, response.ok];
    },
    ok,
  ),
  abort(
    'while a reader waits',
    async (door, controller) => {
      const { signal } = controller;
      const reader = ((await door.fetch(`${door.origin}/x`, { signal })).body as ReadableStream).getReader();
      await reader.read();
      const waiting = outcome(reader.read(), signal);
      controller.abort();
      return [await waiting, await outcome(reader.closed, signal)];
    },
    half,
  ),
  abort(
    'of a clone: both halves',
    async (door, controller) => {
      const { signal } = controller;
      const response = await door.fetch(`${door.origin}/x`, { signal });
      const clone = response.clone();
      const results = [outcome(response.text(), signal), outcome(clone.text(), signal)];
      await nextTurn();
      controller.abort();
      return Promise.all(results);
    },
    half,
  ),
  abort(
    'cancel of a reader does not abort the signal',
    async (door, controller) => {
      const response = await door.fetch(`${door.origin}/x`, { signal: controller.signal });
      await response.body?.cancel();
      return [controller.signal.aborted, await caught(response.text())];
    },
    half,
  ),
  abort('while a body is being sent', async (door, controller) => {
    const { signal } = controller;
    let canceled = false;
    const body = new ReadableStream({
      pull: async (it) => {
        await nextTurn();
        it.enqueue(new Uint8Array(10));
      },
      cancel: () => void (canceled = true),
    });
    const result = outcome(door.fetch(`${door.origin}/x`, { method: 'POST', body, duplex: 'half', signal }), signal);
    await door.a.arrived(1);
    controller.abort();
    const error = await result;
    for (let turns = 0; turns < 20; turns++) await nextTurn();
    return [error, canceled];
  }),
  abort('before: the body is told', async (door) => {
    const signal = AbortSignal.abort(new RangeError('mine'));
    let canceled: unknown = 'not canceled';
    const body = new ReadableStream({ cancel: (reason) => void (canceled = reason === signal.reason) });
    const result = await outcome(
      door.fetch(`${door.origin}/x`, { method: 'POST', body, duplex: 'half', signal }),
      signal,
    );
    await nextTurn();
    return [result, canceled, body.locked];
  }),
  abort('of a Request', async (door, controller) => {
    const { signal } = controller;
    const request = new Request(`${door.origin}/x`, { signal });
    const result = outcome(door.fetch(request), signal);
    await door.a.arrived(1);
    controller.abort(new RangeError('mine'));
    return [await result, request.signal.aborted];
  }),
  abort('of a Request whose signal is replaced', async (door, controller) => {
    const request = new Request(`${door.origin}/x`, { signal: AbortSignal.abort() });
    const { signal } = controller;
    const result = outcome(door.fetch(request, { signal }), signal);
    await door.a.arrived(1);
    controller.abort();
    return result;
  }),
  abort('AbortSignal.timeout', async (door) => {
    const signal = AbortSignal.timeout(20);
    return outcome(door.fetch(`${door.origin}/x`, { signal }), signal);
  }),
  abort('AbortSignal.any', async (door, controller) => {
    const signal = AbortSignal.any([controller.signal, AbortSignal.timeout(60_000)]);
    const result = outcome(door.fetch(`${door.origin}/x`, { signal }), signal);
    await door.a.arrived(1);
    controller.abort(new RangeError('mine'));
    return result;
  }),
  abort('one signal for many', async (door, controller) => {
    const { signal } = controller;
    const results = Array.from({ length: 20 }, () => outcome(door.fetch(`${door.origin}/x`, { signal }), signal));
    await door.a.arrived(20);
    controller.abort();
    const all = await Promise.all(results);
    await until(() => door.a.exchanges.every(({ socket }) => socket.destroyed));
    return all.every((each) => (each as { same: boolean }).same);
  }),
  abort('while connecting', async (door, controller) => {
    const { signal } = controller;
    const result = outcome(door.fetch(`${door.hung}/x`, { signal }), signal);
    await until(() => door.a.connections === 1);
    controller.abort();
    return result;
  }),
  abort(
    'the next call over the same door',
    async (door, controller) => {
      const { signal } = controller;
      const result = outcome(door.fetch(`${door.origin}/x`, { signal }), signal);
      controller.abort();
      await result;
      return seen(await door.fetch(`${door.origin}/x`));
    },
    ok,
  ),
];
