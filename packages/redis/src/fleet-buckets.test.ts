/**
 * Would catch: a request that waits longer than it may for Redis, a Redis that is down and asked by every request, a
 * wrong decision without it, a second burst on its return, late answers that count, rejections that nobody handles,
 * timers and watchers left behind.
 */
import { Scope, TimeoutError } from '@fairlead/core';
import { checkLeaks, VirtualClock } from '@fairlead/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type FleetBuckets, fleetBuckets } from './fleet-buckets.js';
import type { FleetBucketsInit } from './fleet-options.js';
import { bucketScript, bucketSha, type RedisScripts } from './script.js';

interface Asked {
  readonly by: 'evalsha' | 'eval';
  readonly args: readonly unknown[];
  readonly answer: (reply: unknown) => void;
  readonly fail: (error: unknown) => void;
}

/** A Redis that answers when the test says so, or always the same. */
class ScriptedRedis implements RedisScripts {
  readonly asked: Asked[] = [];
  always: (() => unknown) | null = null;

  evalsha(...args: unknown[]): Promise<unknown> {
    return this.#ask('evalsha', args);
  }
  eval(...args: unknown[]): Promise<unknown> {
    return this.#ask('eval', args);
  }
  #ask(by: Asked['by'], args: unknown[]): Promise<unknown> {
    if (this.always !== null) {
      this.asked.push({ by, args, answer() {}, fail() {} });
      return Promise.resolve(this.always());
    }
    return new Promise((answer, fail) => this.asked.push({ by, args, answer, fail }));
  }
  get last(): Asked {
    return this.asked.at(-1) as Asked;
  }
}

const granted = [1, '100000', 0];
let clock: VirtualClock;
let scope: Scope;
let redis: ScriptedRedis;

const make = (options: Partial<FleetBucketsInit> = {}): FleetBuckets =>
  fleetBuckets({ redis, perSecond: 10, burst: 4, ...options });
const take = (buckets: FleetBuckets, key = 'k', cost?: number) => clock.run(buckets.take(key, cost, scope));
/** Makes it know that Redis is down. */
async function goDown(buckets: FleetBuckets): Promise<void> {
  const promise = buckets.take('other', 0, scope);
  redis.last.fail(new Error('Connection is closed.'));
  await promise;
  expect(buckets.down).toBe(true);
}

beforeEach(() => {
  clock = new VirtualClock();
  scope = new Scope(clock);
  redis = new ScriptedRedis();
});
afterEach(() => checkLeaks({ clock, scopes: [scope] }));

describe('while Redis answers', () => {
  it('asks the script by its name, for one key, and tells what it said', async () => {
    const buckets = make();
    const promise = buckets.take('caller', 2, scope);
    expect(redis.last.by).toBe('evalsha');
    expect(redis.last.args).toEqual([bucketSha, 1, 'fairlead:limit:{caller}', 400_000, 200_000, 0, 100_000, 0]);
    redis.last.answer([1, '250000', 0]);
    const verdict = { allowed: true, limit: 4, remaining: 1, resetMs: 50, retryAfterMs: 0, shared: true };
    expect(await promise).toEqual(verdict);
    const refused = buckets.take('caller', 2, scope);
    redis.last.answer([0, '250000', 0]);
    expect(await refused).toEqual({ ...verdict, allowed: false, retryAfterMs: 50 });
    expect([buckets.perSecond, buckets.burst, buckets.down]).toEqual([10, 4, false]);
  });

  it('knows a full bucket and a cost that none can bear', async () => {
    redis.always = () => [0, '0', 0];
    const verdict = { allowed: false, remaining: 4, resetMs: 0, retryAfterMs: Number.POSITIVE_INFINITY };
    expect(await take(make(), 'k', 5)).toMatchObject(verdict);
  });

  it('counts a cost that is none as 1', async () => {
    redis.always = () => granted;
    for (const cost of [Number.NaN, -1, Number.POSITIVE_INFINITY]) {
      await take(make(), 'k', cost);
      expect(redis.last.args[4]).toBe(100_000);
    }
  });

  it('sends the script itself to a server that does not know it', async () => {
    const promise = make().take('k', 1, scope);
    redis.last.fail(new Error('NOSCRIPT No matching script. Please use EVAL.'));
    await clock.advance(0);
    expect([redis.last.by, ...redis.last.args.slice(0, 3)]).toEqual(['eval', bucketScript, 1, 'fairlead:limit:{k}']);
    redis.last.answer(granted);
    expect(await promise).toMatchObject({ allowed: true, shared: true });
  });

  it('needs no scope', async () => {
    redis.always = () => granted;
    expect(await make().take('k')).toMatchObject({ allowed: true, shared: true });
  });
});

