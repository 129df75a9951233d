/**
 * Would catch: a head that nobody asked the time of and that has none for whoever asks later; an answer that waits for its
 * second asker for ever.
 */
import { type Receiver, type Reply, relay } from '@fairlead/core';
import { VirtualClock } from '@fairlead/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { ask, start, stopServers } from '../tests/harness.js';
import { createGuard } from './index.js';

afterEach(stopServers);

/** A layer that lets its call pass without a look at the answer, and asks for that `again`: in the handler, or behind it. */
async function askedTwice(again: 'before the head' | 'after it') {
  const clock = new VirtualClock({ startMs: 7 });
  const told: Reply[] = [];
  let repeat = (): void => {};
  const late: Receiver = { onReply: (reply) => told.push(reply), onError: () => {} };
  const layer = relay('twice', (call, next, receiver) => {
    repeat = () => next(call, late);
    next(call, receiver);
  });
  let runs = 0;
  const { port } = await start('node', createGuard({ layers: [layer], runtime: { clock } }), (_request, response) => {
    runs++;
    if (again === 'before the head') repeat();
    response.writeHead(203);
    if (again === 'after it') repeat();
    response.end('once');
  });
  const { status, body } = await ask(port);
  return { status, body, runs, told };
}

describe('an answer', () => {
  it.each(['before the head', 'after it'] as const)(
    'is told again to who asks for it %s, and when it came',
    async (when) => {
      const { told, ...rest } = await askedTwice(when);
      expect(rest).toEqual({ status: 203, body: 'once', runs: 1 });
      expect(told).toMatchObject([{ status: 203, at: 7 }]);
    },
  );
});
