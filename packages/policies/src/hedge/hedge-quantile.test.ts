// Would catch: an estimate that is off by more than a bucket, that never comes, never forgets, or forgets a quiet service.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LatencyQuantile } from './hedge-quantile.js';

/** The estimate after `samples`, one per ms and over and over until there is one. */
function estimate(samples: readonly number[], quantile: number): number {
  const subject = new LatencyQuantile(quantile, 20);
  for (let now = 0; subject.ms === Number.POSITIVE_INFINITY; now++) for (const ms of samples) subject.observe(ms, now);
  return subject.ms;
}

describe('LatencyQuantile', () => {
  it('knows nothing until there were minSamples', () => {
    const subject = new LatencyQuantile(0.95, 50);
    for (let i = 0; i < 49; i++) subject.observe(10, i * 1_000);
    expect(subject.ms).toBe(Number.POSITIVE_INFINITY);
    for (let i = 0; i < 20; i++) subject.observe(10, 100_000);
    expect(subject.ms).toBeGreaterThanOrEqual(10);
    expect(subject.ms).toBeLessThan(10.45);
  });

  it('is at most one bucket above the true quantile, and never below it', () => {
    const latencies = fc.array(fc.double({ min: 0.2, max: 1e6, noNaN: true }), { minLength: 20, maxLength: 20 });
    fc.assert(
      fc.property(latencies, fc.constantFrom(0.5, 0.75, 0.9), (samples, quantile) => {
        const sorted = [...samples].sort((a, b) => a - b);
        const got = estimate(samples, quantile);
        const at = (share: number): number => sorted[Math.min(19, Math.floor(20 * share))] as number;
        expect(got).toBeGreaterThanOrEqual(at(quantile - 0.05) * 0.999);
        expect(got).toBeLessThanOrEqual(at(quantile) * 2 ** (1 / 16) * 1.001);
      }),
    );
  });

  it.each([0, -1, Number.NaN])('takes %f for the shortest', (ms) => {
    expect(estimate(Array(20).fill(ms), 0.9)).toBe(0.125);
  });

  it('takes what is beyond its range for the longest', () => {
    expect(estimate(Array(20).fill(Number.POSITIVE_INFINITY), 0.9)).toBeGreaterThan(2_000_000);
  });

  it('follows a service that has become slower within some seconds, and back', () => {
    const subject = new LatencyQuantile(0.95, 50);
    let now = 0;
    const run = (ms: number, seconds: number): void => {
      for (const end = now + seconds * 1_000; now < end; now += 10) subject.observe(ms, now);
    };
    run(10, 60);
    expect(subject.ms).toBeLessThan(11);
    run(100, 3);
    expect(subject.ms).toBeGreaterThan(99);
    run(10, 40);
    expect(subject.ms).toBeLessThan(11);
  });

  it('does not forget a service that is asked once in a while', () => {
    const subject = new LatencyQuantile(0.95, 50);
    for (let i = 0; i < 1_000; i++) subject.observe(10, i * 60_000);
    expect(subject.ms).toBeLessThan(11);
  });
});
