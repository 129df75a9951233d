// Would catch: a request sent twice that must not be, one given up that could be saved, waits that are wrong or on a real
// timer, a deadline or budget overrun, a reply turned into an error or left open, an error that does not tell its story.
import {
  CanceledError,
  ConfigError,
  compose,
  createEndpoint,
  type Middleware,
  readText,
  type TimeoutError,
  TransportError,
} from '@fairlead/core';
import {
  callTo,
  checkLeaks,
  hang,
  recordEvents,
  refuse,
  reply,
  reset,
  type Script,
  scripted,
  VirtualClock,
} from '@fairlead/testing';
import { describe, expect, it, vi } from 'vitest';
import { attemptTimeout } from '../time/timeout.js';
import { type RetryOptions, retry } from './retry.js';
import { retryBudget } from './retry-budget.js';

const POST = { method: 'POST', body: 'x' };

function rig(script: Script, options?: Partial<RetryOptions>, init: Parameters<typeof callTo>[1] = {}) {
  const clock = new VirtualClock();
  const call = callTo('payments', { ...init, clock });
  const events = recordEvents(call.runtime);
  const backend = scripted(script);
  const handler = compose([retry(options)], backend);
  return { clock, call, events, backend, go: () => clock.run(handler(call)) };
}

const scheduled = (events: readonly { type: string }[]) => events.filter((event) => event.type === 'retry.scheduled');
const refusals = (events: readonly { type: string; reason?: unknown }[]) =>
  events.filter((event) => event.type === 'retry.refused').map((event) => event.reason);

