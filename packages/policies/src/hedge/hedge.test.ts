// Would catch: a request sent twice that must not be, a winner that has failed, a loser that is not canceled, a reply left
// open, hedges beyond their limits or where they are of no use, a delay learned from the wrong calls, timers left behind.
import { CanceledError, ConfigError, compose, createEndpoint, type Middleware, readText, Scope } from '@fairlead/core';
import {
  callTo,
  checkLeaks,
  fail,
  hang,
  recordEvents,
  reply,
  reset,
  type Script,
  scripted,
  VirtualClock,
} from '@fairlead/testing';
import { describe, expect, it } from 'vitest';
import { retry } from '../retry/retry.js';
import { retryBudget } from '../retry/retry-budget.js';
import { attemptTimeout } from '../time/timeout.js';
import { type HedgeOptions, hedge, hedged } from './hedge.js';

/** `ratio: 1` and `minWinRatio: 0`: nothing but what is under test keeps hedges back. */
const free: Partial<HedgeOptions> = { delayMs: 10, ratio: 1, minWinRatio: 0 };

function rig(script: Script, options: Partial<HedgeOptions> = free, above: readonly Middleware[] = []) {
  const clock = new VirtualClock();
  const runtime = { clock };
  const events = recordEvents(runtime);
  const backend = scripted(script);
  const handler = compose([...above, hedge(options)], backend);
  const newCall = (init: Parameters<typeof callTo>[1] = {}) => callTo('payments', { ...init, runtime });
  const call = newCall();
  return {
    clock,
    events: events as readonly { type: string; reason?: unknown }[],
    backend,
    handler,
    newCall,
    call,
    go: (it = call) => clock.run(handler(it)),
    check: () => checkLeaks({ clock, backend, scopes: [call.scope] }),
  };
}

const types = (events: readonly { type: string }[]) => events.map((event) => event.type);

