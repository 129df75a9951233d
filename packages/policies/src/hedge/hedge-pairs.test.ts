// Would catch: pairs that say that hedges help where everybody queues, or that they do not where one server straggles; a
// pair of the same endpoint taken for one; pairs that are believed too soon or remembered too long.
import { createEndpoint } from '@fairlead/core';
import { describe, expect, it } from 'vitest';
import { HedgePairs } from './hedge-pairs.js';

const a = createEndpoint('http://a:1');
const b = createEndpoint('http://b:1');

/** Tells one pair: a late call that took `lateMs`, found late after 10 ms, and the next one. */
function tell(pairs: HedgePairs, lateMs: number, nextMs: number, endpoints = [a, b], nextFirst = false): void {
  const pair = pairs.late(10);
  const [one = null, other = null] = endpoints;
  if (nextFirst) pair.nextTook(nextMs, other);
  pair.lateTook(lateMs, one);
  if (!nextFirst) pair.nextTook(nextMs, other);
}

describe('HedgePairs', () => {
  it('says nothing before there were twenty', () => {
    const pairs = new HedgePairs();
    for (let i = 0; i < 19; i++) tell(pairs, 100, 5);
    expect(pairs.winRatio).toBeNaN();
    tell(pairs, 100, 5);
    expect(pairs.winRatio).toBe(1);
  });

  it.each([false, true])(
    'compares what was left of the first with all of the second, second told first: %s',
    (order) => {
      const pairs = new HedgePairs();
      for (let i = 0; i < 20; i++) tell(pairs, 25, i % 4 === 0 ? 15 : 14.9, [a, b], order);
      expect(pairs.winRatio).toBeCloseTo(0.75);
    },
  );

  it('counts no pair of which one call was never answered, nor one of a single endpoint', () => {
    const pairs = new HedgePairs();
    for (let i = 0; i < 100; i++) {
      pairs.late(10).lateTook(100, a);
      pairs.late(10).nextTook(1, a);
      tell(pairs, 100, 1, [a, a]);
    }
    expect(pairs.winRatio).toBeNaN();
    // Without a balancer nobody knows the endpoint, and every two may be different ones.
    for (let i = 0; i < 20; i++) tell(pairs, 100, 1, []);
    expect(pairs.winRatio).toBe(1);
  });

  it('takes an answer that nobody sent for one at once', () => {
    const pairs = new HedgePairs();
    for (let i = 0; i < 20; i++) tell(pairs, 100, -50);
    expect(pairs.winRatio).toBe(1);
  });

  it('forgets: what has become of no use shows within a hundred pairs', () => {
    const pairs = new HedgePairs();
    for (let i = 0; i < 10_000; i++) pairs.count(true);
    for (let i = 0; i < 100; i++) pairs.count(false);
    expect(pairs.winRatio).toBeLessThan(0.4);
    expect(pairs.winRatio).toBeGreaterThan(0.3);
  });
});
