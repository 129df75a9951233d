/**
 * Would catch a limit that tells a client a wrong state of its quota, sends it back too early, lets it run the handler
 * anyway, or whose headers get lost on the way through a framework.
 */
import { ConfigError } from '@fairlead/core';
import { VirtualClock } from '@fairlead/testing';
import * as fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { adapters, ask, start, stopServers } from '../../tests/harness.js';
import { createGuard, type Limiter, type LimitVerdict, rateLimit } from '../index.js';

afterEach(stopServers);

/** A limiter that says what it is told to, and remembers what it was asked. */
function scriptedLimiter(verdict: Partial<LimitVerdict>, quota: Partial<Limiter> = {}) {
  const asked: unknown[][] = [];
  const limiter: Limiter = {
    take: (...args) => {
      asked.push(args);
      return { allowed: true, limit: 100, remaining: 50, resetMs: 29_001, retryAfterMs: 0, ...verdict };
    },
    perSecond: 100 / 60,
    burst: 100,
    windowMs: 60_000,
    ...quota,
  };
  return { limiter, asked };
}

describe.each(adapters)('rateLimit under %s', (adapter) => {
  it('lets a request pass and tells how much is left', async () => {
    const { limiter, asked } = scriptedLimiter({});
    const clock = new VirtualClock({ startMs: 42 });
    const guard = createGuard({ runtime: { clock }, layers: [rateLimit({ limiter, key: () => 'me' })] });
    const { port } = await start(adapter, guard, (_req, res) => {
      res.writeHead(200, { 'x-own': '1' });
      res.end('ok');
    });
    const { status, headers } = await ask(port);
    expect(status).toBe(200);
    expect(headers).toMatchObject({
      ratelimit: '"default";r=50;t=30',
      'ratelimit-policy': '"default";q=100;w=60',
      'x-own': '1',
    });
    expect(headers['retry-after']).toBeUndefined();
    expect(asked).toEqual([['me', 42, 1]]);
  });

  it('refuses with 429, says when to come back, and does not run the handler', async () => {
    const { limiter } = scriptedLimiter({ allowed: false, remaining: 0, resetMs: 400, retryAfterMs: 2_001 });
    const events: unknown[] = [];
    const guard = createGuard({
      service: 'shop',
      runtime: { clock: new VirtualClock(), on: (event) => events.push(event) },
      layers: [rateLimit({ limiter, key: () => 'me', name: 'burst' })],
    });
    let ran = false;
    const { port } = await start(adapter, guard, () => {
      ran = true;
    });
    const { status, headers, body } = await ask(port);
    expect(status).toBe(429);
    expect(headers).toMatchObject({
      'retry-after': '3',
      ratelimit: '"burst";r=0;t=1',
      'ratelimit-policy': '"burst";q=100;w=60',
      'content-type': 'application/problem+json',
      'content-length': String(body.length),
    });
    expect(headers['x-fairlead-nack']).toBeUndefined();
    expect(JSON.parse(body)).toEqual({
      type: 'https://iana.org/assignments/http-problem-types#quota-exceeded',
      title: 'Quota exceeded',
      status: 429,
      'violated-policies': ['burst'],
    });
    expect(ran).toBe(false);
    expect(events).toEqual([
      { type: 'limit.refused', service: 'shop', by: 'limit', key: 'me', retryAfterMs: 2_001 },
      { type: 'request.refused', service: 'shop', by: 'limit', status: 429, key: 'me' },
    ]);
  });

  it('lists every limit of a stack, and stops at the first that refuses', async () => {
    const sustained = scriptedLimiter(
      { remaining: 900, resetMs: 10 },
      { perSecond: 10, burst: 1000, windowMs: 100_000 },
    );
    const burst = scriptedLimiter({ allowed: false, remaining: 0, resetMs: 100, retryAfterMs: 100 });
    const never = scriptedLimiter({});
    const key = (): string => 'me';
    const guard = createGuard({
      layers: [
        rateLimit({ limiter: sustained.limiter, key, name: 'sustained' }),
        rateLimit({ limiter: burst.limiter, key, name: 'burst' }),
        rateLimit({ limiter: never.limiter, key }),
      ],
    });
    const { port } = await start(adapter, guard, (_req, res) => res.end());
    const { headers } = await ask(port);
    expect(headers.ratelimit).toBe('"sustained";r=900;t=1, "burst";r=0;t=1');
    expect(headers['ratelimit-policy']).toBe('"sustained";q=1000;w=100, "burst";q=100;w=60');
    expect(never.asked).toEqual([]);
  });

  it('keeps its headers on an answer that an error has made', async () => {
    const { limiter } = scriptedLimiter({});
    const guard = createGuard({ onError: () => {}, layers: [rateLimit({ limiter, key: () => 'me' })] });
    const { port } = await start(adapter, guard, async () => {
      throw new Error('secret');
    });
    expect(await ask(port)).toMatchObject({ status: 500, headers: { ratelimit: '"default";r=50;t=30' } });
  });
});

