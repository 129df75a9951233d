// Would catch: an estimate that is far off, never settles, cannot grow from nothing or is spoiled by nonsense; a rule that
// once made is never tested again.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LatencyMedian } from './latency-median.js';

/** A fixed sequence that is spread evenly over [0, 1). */
const spread = (i: number): number => (i * 0.618_033_988_749_895) % 1;

describe('LatencyMedian', () => {
  it('says nothing before it has seen enough', () => {
    const median = new LatencyMedian();
    for (let i = 0; i < 50; i++) median.observe(10);
    expect(median.ms).toBe(0);
    median.observe(10);
    expect(median.ms).toBe(10);
  });

  it.each([
    ['an even spread', (u: number) => 20 + 60 * u, 50],
    ['a long tail', (u: number) => 5 / (1 - u), 10],
    ['two humps', (u: number) => (u < 0.6 ? 2 : 500), 2],
  ])('finds the middle of %s', (_, latency, middle) => {
    const median = new LatencyMedian();
    let sum = 0;
    for (let i = 0; i < 6_000; i++) {
      median.observe(latency(spread(i)));
      if (i >= 5_000) sum += Math.log(median.ms);
    }
    expect(Math.exp(sum / 1_000) / middle).toBeGreaterThan(0.85);
    expect(Math.exp(sum / 1_000) / middle).toBeLessThan(1.15);
  });

  it('follows a change of any size within some hundred answers', () => {
    const median = new LatencyMedian();
    for (let i = 0; i < 100; i++) median.observe(1);
    for (let i = 0; i < 250; i++) median.observe(1_000);
    expect(median.ms).toBeGreaterThan(900);
    for (let i = 0; i < 250; i++) median.observe(0);
    expect(median.ms).toBeLessThan(1.1);
  });

  it('stays a number above 0 whatever it is fed', () => {
    fc.assert(
      fc.property(fc.array(fc.double({ max: 1e9 }), { minLength: 60, maxLength: 200 }), (latencies) => {
        const median = new LatencyMedian();
        for (let i = 0; i < 51; i++) median.observe(0);
        for (const each of latencies) median.observe(each);
        expect(median.ms).toBeGreaterThan(0);
        expect(median.ms).toBeLessThan(1e10);
      }),
    );
  });

  it('admits every tenth, and twenty more whenever that was right', () => {
    const median = new LatencyMedian();
    const admitted = (n: number): number => Array.from({ length: n }, () => median.admits()).filter(Boolean).length;
    expect(admitted(9)).toBe(0);
    expect(admitted(1)).toBe(1);
    expect(admitted(90)).toBe(9);
    median.wasWrong();
    expect(admitted(20)).toBe(20);
    expect(admitted(10)).toBe(1);
  });
});