describe('hedge', () => {
  it('passes an answer in time through, and leaves nothing behind', async () => {
    const { go, backend, clock, events, check } = rig(reply(200, { body: 'ok', afterMs: 9 }));
    expect(await readText(await go())).toBe('ok');
    expect([clock.now(), backend.calls.length, events.length]).toEqual([9, 1, 0]);
    check();
  });

  it('sends a second attempt after the delay; the first good answer wins, the loser is canceled at once', async () => {
    const { go, backend, clock, call, events, check } = rig([hang(), reply(200, { body: 'second', afterMs: 5 })]);
    const answer = await go();
    expect([clock.now(), backend.waiting]).toEqual([15, 0]);
    const [first, second] = backend.calls;
    expect(first?.scope.reason).toBeInstanceOf(CanceledError);
    expect(second).toMatchObject({ attempt: 2, at: 10, tried: call.tried });
    expect(second?.attributes[hedged]).toBe(true);
    expect(first?.attributes[hedged]).toBeUndefined();
    expect(await readText(answer)).toBe('second');
    expect(events).toEqual([
      { type: 'hedge.sent', service: 'payments', attempt: 2, afterMs: 10 },
      { type: 'hedge.won', service: 'payments', attempt: 2 },
    ]);
    check();
  });

  it('sends a third one after as long again, and no more than that', async () => {
    const { go, backend, clock, check } = rig([hang(), hang(), reply(200, { afterMs: 50 })]);
    await (await go()).body.attach({ onData() {}, onEnd() {}, onError() {} });
    expect([clock.now(), backend.calls.map((each) => each.at)]).toEqual([70, [0, 10, 20]]);
    expect(backend.calls.slice(0, 2).every((each) => each.scope.canceled)).toBe(true);
    check();
  });

  it('lets the first attempt win while others are out', async () => {
    const { go, backend, clock, check, events } = rig([reply(200, { body: 'first', afterMs: 25 }), hang(), hang()]);
    expect(await readText(await go())).toBe('first');
    expect([clock.now(), backend.calls.length, backend.waiting]).toEqual([25, 3, 0]);
    expect(types(events)).toEqual(['hedge.sent', 'hedge.sent']);
    check();
  });

  it('discards one of two answers that come at the same moment', async () => {
    const { go, check } = rig([reply(200, { body: 'a', afterMs: 15 }), reply(200, { body: 'b', afterMs: 5 })]);
    expect(['a', 'b']).toContain(await readText(await go()));
    check();
  });

  it.each([
    ['an error', reset({ afterMs: 12 })],
    ['a bad answer', reply(503, { afterMs: 12, body: 'x' })],
  ])('does not take %s of the first attempt for a result while another one is out', async (_, step) => {
    const { go, clock, check } = rig([step, reply(200, { body: 'ok', afterMs: 30 })], { ...free, attempts: 2 });
    expect(await readText(await go())).toBe('ok');
    expect(clock.now()).toBe(40);
    check();
  });

  it.each([
    ['an error', reset({ afterMs: 1 })],
    ['a bad answer', reply(503, { afterMs: 1, body: 'x' })],
  ])('does not take %s of a hedge for a result while the first is out', async (_, step) => {
    const { go, clock, check } = rig([reply(200, { body: 'ok', afterMs: 30 }), step], { ...free, attempts: 2 });
    expect(await readText(await go())).toBe('ok');
    expect(clock.now()).toBe(30);
    check();
  });

  it('gives what the last of them gives if all fail: an answer', async () => {
    const { go, check } = rig([reset({ afterMs: 12 }), reply(502, { body: 'bad', afterMs: 5 })], {
      ...free,
      attempts: 2,
    });
    const answer = await go();
    expect([answer.status, await readText(answer)]).toEqual([502, 'bad']);
    check();
  });

  it('gives what the last of them gives if all fail: an error', async () => {
    const { go, check } = rig([reply(502, { body: 'bad', afterMs: 12 }), reset({ afterMs: 5 })], {
      ...free,
      attempts: 2,
    });
    await expect(go()).rejects.toMatchObject({ code: 'ERR_TRANSPORT' });
    check();
  });

  it('leaves a failure before the delay to retry, whose attempts are hedged each', async () => {
    const script = [reset(), hang(), reply(200, { afterMs: 1 })];
    const { go, backend, clock, check } = rig(script, free, [retry({ baseMs: 0 })]);
    (await go()).body.cancel();
    expect([clock.now(), backend.calls.map((each) => each.attempt)]).toEqual([11, [1, 2, 3]]);
    check();
  });

  it('sends once what is not idempotent, and what can be sent once only', async () => {
    async function* bytes() {
      yield new Uint8Array(1);
    }
    for (const init of [{ method: 'POST' }, { method: 'PUT', body: { once: bytes() } }]) {
      const { handler, newCall, clock, backend } = rig(reply(200, { afterMs: 100 }));
      const call = newCall(init);
      (await clock.run(handler(call))).body.cancel();
      expect(backend.calls).toEqual([call]);
    }
  });

  it('hedges a POST with an idempotency key, with its body', async () => {
    const { handler, newCall, clock, backend } = rig([hang(), reply()]);
    const init = { method: 'POST', headers: ['idempotency-key', 'k'], body: 'x' };
    (await clock.run(handler(newCall(init)))).body.cancel();
    expect(backend.bodies).toEqual(['x', 'x']);
  });

  it('ends with the call, in each phase, and leaves nothing behind', async () => {
    for (const at of [5, 15, 25]) {
      const { handler, call, clock, check, backend } = rig(hang());
      const pending = handler(call);
      pending.catch(() => {});
      await clock.advance(at);
      expect(backend.waiting).toBe(Math.floor(at / 10) + 1);
      call.scope.cancel();
      await expect(pending).rejects.toBe(call.scope.reason);
      check();
    }
  });

  it('ends with the call while it waits for the others after the first has failed', async () => {
    const { handler, call, clock, check } = rig([reset({ afterMs: 12 }), hang(), hang()]);
    const pending = handler(call);
    pending.catch(() => {});
    await clock.advance(15);
    call.scope.cancel();
    await expect(pending).rejects.toBe(call.scope.reason);
    check();
  });

  it('lets a caller who cancels be heard while the body of the winner flows', async () => {
    const { go, call, check } = rig([hang(), reply(200, { body: ['a', 'b'], betweenMs: 10 })]);
    const answer = await go();
    const text = readText(answer);
    call.scope.cancel();
    await expect(text).rejects.toBeInstanceOf(CanceledError);
    check();
  });

  it('keeps to a share of the calls', async () => {
    const { go, newCall, backend, events } = rig(reply(200, { afterMs: 15 }), { ...free, ratio: 0.1 });
    for (let i = 0; i < 100; i++) (await go(newCall())).body.cancel();
    expect(backend.calls.length).toBe(111);
    expect(new Set(events.flatMap((event) => event.reason ?? []))).toEqual(new Set(['ratio']));
  });

  it('pays from a budget that it shares, and stays below it', async () => {
    const budget = retryBudget({ ratio: 0, minPerSecond: 0.3 });
    const { go, newCall, backend, events } = rig(reply(200, { afterMs: 15 }), { ...free, budget });
    for (let i = 0; i < 10; i++) (await go(newCall())).body.cancel();
    expect(backend.calls.length).toBe(13);
    expect(types(events).filter((type) => type === 'hedge.refused').length).toBe(7);
  });

  /** Two endpoints that take turns, as with a balancer: a hedge goes to the other one. One in 25 first attempts takes `lateMs`. */
  function turns(lateMs: () => number, usualMs: () => number, options: Partial<HedgeOptions>) {
    let n = 0;
    const script: Script = (call) => {
      const late = !call.attributes[hedged] && ++n % 25 === 0;
      return reply(200, { afterMs: late ? lateMs() : usualMs() });
    };
    const rigged = rig(script, options);
    const extra = async (calls: number): Promise<number> => {
      const before = rigged.backend.calls.length;
      for (let i = 0; i < calls; i++) (await rigged.go(rigged.newCall())).body.cancel();
      return rigged.backend.calls.length - before - calls;
    };
    return { ...rigged, extra };
  }

  it('observes for twenty late calls whether hedges would win, and only then sends some', async () => {
    const { extra, events, check } = turns(
      () => 1_000,
      () => 7.5,
      {},
    );
    // 50 answers to know the delay, and one of 25 is late.
    expect(await extra(550)).toBe(0);
    expect(events.every(({ reason }) => reason === 'losing')).toBe(true);
    expect(await extra(500)).toBeGreaterThanOrEqual(18);
    check();
  });

  it('never sends one where an answer that is late would be overtaken by no other one', async () => {
    const { extra, events, clock } = turns(
      () => 14,
      () => 7.5,
      {},
    );
    expect(await extra(3_000)).toBe(0);
    expect(events.length).toBeGreaterThan(80);
    expect(clock.pending).toBe(0);
  });

  it('begins at once where the delay is given, stops where it is of no use, and goes on when that has changed', async () => {
    let lateMs = 14;
    const { extra } = turns(
      () => lateMs,
      () => 7.5,
      { delayMs: 10, ratio: 1 },
    );
    expect(await extra(1_000)).toBe(4);
    expect(await extra(3_000)).toBe(0);
    lateMs = 1_000;
    await extra(3_000);
    expect(await extra(1_000)).toBeGreaterThanOrEqual(40);
  });

  it('stops, and asks less and less often, where pairs promise what hedges do not keep: what takes long takes long anywhere', async () => {
    let n = 0;
    let long = false;
    const { go, newCall, backend } = rig(
      (call) => {
        if (!call.attributes[hedged]) long = ++n % 20 === 0;
        return reply(200, { afterMs: long ? 1_000 : 7.5 });
      },
      { delayMs: 10, ratio: 1, attempts: 2 },
    );
    const extra = async (calls: number): Promise<number> => {
      const before = backend.calls.length;
      for (let i = 0; i < calls; i++) (await go(newCall())).body.cancel();
      return backend.calls.length - before - calls;
    };
    expect(await extra(1_000)).toBe(4);
    expect(await extra(7_000)).toBeLessThanOrEqual(3);
  });

  it('wants more of them to win while the median is above what it has been', async () => {
    let usualMs = 7.5;
    let n = 0;
    // Seven of ten would win.
    const { extra } = turns(
      () => usualMs * (++n % 10 < 7 ? 30 : 1.5),
      () => usualMs,
      { ratio: 1 },
    );
    await extra(2_000);
    expect(await extra(1_000)).toBeGreaterThanOrEqual(35);
    usualMs = 24;
    await extra(1_000);
    expect(await extra(1_000)).toBeLessThanOrEqual(2);
  });

  it('sends none for a request that is a repetition itself: its caller has us for the next attempt', async () => {
    const { handler, newCall, clock, backend, events } = rig(reply(200, { afterMs: 15 }));
    const inbound = new Scope(clock);
    inbound.inheritedAttempt = 2;
    (await clock.run(handler(newCall({ scope: inbound.child() })))).body.cancel();
    expect(backend.calls.length).toBe(1);
    expect(events).toEqual([{ type: 'hedge.refused', service: 'payments', reason: 'inherited' }]);
    inbound.inheritedAttempt = 1;
    (await clock.run(handler(newCall({ scope: inbound.child() })))).body.cancel();
    expect(backend.calls.length).toBe(3);
    inbound.close();
  });

  it('stops at once when the service asks for less', async () => {
    const overload = reply(429, { headers: { 'retry-after': '1' } });
    const script: Script = (call) => (call.attributes[hedged] ? overload : reply(200, { afterMs: 15 }));
    const { go, newCall, backend } = rig(script, { delayMs: 10, ratio: 1, statuses: [429] });
    for (let i = 0; i < 10; i++) (await go(newCall())).body.cancel();
    expect(backend.calls.length).toBe(11);
  });

  it('learns the delay from the answers, with those that hedges gave in place of the first', async () => {
    let n = 0;
    const script: Script = (call) =>
      reply(200, { afterMs: call.attributes[hedged] ? 1 : ++n % 20 === 0 ? 1_000 : 2 + (n % 19) });
    const { go, newCall, backend, clock } = rig(script, { ratio: 1 });
    for (let i = 0; i < 8_000; i++) (await go(newCall())).body.cancel();
    const before = backend.calls.length;
    for (let i = 0; i < 1_000; i++) (await go(newCall())).body.cancel();
    const hedges = backend.calls.length - before - 1_000;
    expect(hedges).toBeGreaterThanOrEqual(40);
    expect(hedges).toBeLessThanOrEqual(120);
    expect(clock.pending).toBe(0);
  });

  it('learns nothing from failures, which would make it hurry, but that nothing came in time', async () => {
    const failures = rig(fail(new Error('x'), { afterMs: 2 }), { ratio: 1 });
    for (let i = 0; i < 100; i++) await failures.go(failures.newCall()).catch(() => {});
    expect(types(failures.events)).toEqual([]);
    const script: Script = (_, n) => (n <= 80 ? reply(200, { afterMs: 2 }) : hang());
    const hung = rig(script, { ratio: 0 }, []);
    const handler = compose([hedge({ ratio: 0 }), attemptTimeout({ ms: 500 })], hung.backend);
    for (let i = 0; i < 80; i++) (await hung.clock.run(handler(hung.newCall()))).body.cancel();
    for (let i = 0; i < 3; i++) await hung.clock.run(handler(hung.newCall())).catch(() => {});
    expect(hung.clock.pending).toBe(0);
  });

  it('in shadow sends nothing and counts what it would have sent', async () => {
    const { go, backend, events, check } = rig(reply(200, { afterMs: 15 }), { ...free, mode: 'shadow' });
    (await go()).body.cancel();
    expect(backend.calls.length).toBe(1);
    expect(events).toEqual([{ type: 'policy.shadowed', service: 'payments', policy: 'hedge', would: 'send' }]);
    check();
  });

  it('off is passed by', async () => {
    const { go, backend, call, check } = rig(reply(200, { afterMs: 15 }), { ...free, mode: 'off' });
    (await go()).body.cancel();
    expect(backend.calls).toEqual([call]);
    check();
  });

  it('counts on from what the balancer has sent', async () => {
    const { handler, call, clock, backend } = rig([hang(), reply()]);
    for (let i = 0; i < 3; i++) call.tried.add(createEndpoint('http://a:1'));
    (await clock.run(handler(call))).body.cancel();
    expect(backend.calls[1]?.attempt).toBe(4);
  });

  it('lists everything that is wrong with its options', () => {
    const wrong = { mode: 'maybe', attempts: 1, quantile: 1, ratio: 2, statuses: [200], budget: {} } as never;
    expect(() => hedge(wrong)).toThrow('6 problems');
    expect(() => hedge({ delay: 10 } as never)).toThrow(ConfigError);
  });
});