describe('rateLimit', () => {
  it('tells the limit of which least is left in the old headers, where that is wanted', async () => {
    const of = (remaining: number, limit: number) => scriptedLimiter({ remaining, limit, resetMs: limit }).limiter;
    const key = (): string => 'me';
    const legacyHeaders = true;
    const guard = createGuard({
      layers: [
        rateLimit({ limiter: of(50, 1_000), key, name: 'a', legacyHeaders }),
        rateLimit({ limiter: of(3, 2_001), key, name: 'b', legacyHeaders }),
        rateLimit({ limiter: of(7, 4_000), key, name: 'c', legacyHeaders }),
        rateLimit({ limiter: of(1, 5_000), key, name: 'd' }),
      ],
    });
    const { port } = await start('node', guard, (_req, res) => res.end());
    expect((await ask(port)).headers).toMatchObject({
      'x-ratelimit-limit': '2001',
      'x-ratelimit-remaining': '3',
      'x-ratelimit-reset': '3',
      ratelimit: '"a";r=50;t=1, "b";r=3;t=3, "c";r=7;t=4, "d";r=1;t=5',
    });
  });

  it('tells the limits that are to be told in the fields of the draft, and refuses by the others all the same', async () => {
    const { limiter } = scriptedLimiter({});
    const { limiter: strict } = scriptedLimiter({ allowed: false, remaining: 0, retryAfterMs: 2_000 });
    const key = (): string => 'me';
    const layers = [rateLimit({ limiter, key, draftHeaders: false }), rateLimit({ limiter, key, name: 'told' })];
    const told = await start('node', createGuard({ layers }), (_req, res) => res.end());
    expect((await ask(told.port)).headers.ratelimit).toBe('"told";r=50;t=30');
    const untold = await serve({ limiter: strict, key, draftHeaders: false, legacyHeaders: true });
    const { status, headers } = await ask(untold.port);
    expect([status, headers['retry-after'], headers['x-ratelimit-remaining']]).toEqual([429, '2', '0']);
    expect([headers.ratelimit, headers['ratelimit-policy']]).toEqual([undefined, undefined]);
  });

  const serve = async (options: Parameters<typeof rateLimit>[0]) => {
    const errors: unknown[] = [];
    const guard = createGuard({ onError: (error) => errors.push(error), layers: [rateLimit(options)] });
    const { port } = await start('node', guard, (_req, res) => res.end());
    return { port, errors };
  };

  it('counts what a request costs, and asks nobody about one that costs nothing', async () => {
    const { limiter, asked } = scriptedLimiter({});
    const { port } = await serve({ limiter, key: () => 'me', cost: (call) => (call.method === 'GET' ? 0 : 5) });
    expect((await ask(port)).headers.ratelimit).toBeUndefined();
    expect((await ask(port, { method: 'POST' })).headers.ratelimit).toBe('"default";r=50;t=30');
    expect(asked.map(([, , cost]) => cost)).toEqual([5]);
  });

  it('says nothing about when for a request that can never pass', async () => {
    const { limiter } = scriptedLimiter({
      allowed: false,
      remaining: 100,
      resetMs: 0,
      retryAfterMs: Number.POSITIVE_INFINITY,
    });
    const { port } = await serve({ limiter, key: () => 'me', cost: 101 });
    const { status, headers } = await ask(port);
    expect(status).toBe(429);
    expect(headers['retry-after']).toBeUndefined();
  });

  it('makes a key function that throws an error of the layer', async () => {
    const { limiter } = scriptedLimiter({});
    const { port, errors } = await serve({
      limiter,
      key: () => {
        throw new Error('no tenant');
      },
    });
    expect((await ask(port)).status).toBe(500);
    expect(errors).toMatchObject([{ message: 'no tenant' }]);
  });

  it('never sends a client back before there is room, nor before t', async () => {
    const verdict = { allowed: false, remaining: 0, resetMs: 0, retryAfterMs: 0 };
    const { limiter } = scriptedLimiter({});
    const { port } = await serve({ limiter: { ...limiter, take: () => ({ limit: 1, ...verdict }) }, key: () => 'me' });
    const times = fc.tuple(fc.double({ min: 1e-6, max: 1e6, noNaN: true }), fc.double({ min: 0, max: 1, noNaN: true }));
    await fc.assert(
      fc.asyncProperty(times, async ([retryAfterMs, share]) => {
        Object.assign(verdict, { retryAfterMs, resetMs: retryAfterMs * share });
        const { headers } = await ask(port);
        const seconds = Number(headers['retry-after']);
        const t = Number(/;t=(\d+)$/.exec(String(headers.ratelimit))?.[1]);
        return seconds * 1000 >= retryAfterMs && (seconds - 1) * 1000 < Math.max(retryAfterMs, 1) && seconds >= t;
      }),
      { numRuns: 50 },
    );
  });

  it.each([
    [{ perSecond: 100, burst: 200 }, 'q=200;w=2'],
    [{ perSecond: 100, burst: 10 }, 'q=100;w=1'],
    [{ perSecond: 100, burst: 150 }, 'q=200;w=2'],
    [{ perSecond: 0.5, burst: 1 }, 'q=1;w=2'],
    [{ perSecond: 3, burst: 1 }, 'q=3;w=1'],
  ])('tells %o as %s', async ({ perSecond, burst }, policy) => {
    const take = scriptedLimiter({}).limiter.take;
    const { port } = await serve({ limiter: { take, perSecond, burst }, key: () => 'me' });
    expect((await ask(port)).headers['ratelimit-policy']).toBe(`"default";${policy}`);
  });

  it('wants a limiter and a key, and a name that can stand in a header', () => {
    const make = (): unknown => rateLimit({ name: 'a"b', limiter: { take: () => {} }, cost: -1, kee: 1 } as never);
    expect(make).toThrow(ConfigError);
    expect(make).toThrow(
      /rateLimit\.name[\s\S]*rateLimit\.limiter[\s\S]*rateLimit\.cost[\s\S]*did you mean key[\s\S]*rateLimit\.key/,
    );
    expect(() => (rateLimit as (o?: unknown) => unknown)()).toThrow(ConfigError);
  });
});