describe('retry', () => {
  it('passes a good reply through and arms nothing', async () => {
    const { go, backend, clock, call, events } = rig(reply(200, { body: 'ok' }));
    expect(await readText(await go())).toBe('ok');
    expect(backend.calls).toEqual([call]);
    expect(events).toEqual([]);
    checkLeaks({ clock, backend, scopes: [call.scope] });
  });

  it('numbers its attempts after those that a layer below has sent in addition', async () => {
    const endpoint = createEndpoint('http://a:1');
    const numbers: number[] = [];
    const twice: Middleware = (call, next) => {
      call.tried.add(endpoint);
      call.tried.add(endpoint);
      numbers.push(call.attempt);
      return next(call);
    };
    const { clock, call } = rig(reply(200));
    const handler = compose([retry(), twice], scripted([refuse(), reply(200)]));
    expect((await clock.run(handler(call))).status).toBe(200);
    expect(numbers).toEqual([1, 3]);
  });

  it('tries again with a new attempt of the same call, after full jitter on the clock of the call', async () => {
    const { go, backend, clock, call, events } = rig([refuse(), reply(503), reply(200)]);
    expect((await go()).status).toBe(200);
    expect(backend.calls.map((each) => each.attempt)).toEqual([1, 2, 3]);
    expect(backend.calls.every((each) => each.tried === call.tried && each.scope === call.scope)).toBe(true);
    const same = new VirtualClock();
    const first = same.random() * 25;
    const second = same.random() * 50;
    expect(backend.calls.map((each) => each.at)).toEqual([0, first, first + second]);
    expect(events).toEqual([
      { type: 'retry.scheduled', service: 'payments', attempt: 2, delayMs: first, reason: 'ERR_TRANSPORT' },
      { type: 'retry.scheduled', service: 'payments', attempt: 3, delayMs: second, reason: '503' },
    ]);
    checkLeaks({ clock, backend, scopes: [call.scope] });
  });

  it('leaves p-retry no real timer and no chance', async () => {
    const real = [vi.spyOn(globalThis, 'setTimeout'), vi.spyOn(Math, 'random')];
    const { go } = rig([reset(), reset(), reply(200)]);
    await go();
    for (const spy of real) expect(spy).not.toHaveBeenCalled();
  });

  it('repeats after the statuses it is told, below 429 too', async () => {
    const { go, backend } = rig([reply(409), reply(503)], { statuses: [409] });
    expect((await go()).status).toBe(503);
    expect(backend.calls.length).toBe(2);
  });

  it('returns the last reply as it is, and discards those before it', async () => {
    const busy = reply(503, { body: ['busy', 'busy'], stallAfter: 1 });
    const { go, backend, events, call, clock } = rig([busy, busy, reply(503, { body: 'last' })]);
    const got = await go();
    expect(got.status).toBe(503);
    expect(backend.open).toBe(1);
    expect(await readText(got)).toBe('last');
    expect(refusals(events)).toEqual(['attempts']);
    checkLeaks({ clock, backend, scopes: [call.scope] });
  });

  it('lets go of a failed reply before it waits', async () => {
    const { clock, call, backend } = rig(reply(503, { body: 'x', betweenMs: 1_000 }));
    const going = compose([retry({ baseMs: 200 })], backend)(call);
    await clock.advance(0);
    expect(backend.open).toBe(0);
    call.scope.cancel();
    await expect(going).rejects.toBeInstanceOf(CanceledError);
    checkLeaks({ clock, backend, scopes: [call.scope] });
  });

  it('tells on the last error what was tried before, each with its endpoint', async () => {
    const { clock, call, backend } = rig([reply(502), reset(), refuse()]);
    const endpoint = createEndpoint('http://10.0.0.5:8080');
    const to: Middleware = (each, next) => next(each.with({ endpoint }));
    const going = clock.run(compose([retry(), to], backend)(call));
    await expect(going).rejects.toMatchObject({
      code: 'ERR_TRANSPORT',
      message: 'payments: connect failed at http://10.0.0.5:8080: ECONNREFUSED (attempt 3 of 3)',
      attempts: [
        { attempt: 1, endpoint: endpoint.id, status: 502, error: null },
        { attempt: 2, endpoint: endpoint.id, status: null, error: { code: 'ERR_TRANSPORT', sent: 'maybe' } },
      ],
    });
  });

  it('says why there was no other attempt', async () => {
    const { go, events } = rig(reset(), {}, POST);
    const going = go();
    await expect(going).rejects.toMatchObject({ attempts: [] });
    await expect(going).rejects.toThrow('ECONNRESET (attempt 1 of 3, not repeated: not-idempotent)');
    expect(refusals(events)).toEqual(['not-idempotent']);
  });

  it('does not repeat what two layers have repeated already twice in the message', async () => {
    const { clock, call } = rig(hang());
    const both = compose([retry({ attempts: 2 }), retry({ attempts: 2 })], scripted(refuse()));
    await expect(clock.run(both(call))).rejects.toThrow(/^payments: connect failed: ECONNREFUSED \(attempt 2 of 2\)$/);
  });

  it('sends a one-shot body again only if nobody has begun to read it', async () => {
    const body = () => ({ once: (async function* () {})() });
    const unread = rig([refuse(), reply(200)], {}, { method: 'PUT', body: body() });
    expect((await unread.go()).status).toBe(200);
    const read = rig([reset(), reply(200)], {}, { method: 'PUT', body: body() });
    await expect(read.go()).rejects.toThrow('not repeated: body');
    expect(refusals(read.events)).toEqual(['body']);
  });

  describe('Retry-After', () => {
    const wallMs = Date.UTC(2026, 0, 1);
    const after = (value: string | string[]) => reply(503, { headers: { 'retry-after': value } });

    it.each([
      ['1', 1_000],
      ['0', 0],
      ['Thu, 01 Jan 2026 00:00:01 GMT', 1_000],
      ['Thursday, 01-Jan-26 00:00:01 GMT', 1_000],
      ['Thu Jan  1 00:00:01 2026', 1_000],
      ['Wed, 31 Dec 2025 23:59:59 GMT', 0],
      ['-1', 0],
      ['1.5', 0],
      ['soon', 0],
      ['1, 1', 0],
    ])('%s: waits that long, and up to 25 ms on top', async (value, ms) => {
      const { go, clock } = rig([after(value), reply(200)]);
      expect(clock.wall()).toBe(wallMs);
      expect((await go()).status).toBe(200);
      expect(clock.now()).toBeGreaterThanOrEqual(ms);
      expect(clock.now()).toBeLessThan(ms + 25);
    });

    it('takes two of them for none', async () => {
      const { go, clock } = rig([after(['1', '900']), reply(200)]);
      await go();
      expect(clock.now()).toBeLessThan(25);
    });

    it('hands the reply back if it asks for more than maxRetryAfterMs', async () => {
      const { go, backend, events, clock } = rig(after('2'));
      expect((await go()).status).toBe(503);
      expect(backend.calls.length).toBe(1);
      expect([clock.now(), refusals(events)]).toEqual([0, ['retry-after']]);
      expect((await rig([after('2'), reply(200)], { maxRetryAfterMs: 2_000 }).go()).status).toBe(200);
    });

    it('does not keep a request from another replica if one says that it is leaving', async () => {
      const leaving = reply(503, { headers: { 'retry-after': '30', 'x-fairlead-nack': 'retryable' } });
      const { go, clock } = rig([leaving, reply(200)], {}, POST);
      expect((await go()).status).toBe(200);
      expect(clock.now()).toBeLessThan(25);
    });
  });

  it('gives up at once if the wait would outlast the call', async () => {
    const busy = reply(503, { headers: { 'retry-after': '1' }, body: 'busy' });
    const { go, call, clock, events, backend } = rig(busy);
    call.scope.expireAt(1_000, 'call', 1_000);
    expect(await readText(await go())).toBe('busy');
    expect([clock.now(), refusals(events), backend.calls.length]).toEqual([0, ['deadline'], 1]);
  });

  it('ends with the call, whose error then has the attempts, on a copy', async () => {
    const { go, call, clock, backend } = rig([reply(503), hang()]);
    call.scope.expireAt(100, 'call', 100);
    const going = go();
    await expect(going).rejects.toMatchObject({
      code: 'ERR_TIMEOUT',
      of: 'call',
      service: 'payments',
      message: 'payments: the call did not finish within 100 ms (attempt 2 of 3)',
      attempts: [{ attempt: 1, status: 503 }],
    });
    expect(clock.now()).toBe(100);
    expect((call.scope.reason as TimeoutError).attempts).toEqual([]);
    checkLeaks({ clock, backend, scopes: [call.scope] });
  });

  it('rejects with the reason as soon as it is canceled while it waits, whatever the reason', async () => {
    const { clock, call, backend } = rig(reset());
    const going = compose([retry()], backend)(call);
    await clock.advance(0);
    expect(clock.pending).toBe(1);
    call.scope.cancel('enough');
    await expect(going).rejects.toBe('enough');
    expect(backend.calls.length).toBe(1);
    checkLeaks({ clock, backend, scopes: [call.scope] });
  });

  it('does not try again for a caller who has gone', async () => {
    const { clock, call, backend, events } = rig(hang());
    const own = compose([retry()], async (each) => {
      each.scope.cancel('gone');
      throw new TransportError({ phase: 'wait', sent: 'no' });
    });
    await expect(clock.run(own(call))).rejects.toMatchObject({ code: 'ERR_TRANSPORT' });
    expect(events).toEqual([]);
    checkLeaks({ clock, backend, scopes: [call.scope] });
  });

  it('gives each attempt its own time', async () => {
    const clock = new VirtualClock();
    const call = callTo('payments', { clock });
    const backend = scripted([hang(), hang(), reply(200)]);
    const got = await clock.run(compose([retry(), attemptTimeout({ ms: 50 })], backend)(call));
    expect(got.status).toBe(200);
    const [, second, third] = backend.calls;
    expect(second?.at).toBeGreaterThanOrEqual(50);
    expect(third?.at).toBeGreaterThanOrEqual((second?.at ?? 0) + 50);
    await readText(got);
    checkLeaks({ clock, backend, scopes: [call.scope] });
  });

  describe('budget', () => {
    it('is asked for every retry, paid into by every request, and shared', async () => {
      const budget = retryBudget({ ratio: 0.2, minPerSecond: 0 });
      const clock = new VirtualClock();
      const one = compose([retry({ budget })], scripted(reset()));
      const other = compose([retry({ budget })], scripted(reset()));
      for (let i = 0; i < 4; i++) await expect(clock.run(one(callTo('a', { clock })))).rejects.toThrow('budget');
      expect(budget.balance(clock.now())).toBeCloseTo(0.8);
      await expect(clock.run(other(callTo('b', { clock })))).rejects.toThrow('(attempt 2 of 3, not repeated: budget)');
      expect(budget.balance(clock.now())).toBeCloseTo(0);
    });

    it('keeps retries to a tenth of the requests when everything fails', async () => {
      const clock = new VirtualClock();
      const backend = scripted(reply(503));
      const handler = compose([retry()], backend);
      for (let i = 0; i < 2_000; i++) await clock.run(handler(callTo('a', { clock })));
      const retries = backend.calls.length - 2_000;
      expect(retries).toBeGreaterThan(150);
      expect(retries).toBeLessThanOrEqual(2_000 * 0.1 + 1);
    });

    it('knows which retries failed: ten of those are enough for a process without traffic, a hundred that help are not too many', async () => {
      const clock = new VirtualClock();
      const ask = async (script: Script): Promise<number> => {
        const backend = scripted(script);
        const handler = compose([retry({ attempts: 2 })], backend);
        for (let i = 0; i < 50; i++) await clock.run(handler(callTo('a', { clock }))).catch(() => {});
        await clock.advance(60_000);
        return backend.calls.length - 50;
      };
      expect(await ask(reset())).toBe(10);
      expect(await ask(reply(503))).toBe(10);
      expect(await ask(Array.from({ length: 100 }, (_, i) => (i % 2 === 0 ? reset() : reply(200))))).toBe(50);
    });

    it('is not paid into by an attempt that somebody else makes again', async () => {
      const budget = retryBudget({ minPerSecond: 0 });
      const handler = compose([retry({ budget })], scripted(reply(200)));
      await handler(callTo('a', { attempt: 2 }));
      expect(budget.balance(0)).toBe(0);
    });
  });

  it('stops at `attempts`, one means no retry; and asks no budget if there is none', async () => {
    for (const attempts of [1, 2, 5]) {
      const { go, backend, events } = rig(reply(503), { attempts, budget: null });
      expect((await go()).status).toBe(503);
      expect(backend.calls.length).toBe(attempts);
      expect(scheduled(events).length).toBe(attempts - 1);
    }
  });

  describe('mode', () => {
    it('shadow repeats nothing, tells what it would have, and pays as if it did', async () => {
      const budget = retryBudget({ ratio: 0, minPerSecond: 0.2 });
      const would = (events: readonly { type: string }[]) =>
        events.filter((event) => event.type === 'policy.shadowed').map((event) => ({ ...event }));
      const answered = rig(reply(503, { body: 'busy' }), { mode: 'shadow', budget });
      expect(await readText(await answered.go())).toBe('busy');
      expect(would(answered.events)).toEqual([
        { type: 'policy.shadowed', service: 'payments', policy: 'retry', would: 'send' },
      ]);
      const failed = rig(reset(), { mode: 'shadow', budget });
      await expect(failed.go()).rejects.toMatchObject({ attempts: [] });
      expect([would(failed.events).length, failed.backend.calls.length, budget.balance(0)]).toEqual([1, 1, 0]);
      const broke = rig(reset(), { mode: 'shadow', budget });
      await expect(broke.go()).rejects.toThrow('ECONNRESET');
      const post = rig(reset(), { mode: 'shadow' }, POST);
      await expect(post.go()).rejects.toThrow('ECONNRESET');
      const fine = rig(reply(200), { mode: 'shadow' });
      expect((await fine.go()).status).toBe(200);
      for (const { events } of [broke, post, fine]) expect(would(events)).toEqual([]);
    });

    it('off repeats nothing and tells nothing, but pays calls in, for hedges', async () => {
      const budget = retryBudget({ minPerSecond: 0 });
      const { go, backend, events } = rig(reply(503), { mode: 'off', budget });
      expect((await go()).status).toBe(503);
      expect([backend.calls.length, events, budget.balance(0)]).toEqual([1, [], 0.1]);
    });
  });

  it('is not irritated by a layer that throws synchronously on a later attempt', async () => {
    const { clock, call } = rig(hang());
    const rude = compose([retry()], (each) => {
      if (each.attempt > 1) throw new TypeError('a bug');
      return Promise.reject(new TransportError({ phase: 'connect', sent: 'no' }));
    });
    await expect(clock.run(rude(call))).rejects.toThrow(new TypeError('a bug'));
  });

  it('lists everything that is wrong with its options', () => {
    const wrong = { attempts: 0, baseMs: -1, statuses: [200], budget: {} as never, wholeReplyBytes: 65_537 };
    expect(() => retry({ ...wrong, mode: 'dark' as never })).toThrow('6 problems');
    expect(() => retry({ retries: 3 } as never)).toThrow(ConfigError);
  });
});
