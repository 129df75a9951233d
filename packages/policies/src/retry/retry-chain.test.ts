// Would catch: a hop that repeats although one behind it has, or although its caller already does; one that does not tell
// that it has given up; a replay of the transport that the budget does not see.
import { compose, giveUp, inheritedAttempt, type Middleware, Scope, TransportError } from '@fairlead/core';
import { callTo, recordEvents, refuse, reply, reset, type Script, scripted, VirtualClock } from '@fairlead/testing';
import { describe, expect, it } from 'vitest';
import { type RetryOptions, retry } from './retry.js';
import { retryBudget } from './retry-budget.js';

function rig(script: Script, options?: Partial<RetryOptions>, init: Parameters<typeof callTo>[1] = {}) {
  const clock = new VirtualClock();
  const inbound = new Scope(clock);
  const call = callTo('payments', { ...init, clock, scope: inbound.child() });
  const events = recordEvents(call.runtime);
  const backend = scripted(script);
  const handler = compose([retry(options)], backend);
  const refusals = () => events.flatMap((event) => (event.type === 'retry.refused' ? [event.reason] : []));
  return { clock, call, inbound, backend, refusals, go: () => clock.run(handler(call)) };
}

describe('a reply that forbids to repeat', () => {
  it.each<Record<string, string>>([
    { 'x-fairlead-retry': 'no' },
    { 'finagle-http-nonretryable-nack': 'true' },
    { 'grpc-retry-pushback-ms': '-1' },
    { 'grpc-retry-pushback-ms': 'x' },
    { 'x-fairlead-retry': 'no', 'x-fairlead-nack': 'retryable' },
  ])('%j is handed back, and handed on', async (headers) => {
    const { go, backend, inbound, refusals } = rig(reply(503, { headers }));
    expect((await go()).status).toBe(503);
    expect([backend.calls.length, refusals(), inbound.gaveUp]).toEqual([1, ['forbidden'], true]);
  });

  it.each<Record<string, string>>([{ 'x-fairlead-retry': 'yes' }, { 'grpc-retry-pushback-ms': '10' }])(
    '%j does not',
    async (headers) => {
      const { go, inbound } = rig([reply(503, { headers }), reply(200)]);
      expect((await go()).status).toBe(200);
      expect(inbound.gaveUp).toBeUndefined();
    },
  );

  it('is handed on also where we would not have repeated', async () => {
    for (const [status, method] of [
      [500, 'GET'],
      [503, 'POST'],
    ] as const) {
      const { go, inbound } = rig(reply(status, { headers: { 'x-fairlead-retry': 'no' } }), {}, { method });
      expect((await go()).status).toBe(status);
      expect(inbound.gaveUp).toBe(true);
    }
  });
});

describe('giving up', () => {
  it.each([
    ['attempts', reply(503), {}, 3],
    ['budget', reset(), { budget: retryBudget({ ratio: 0, minPerSecond: 0 }) }, 1],
    ['retry-after', reply(503, { headers: { 'retry-after': '60' } }), {}, 1],
  ] as const)('because of %s is marked on every scope above', async (reason, script, options, sends) => {
    const { go, backend, inbound, call, refusals } = rig(script, options);
    await go().catch(() => {});
    expect([backend.calls.length, refusals(), inbound.gaveUp, call.scope.gaveUp]).toEqual([
      sends,
      [reason],
      true,
      true,
    ]);
  });

  it.each([
    ['a call that went well in the end', [reset(), reply(200)], 'GET'],
    ['what was never to be repeated', [reset()], 'POST'],
    ['an answer', [reply(500)], 'GET'],
  ] as const)('does not include %s', async (_, script, method) => {
    const { go, inbound } = rig([...script], {}, { method });
    await go().catch(() => {});
    expect(inbound.gaveUp).toBeUndefined();
  });

  it('ends at the request: its neighbours have not given up', () => {
    const server = new Scope(new VirtualClock());
    const [one, other] = [server.child(), server.child()];
    giveUp(one.child());
    expect([one.gaveUp, other.gaveUp]).toEqual([true, undefined]);
  });
});

describe('a call for a request that is a repetition itself', () => {
  it('is not repeated, and says so', async () => {
    for (const script of [reply(503), reset(), reply(503, { headers: { 'x-fairlead-nack': 'retryable' } })]) {
      const { go, backend, inbound, refusals } = rig(script);
      inbound.inheritedAttempt = 2;
      await go().catch(() => {});
      expect([backend.calls.length, refusals(), inbound.gaveUp]).toEqual([1, ['inherited'], true]);
    }
  });

  it('is, if it was never sent', async () => {
    const { go, backend, inbound } = rig([refuse(), reply(200)]);
    inbound.inheritedAttempt = 2;
    expect((await go()).status).toBe(200);
    expect(backend.calls.length).toBe(2);
  });

  it('is told from a first one at any depth', () => {
    const inbound = new Scope(new VirtualClock());
    expect(inheritedAttempt(inbound.child())).toBe(1);
    inbound.inheritedAttempt = 4;
    expect(inheritedAttempt(inbound.child().child())).toBe(4);
  });
});

describe('replays of the transport', () => {
  const replaying =
    (times: number, fail = false): Middleware =>
    (call, next) => {
      call.tried.replays = times;
      return fail ? Promise.reject(new TransportError({ phase: 'wait', sent: 'maybe' })) : next(call);
    };

  it.each([false, true])('are paid from the budget (failing: %s)', async (fail) => {
    const budget = retryBudget({ ratio: 0, minPerSecond: 1 });
    const clock = new VirtualClock();
    const handler = compose([retry({ budget, attempts: 2 }), replaying(1, fail)], scripted(reply(200)));
    await clock.run(handler(callTo('a', { clock }))).catch(() => {});
    // With a failure: the retry, and a replay in each attempt.
    expect(budget.balance(clock.now())).toBe(fail ? 7 : 9);
  });

  it('are paid once, and are no debt when there is nothing left', async () => {
    const budget = retryBudget({ ratio: 0, minPerSecond: 0 });
    const clock = new VirtualClock();
    const call = callTo('a', { clock });
    await compose([retry({ budget }), retry({ budget }), replaying(3)], scripted(reply(200)))(call);
    expect([budget.balance(0), call.tried.replays]).toEqual([0, 0]);
  });
});
