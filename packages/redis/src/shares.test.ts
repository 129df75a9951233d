/**
 * Would catch: processes that together grant more than the limit, a share too small to admit anybody, a change of the
 * number of replicas that gives units away, an outage that Redis is not
 * told about, memory that grows with the
 * number of keys, and a spent share freed by a flood of names.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Shares } from './shares.js';

const admits = (shares: Shares, key: string, now: number, cost = 1, replicas = 1, always = false): boolean =>
  shares.take(key, now, cost, replicas, always).allowed;

describe('a share', () => {
  it('is a fraction of burst and rate', () => {
    const shares = new Shares(10, 20, 100);
    const granted = Array.from({ length: 10 }, () => admits(shares, 'a', 0, 1, 5)).filter(Boolean).length;
    expect(granted).toBe(4);
    expect(admits(shares, 'a', 499, 1, 5)).toBe(false);
    expect(admits(shares, 'a', 500, 1, 5)).toBe(true);
    expect(admits(shares, 'b', 500, 4, 5)).toBe(true);
  });

  it('that is full admits what a full bucket would, and is paid back before it admits more', () => {
    const shares = new Shares(10, 4, 100);
    expect(admits(shares, 'a', 0, 4, 40)).toBe(true);
    expect(admits(shares, 'a', 15_000, 1, 40)).toBe(false);
    expect(admits(shares, 'a', 16_000, 1, 40)).toBe(true);
    expect(admits(shares, 'b', 0, 5, 40)).toBe(false);
  });

  it('grants at most its burst and its rate in any time, while the number of replicas changes', () => {
    const step = fc.record({
      gap: fc.integer({ min: 0, max: 500 }),
      cost: fc.integer({ min: 1, max: 3 }),
      replicas: fc.integer({ min: 1, max: 4 }),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const [perSecond, burst] = [10, 12];
        const shares = new Shares(perSecond, burst, 10);
        let [now, granted, flowed] = [0, 0, 0];
        for (const { gap, cost, replicas } of steps) {
          now += gap;
          flowed += (gap / 1000) * (perSecond / replicas);
          if (admits(shares, 'a', now, cost, replicas)) granted += cost;
          expect(granted).toBeLessThanOrEqual(burst + flowed + 1e-3);
        }
      }),
    );
  });

  it('that is taken from regardless is empty, and not more than that', () => {
    const shares = new Shares(10, 5, 100);
    for (let i = 0; i < 100; i++) shares.take('a', 0, 1, 1, true);
    expect(shares.take('a', 0, 1, 1, true)).toEqual({ allowed: false, debt: 5 });
    expect(admits(shares, 'a', 100)).toBe(true);
  });
});

describe('what Redis is told', () => {
  it('is what is missing from all shares, if they are like this one', () => {
    const shares = new Shares(10, 20, 100);
    expect(shares.missing('a', 0, 2)).toBe(0);
    for (let i = 0; i < 4; i++) admits(shares, 'a', 0, 1, 2);
    expect(shares.missing('a', 0, 2)).toBe(8);
    expect(shares.missing('a', 300, 2)).toBeCloseTo(5);
    expect(shares.missing('b', 300, 2)).toBe(0);
  });

  it('fills as the bucket of the fleet does, so that saying it twice changes nothing', () => {
    const shares = new Shares(10, 20, 100);
    while (admits(shares, 'a', 0, 1, 4));
    for (let now = 0; now <= 2_000; now += 100) {
      expect(shares.missing('a', now, 4)).toBeCloseTo(20 - now / 100);
      expect(shares.missing('a', now, 4)).toBeCloseTo(20 - now / 100);
    }
  });

  it('stays missing here, so that an outage right after the last grants no new burst', () => {
    const shares = new Shares(10, 5, 100);
    while (admits(shares, 'a', 0));
    shares.missing('a', 0, 1);
    expect(admits(shares, 'a', 0)).toBe(false);
  });

  it('is forgotten with the share once that is full', () => {
    const shares = new Shares(10, 5, 100);
    admits(shares, 'a', 0);
    expect([shares.size, shares.missing('a', 100, 1), shares.size]).toEqual([1, 0, 0]);
  });
});

describe('memory', () => {
  it('is bounded, and a flood of names frees nobody', () => {
    const shares = new Shares(1, 5, 50);
    while (admits(shares, 'attacker', 0));
    for (let i = 0; i < 10_000; i++) admits(shares, `name-${i}`, 10);
    expect(shares.size).toBe(50);
    expect(admits(shares, 'attacker', 10)).toBe(false);
    // 5 of the overflow at most, which the flood has used up.
    expect(admits(shares, 'latecomer', 10)).toBe(false);
    expect(shares.missing('latecomer', 10, 1)).toBe(0);
  });

  it('is used again once shares are full', () => {
    const shares = new Shares(10, 1, 2);
    for (const key of ['a', 'b', 'overflow']) expect(admits(shares, key, 0)).toBe(true);
    expect(admits(shares, 'late', 50)).toBe(false);
    expect(admits(shares, 'late', 100)).toBe(true);
    expect(shares.size).toBe(2);
  });
});
