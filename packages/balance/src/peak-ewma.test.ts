// Catches: estimates that reading erases, good samples that make an endpoint look worse, cold endpoints that are shunned
// or flooded, and arithmetic that differs from the published Peak-EWMA.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PeakEwma, TypicalLatency } from './peak-ewma.js';

const TAU = 10_000;

function withTypical(ms: number): PeakEwma {
  const typical = new TypicalLatency();
  typical.observe(ms);
  return new PeakEwma(typical, TAU);
}

describe('PeakEwma', () => {
  it('gives the published figures: 10, 20 and 10 ms a second apart', () => {
    const ewma = withTypical(10);
    ewma.observe(10, 0);
    expect(ewma.value).toBe(10);
    ewma.observe(20, 1_000);
    expect(ewma.value).toBe(20);
    ewma.observe(10, 2_000);
    expect(ewma.value).toBeCloseTo(19.048374, 6);
  });

  it('is what is typical before the first sample, and again when the last one is long ago', () => {
    const ewma = withTypical(50);
    expect(ewma.estimate(0)).toBe(50);
    ewma.observe(5_000, 0);
    expect(ewma.estimate(0)).toBe(5_000);
    expect(ewma.estimate(TAU)).toBeCloseTo(50 + 4_950 / Math.E, 6);
    expect(ewma.estimate(20 * TAU)).toBeCloseTo(50, 3);
  });

  it('forgets everything when told to', () => {
    const ewma = withTypical(50);
    ewma.observe(5_000, 0);
    ewma.forget();
    expect(ewma.estimate(1)).toBe(50);
    ewma.observe(7, 2);
    expect(ewma.estimate(2)).toBe(7);
  });

  it('takes a lower bound only as news if it is more than expected', () => {
    const ewma = withTypical(10);
    ewma.observe(20, 0);
    ewma.atLeast(5, 0);
    expect(ewma.value).toBe(20);
    ewma.atLeast(300, 1);
    expect(ewma.value).toBe(300);
  });

  it('does not care how often it is asked, and stays between the samples and what is typical', () => {
    const sample = fc.record({
      ms: fc.double({ min: 0, max: 1e5, noNaN: true }),
      after: fc.double({ min: 0, max: 1e5, noNaN: true }),
    });
    fc.assert(
      fc.property(
        fc.array(sample, { minLength: 1, maxLength: 30 }),
        fc.integer({ min: 1, max: 50 }),
        (samples, reads) => {
          const [asked, quiet] = [withTypical(10), withTypical(10)];
          let now = 0;
          for (const { ms, after } of samples) {
            now += after;
            asked.observe(ms, now);
            quiet.observe(ms, now);
            for (let i = 0; i < reads; i++) asked.estimate(now + i);
          }
          const least = Math.min(10, ...samples.map(({ ms }) => ms));
          const most = Math.max(10, ...samples.map(({ ms }) => ms));
          const estimate = quiet.estimate(now + 123);
          expect(asked.estimate(now + 123)).toBe(estimate);
          expect(estimate).toBeGreaterThanOrEqual(least - 1e-6);
          expect(estimate).toBeLessThanOrEqual(most + 1e-6);
        },
      ),
    );
  });

  it('never looks worse after a sample that is better than its estimate', () => {
    const ms = fc.double({ min: 0, max: 1e4, noNaN: true });
    fc.assert(
      fc.property(ms, ms, ms, ms, (first, age, better, typical) => {
        const ewma = withTypical(typical);
        ewma.observe(first, 0);
        const before = ewma.estimate(age);
        fc.pre(better <= before && better <= first && better <= typical);
        ewma.observe(better, age);
        expect(ewma.estimate(age)).toBeLessThanOrEqual(before + 1e-9);
      }),
    );
  });

  it('copes with samples that arrive in another order than they were taken', () => {
    const ewma = withTypical(10);
    ewma.observe(100, 1_000);
    ewma.observe(10, 500);
    expect(ewma.at).toBe(1_000);
    expect(ewma.value).toBe(100);
  });
});

describe('TypicalLatency', () => {
  it('is the mean of the first answers, and follows later ones by a hundredth each', () => {
    const typical = new TypicalLatency();
    expect(typical.ms).toBe(1);
    for (const ms of [10, 20, 30]) typical.observe(ms);
    expect(typical.ms).toBeCloseTo(20, 9);
    for (let i = 0; i < 97; i++) typical.observe(20);
    typical.observe(1_020);
    expect(typical.ms).toBeCloseTo(30, 6);
  });
});