describe('without an answer', () => {
  it('waits no longer than timeoutMs, and drops what comes late', async () => {
    const buckets = make({ timeoutMs: 20, replicas: 2 });
    const promise = buckets.take('k', 1, scope);
    expect((await Promise.all([promise, clock.advance(20)]))[0]).toMatchObject({
      allowed: true,
      shared: false,
      remaining: 1,
    });
    expect(clock.now()).toBe(20);
    redis.last.answer([0, '400000', 0]);
    await clock.advance(0);
    expect(buckets.down).toBe(true);
  });

  it('does not send the script for somebody who has gone', async () => {
    const promise = make({ timeoutMs: 20 }).take('k', 1, scope);
    await Promise.all([promise, clock.advance(20)]);
    redis.last.fail(new Error('NOSCRIPT'));
    await clock.advance(0);
    expect(redis.asked.length).toBe(1);
  });

  it('treats errors, nonsense and a client that throws alike', async () => {
    const boom = (): never => {
      throw new Error('boom');
    };
    const broken: Partial<RedisScripts>[] = [
      { evalsha: () => Promise.reject(new Error('LOADING')) },
      { evalsha: () => Promise.reject(null) },
      { evalsha: () => Promise.resolve('OK') },
      { evalsha: () => undefined as never },
      { evalsha: boom },
      { evalsha: () => Promise.reject(new Error('NOSCRIPT')), eval: boom },
      { evalsha: () => Promise.reject(new Error('NOSCRIPT')), eval: () => Promise.reject(new Error('NOSCRIPT')) },
    ];
    for (const each of broken) {
      const buckets = make({ redis: { eval: boom, evalsha: boom, ...each }, replicas: 2 });
      expect(await take(buckets)).toMatchObject({ allowed: true, shared: false, remaining: 1 });
      expect(buckets.down).toBe(true);
    }
  });

  it('does not blame the server for one key that holds something else', async () => {
    const buckets = make({ onDown: 'closed' });
    const promise = buckets.take('k', 1, scope);
    redis.last.fail(new Error('WRONGTYPE Operation against a key holding the wrong kind of value'));
    expect(await promise).toMatchObject({ allowed: false, shared: false, retryAfterMs: 50 });
    expect(buckets.down).toBe(false);
  });

  it('asks with one request at a time whether Redis is back', async () => {
    const buckets = make();
    await goDown(buckets);
    for (let i = 0; i < 100; i++) await take(buckets);
    expect(redis.asked.length).toBe(1);
    await clock.advance(100);
    const probe = buckets.take('a', 1, scope);
    const others = await Promise.all(Array.from({ length: 50 }, () => buckets.take('b', 1, scope)));
    expect([redis.asked.length, others.every(({ shared }) => !shared)]).toEqual([2, true]);
    redis.last.answer(granted);
    expect([(await probe).shared, buckets.down]).toEqual([true, false]);
    redis.always = () => granted;
    expect(await take(buckets)).toMatchObject({ shared: true });
  });

  it('survives a probe whose caller goes away', async () => {
    const buckets = make();
    await goDown(buckets);
    await clock.advance(100);
    const impatient = scope.child();
    const probe = buckets.take('k', 1, impatient);
    impatient.cancel(new Error('gone'));
    await expect(probe).rejects.toThrow('gone');
    redis.always = () => granted;
    expect(await take(buckets)).toMatchObject({ shared: true });
  });
});

