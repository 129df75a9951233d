/**
 * Would catch: a bucket in Redis that grants too much or too little, loses fractions of a unit, forgets or outlives its
 * debt, stays shut after a clock was set back, or breaks on what somebody else has written; a reply or an error that is
 * taken for another.
 */
import fc from 'fast-check';
import type { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { RedisServer, redisInstalled } from '../tests/redis-server.js';
import { bucketScript, parseBucketState, scriptFailure } from './script.js';

/** The script with the time in the hands of the test, … */
const timedScript = bucketScript.replace("redis.call('TIME')", '{ ARGV[6], ARGV[7] }');
/** … and without the expiry, which goes by the server's time. */
const lastingScript = timedScript.replace(", 'PX', expiry", '');
const BASE_S = 1_800_000_000;

describe.skipIf(!redisInstalled('script.test.ts'))('bucketScript on a real server', () => {
  const server = new RedisServer();
  let redis: Redis;
  let keys = 0;

  beforeAll(async () => {
    await server.start();
    redis = await server.client();
    expect(new Set([bucketScript, timedScript, lastingScript]).size).toBe(3);
  }, 20_000);
  afterAll(() => server.close());

  /** A bucket whose time is given with each take, in µs. */
  function bucket(perSecond: number, burst: number, script = lastingScript) {
    const key = `bucket-${keys++}`;
    const us = 1e6 / perSecond;
    const take = async (atUs: number, cost = 1, missing = 0, ahead = 0) => {
      const seconds = BASE_S + Math.floor(atUs / 1e6);
      const time = [seconds, ((atUs % 1e6) + 1e6) % 1e6];
      const reply = await redis.eval(script, 1, key, burst * us, cost * us, missing * us, us, ahead, ...time);
      const state = parseBucketState(reply);
      if (state === null) throw new Error(`unexpected reply ${JSON.stringify(reply)}`);
      return { allowed: state.allowed, debt: state.debtUs / us, ...(ahead > 0 && { ahead: state.ahead }) };
    };
    return { key, take };
  }

  it('grants a burst, and then the rate, to the µs', async () => {
    const { take } = bucket(10, 3);
    expect([(await take(0)).allowed, (await take(0)).allowed, (await take(0)).allowed]).toEqual([true, true, true]);
    expect(await take(0)).toEqual({ allowed: false, debt: 3 });
    expect((await take(99_999)).allowed).toBe(false);
    expect(await take(100_000)).toEqual({ allowed: true, debt: 3 });
    expect(await take(400_000, 3)).toEqual({ allowed: true, debt: 3 });
    expect(await take(400_000, 0)).toEqual({ allowed: true, debt: 3 });
    expect(await take(10_000_000, 4)).toEqual({ allowed: false, debt: 0 });
  });

  it('grants as many whole units ahead as are there, and none with a refusal', async () => {
    const { take } = bucket(10, 10);
    expect(await take(0, 1, 0, 3)).toEqual({ allowed: true, debt: 4, ahead: 3 });
    expect(await take(50_000, 0, 0, 100)).toEqual({ allowed: true, debt: 9.5, ahead: 6 });
    expect(await take(50_000, 1, 0, 100)).toEqual({ allowed: false, debt: 9.5, ahead: 0 });
    expect(await take(100_000, 0.5, 0, 1)).toEqual({ allowed: true, debt: 9.5, ahead: 0 });
    expect(await take(10_000_000, 10, 0, 1)).toEqual({ allowed: true, debt: 10, ahead: 0 });
  });

  it('decides like exact arithmetic, whatever the rate, the costs and the times', async () => {
    const plan = fc.array(
      fc.record({ gap: fc.integer({ min: 0, max: 300_000 }), cost: fc.integer({ min: 0, max: 4 }) }),
      {
        maxLength: 30,
      },
    );
    const rate = fc.integer({ min: 1, max: 5_000 });
    await fc.assert(
      fc.asyncProperty(rate, fc.integer({ min: 1, max: 5 }), plan, async (perSecond, burst, steps) => {
        const { take } = bucket(perSecond, burst);
        // Whole numbers only: one unit is 1e6, and one µs brings perSecond.
        let debt = 0;
        let at = 0;
        for (const { gap, cost } of steps) {
          at += gap;
          debt = Math.max(0, debt - gap * perSecond);
          const room = burst * 1e6 - debt - cost * 1e6;
          // Within half a µs of the edge either answer is right.
          const close = Math.abs(room) <= perSecond;
          const verdict = await take(at, cost);
          if (!close) expect(verdict.allowed).toBe(room > 0);
          if (verdict.allowed) debt += cost * 1e6;
          expect(Math.abs(verdict.debt - debt / 1e6) * 1e6).toBeLessThanOrEqual(perSecond);
        }
      }),
      { numRuns: 60 },
    );
  });

  it('loses nothing over many small takes', async () => {
    // A third of a µs each: in whole µs this limit would be 3 times as strict, or none at all.
    const { take } = bucket(3_000_000, 900);
    const admitted = await Promise.all(Array.from({ length: 1_200 }, () => take(0)));
    expect(admitted.filter(({ allowed }) => allowed).length).toBeGreaterThanOrEqual(900);
    // Half a µs is a unit and a half here; the rest of the 1 % is for digits that a double does not have.
    expect(admitted.filter(({ allowed }) => allowed).length).toBeLessThanOrEqual(909);
  });

  it('is as empty as the caller knows it to be, or emptier, and no more than empty', async () => {
    const { take } = bucket(1, 10);
    expect(await take(0, 1, 4)).toEqual({ allowed: true, debt: 5 });
    expect(await take(0, 1, 4)).toEqual({ allowed: true, debt: 6 });
    expect(await take(0, 1, 8)).toEqual({ allowed: true, debt: 9 });
    expect(await take(0, 1, 500)).toMatchObject({ allowed: false, debt: expect.closeTo(10, 5) });
    expect(await take(1_000_001)).toMatchObject({ allowed: true });
  });

  it('forgets a bucket when it is full again, and not before', async () => {
    const { key, take } = bucket(0.01, 3, timedScript);
    await take(0);
    const expiry = await redis.pttl(key);
    expect(expiry).toBeGreaterThan(90_000);
    expect(expiry).toBeLessThanOrEqual(100_000);
    const other = bucket(0.01, 3, timedScript);
    await other.take(0, 4); // refused
    await other.take(0, 0);
    expect(await redis.exists(other.key)).toBe(0);
  });

  it('is empty, not shut, after the clock was set back', async () => {
    const { take } = bucket(10, 2);
    await take(3_600e6);
    expect((await take(0)).allowed).toBe(false);
    expect((await take(99_000)).allowed).toBe(false);
    expect((await take(100_001)).allowed).toBe(true);
  });

  it('does not choke on what somebody else has put there', async () => {
    for (const text of ['', 'text', 'nan', '-nan', '1e999', '-inf']) {
      const { key, take } = bucket(1, 5);
      await redis.set(key, text);
      expect([text, (await take(0)).allowed]).toEqual([text, text !== '1e999']);
      await take(6e6);
      expect(await take(12e6)).toEqual({ allowed: true, debt: 1 });
    }
    const { key, take } = bucket(1, 5);
    await redis.lpush(key, 'a');
    const error = await take(0).catch((caught: unknown) => caught);
    expect(scriptFailure(error)).toBe('wrong-key');
    expect(await redis.lrange(key, 0, -1)).toEqual(['a']);
  });
});

describe('parseBucketState', () => {
  it('takes what the script gives, also with numbers as strings', () => {
    expect(parseBucketState([1, '2.5', 3])).toEqual({ allowed: true, debtUs: 2.5, ahead: 3 });
    expect(parseBucketState(['0', '0', '0'])).toEqual({ allowed: false, debtUs: 0, ahead: 0 });
  });

  it('takes nothing else', () => {
    const others = [null, undefined, 'OK', 1, {}, [], [1], [1, '1'], [1, '1', 2, 3]];
    const wrong = [
      [1, 2, 0],
      [2, '1', 0],
      [1, 'x', 0],
      [1, '-1', 0],
      [1, '', 0],
      [1, '1', -1],
      [1, '1', 'x'],
    ];
    for (const other of [...others, ...wrong]) expect([other, parseBucketState(other)]).toEqual([other, null]);
  });
});

describe('scriptFailure', () => {
  it('tells what concerns one key, or one script, from what concerns the server', () => {
    expect(scriptFailure(new Error('NOSCRIPT No matching script.'))).toBe('unknown-script');
    expect(scriptFailure(new Error('WRONGTYPE Operation against a key'))).toBe('wrong-key');
    const down = [
      new Error('LOADING Redis is loading'),
      new Error('Connection is closed.'),
      new Error(),
      null,
      'x',
      {},
    ];
    for (const error of down) expect(scriptFailure(error)).toBe('down');
  });
});
