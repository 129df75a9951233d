// Would catch: one caller paying for another, memory that grows with the number of keys, a drained caller freed by a flood
// of names, an eviction that can be noticed, wrong numbers for the RateLimit headers.
import { ConfigError } from '@fairlead/core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { keyedBuckets } from './keyed-buckets.js';

describe('keyedBuckets', () => {
  it('gives every key a bucket of its own', () => {
    const buckets = keyedBuckets({ perSecond: 10, burst: 2 });
    expect(['a', 'a', 'a', 'b'].map((key) => buckets.take(key, 0).allowed)).toEqual([true, true, false, true]);
  });

  it('tells what is left, when more comes, and when to come back', () => {
    const buckets = keyedBuckets({ perSecond: 10, burst: 2 });
    const take = (now: number, cost?: number) => ({ ...buckets.take('a', now, cost) });
    expect(take(0)).toEqual({ allowed: true, limit: 2, remaining: 1, resetMs: 100, retryAfterMs: 0 });
    expect(take(50)).toEqual({ allowed: true, limit: 2, remaining: 0, resetMs: 50, retryAfterMs: 0 });
    expect(take(70)).toEqual({ allowed: false, limit: 2, remaining: 0, resetMs: 30, retryAfterMs: 30 });
    expect(take(100, 2)).toEqual({ allowed: false, limit: 2, remaining: 1, resetMs: 100, retryAfterMs: 100 });
    expect(take(100, 0)).toEqual({ allowed: true, limit: 2, remaining: 1, resetMs: 100, retryAfterMs: 0 });
    expect(take(900, 0)).toEqual({ allowed: true, limit: 2, remaining: 2, resetMs: 0, retryAfterMs: 0 });
    expect(take(900, 3)).toMatchObject({ allowed: false, remaining: 2, retryAfterMs: Number.POSITIVE_INFINITY });
    expect(take(900, Number.NaN)).toMatchObject({ allowed: true, remaining: 1 });
  });

  it('allocates nothing for an answer', () => {
    const buckets = keyedBuckets();
    expect(buckets.take('a', 0)).toBe(buckets.take('b', 1));
  });

  it('keeps at most maxKeys, however many come', () => {
    const buckets = keyedBuckets({ perSecond: 1, burst: 5, maxKeys: 100 });
    for (let i = 0; i < 100_000; i++) buckets.take(`k${i}`, i / 100);
    expect(buckets.size).toBe(100);
  });

  it('does not free a drained caller who sends under a million names', () => {
    const buckets = keyedBuckets({ perSecond: 1, burst: 5, maxKeys: 50 });
    while (buckets.take('attacker', 0).allowed);
    for (let i = 0; i < 10_000; i++) buckets.take(`name-${i}`, 10);
    expect(buckets.take('attacker', 10).allowed).toBe(false);
    // 5 for each of the 49 others, and 5 for all the rest together.
    let admitted = 0;
    for (let round = 0; round < 10; round++) {
      for (let i = 0; i < 1_000; i++) if (buckets.take(`other-${i}`, 10).allowed) admitted++;
    }
    expect(admitted).toBe(0); // the rest was used up by the names above
  });

  it('lets a newcomer in once a bucket is full again', () => {
    const buckets = keyedBuckets({ perSecond: 10, burst: 1, maxKeys: 2 });
    for (const key of ['a', 'b', 'overflow']) expect(buckets.take(key, 0).allowed).toBe(true);
    expect(buckets.take('late', 50).allowed).toBe(false); // the overflow bucket is empty
    expect(buckets.take('late', 100).allowed).toBe(true);
    expect(buckets.take('late', 100).allowed).toBe(false);
    expect(buckets.size).toBe(2);
  });

  it('evicts nobody who would notice', () => {
    const request = fc.record({ key: fc.integer({ min: 0, max: 3 }), after: fc.integer({ min: 0, max: 400 }) });
    fc.assert(
      fc.property(fc.array(request, { maxLength: 200 }), (requests) => {
        // Four callers among passers-by, room for eight: exactly as if there were room for all.
        const small = keyedBuckets({ perSecond: 5, burst: 3, maxKeys: 8 });
        const large = keyedBuckets({ perSecond: 5, burst: 3, maxKeys: 1_000 });
        let now = 0;
        for (const [i, { key, after }] of requests.entries()) {
          now += after;
          small.take(`passing-${i}`, now, 0);
          expect({ ...small.take(`k${key}`, now) }).toEqual({ ...large.take(`k${key}`, now) });
        }
      }),
    );
  });

  it('admits at most burst + rate * t per key and once more for all keys without a bucket, under any flood', () => {
    const request = fc.record({ key: fc.integer({ min: 0, max: 40 }), after: fc.integer({ min: 0, max: 60 }) });
    fc.assert(
      fc.property(fc.array(request, { minLength: 50, maxLength: 400 }), (requests) => {
        const [perSecond, burst, maxKeys] = [2, 2, 5];
        const buckets = keyedBuckets({ perSecond, burst, maxKeys });
        const admitted = new Map<number, number>();
        let now = 0;
        for (const { key, after } of requests) {
          now += after;
          if (buckets.take(String(key), now).allowed) admitted.set(key, (admitted.get(key) ?? 0) + 1);
        }
        const most = burst + (perSecond * now) / 1000;
        // A key may be served from the overflow bucket and, later, from one of its own.
        for (const count of admitted.values()) expect(count).toBeLessThanOrEqual(2 * most);
        const total = [...admitted.values()].reduce((sum, count) => sum + count, 0);
        const evictable = Math.ceil(now / (1000 / perSecond));
        expect(total).toBeLessThanOrEqual((maxKeys + 1) * most + evictable * maxKeys * burst);
        expect(buckets.size).toBeLessThanOrEqual(maxKeys);
      }),
    );
  });

  it('gives back as if nothing had been asked for', () => {
    const request = fc.record({ key: fc.integer({ min: 0, max: 3 }), after: fc.integer({ min: 0, max: 900 }) });
    const cost = fc.double({ min: 0, max: 4, noNaN: true });
    fc.assert(
      fc.property(fc.array(fc.tuple(request, cost, cost), { maxLength: 100 }), (requests) => {
        // Room for two of four callers: those who share the overflow bucket are given back theirs, too.
        const [plain, asked] = [1, 2].map(() => keyedBuckets({ perSecond: 5, burst: 6, maxKeys: 2 })) as [
          ReturnType<typeof keyedBuckets>,
          ReturnType<typeof keyedBuckets>,
        ];
        let now = 0;
        for (const [{ key, after }, spent, returned] of requests) {
          now += after;
          const name = `k${key}`;
          const before = { ...plain.take(name, now, spent) };
          expect(asked.take(name, now, spent).allowed).toBe(before.allowed);
          if (asked.take(name, now, returned).allowed) asked.giveBack(name, now, returned);
          const [{ resetMs, ...rest }, { resetMs: expected, ...same }] = [
            { ...asked.take(name, now, 0) },
            { ...plain.take(name, now, 0) },
          ];
          expect(rest).toEqual(same);
          expect(resetMs).toBeCloseTo(expected, 5);
        }
      }),
    );
  });

  it('never holds more than a full bucket, whatever is given back', () => {
    const buckets = keyedBuckets({ perSecond: 1, burst: 2 });
    buckets.take('a', 0);
    buckets.giveBack('a', 10, 5);
    expect(['a', 'a', 'a'].map((key) => buckets.take(key, 10).allowed)).toEqual([true, true, false]);
  });

  it('lists everything that is wrong with its options', () => {
    expect(() => keyedBuckets({ perSecond: -1, burst: 1.5, maxKeys: 0 })).toThrow('3 problems');
    expect(() => keyedBuckets({ maxKey: 5 } as never)).toThrow(ConfigError);
  });
});