describe('onDown', () => {
  it('local grants a share, and says when there is more', async () => {
    const buckets = make({ replicas: 2 });
    await goDown(buckets);
    const verdicts = [await take(buckets), await take(buckets), await take(buckets)];
    expect(verdicts.map(({ allowed }) => allowed)).toEqual([true, true, false]);
    const refusal = { allowed: false, limit: 4, remaining: 0, resetMs: 200, retryAfterMs: 200, shared: false };
    expect(verdicts[2]).toEqual(refusal);
  });

  it('local asks how many replicas there are, and takes nonsense for one', async () => {
    let count: unknown = 4;
    const replicas = (): number => {
      if (count === 'throw') throw new Error('unknown');
      return count as number;
    };
    const buckets = make({ replicas });
    await goDown(buckets);
    expect(await take(buckets, 'four')).toMatchObject({ allowed: true, remaining: 0 });
    for (const nonsense of [0, Number.NaN, undefined, Number.POSITIVE_INFINITY, 'throw']) {
      count = nonsense;
      expect(await take(buckets, String(nonsense))).toMatchObject({ allowed: true, remaining: 3 });
    }
  });

  it('open allows everything, closed nothing', async () => {
    const open = make({ onDown: 'open' });
    await goDown(open);
    for (let i = 0; i < 100; i++)
      expect(await take(open)).toMatchObject({ allowed: true, retryAfterMs: 0, shared: false });
    const closed = make({ onDown: 'closed' });
    await goDown(closed);
    const verdict = await take(closed);
    expect(verdict).toMatchObject({ allowed: false, remaining: 0, shared: false });
    expect(verdict.retryAfterMs).toBeGreaterThanOrEqual(50);
    expect(verdict.retryAfterMs).toBeLessThanOrEqual(100);
    expect((await take(closed, 'k', 5)).retryAfterMs).toBe(Number.POSITIVE_INFINITY);
  });
});

describe('on its return', () => {
  it.each(['local', 'open'] as const)('Redis is told what is missing, until nothing is (%s)', async (onDown) => {
    const buckets = make({ onDown });
    await goDown(buckets);
    for (let i = 0; i < 10; i++) await take(buckets);
    await clock.advance(100);
    redis.always = () => granted;
    await take(buckets);
    expect(redis.last.args[5]).toBeCloseTo(300_000, 3); // 4 units, one of which has flowed back
    await clock.advance(200);
    await take(buckets);
    expect(redis.last.args[5]).toBeCloseTo(100_000, 3);
    await clock.advance(100);
    await take(buckets);
    expect(redis.last.args[5]).toBe(0);
    await take(buckets, 'untouched');
    expect(redis.last.args[5]).toBe(0);
  });

  it.each([
    ['fails', () => redis.last.fail(new Error('gone again'))],
    ['is not answered', () => clock.advance(50)],
    ['is canceled', () => scope.cancel(new Error('canceled'))],
  ])('it is told again if the request that told it %s', async (_, end) => {
    const root = new Scope(clock);
    const buckets = make();
    await goDown(buckets);
    for (let i = 0; i < 4; i++) await take(buckets);
    await clock.advance(100);
    const telling = buckets.take('k', 0, scope).catch(() => null);
    expect(redis.last.args[5]).toBeCloseTo(300_000, 3);
    await end();
    await telling;
    await clock.advance(350 - clock.now());
    redis.always = () => granted;
    await clock.run(buckets.take('k', 0, root));
    expect(redis.last.args[5]).toBeCloseTo(50_000, 3);
  });
});

describe('a scope', () => {
  it('that is canceled ends the wait with its reason', async () => {
    const reason = new Error('enough');
    const buckets = make();
    const promise = buckets.take('k', 1, scope);
    scope.cancel(reason);
    await expect(promise).rejects.toBe(reason);
    redis.last.fail(new Error('late'));
    await clock.advance(0);
    expect(buckets.down).toBe(false);
    await expect(buckets.take('k', 1, scope)).rejects.toBe(reason);
    expect(redis.asked.length).toBe(1);
  });

  it('that expires first ends it then', async () => {
    const call = scope.child();
    call.expireAt(10, 'call', 10);
    await expect(clock.run(make().take('k', 1, call))).rejects.toBeInstanceOf(TimeoutError);
    expect(clock.now()).toBe(10);
  });
});
