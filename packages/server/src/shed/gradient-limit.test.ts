/** Would catch a limit that starves a service, drifts with the crowd that it is to prevent, or never grows to what is possible. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { GradientLimit } from './gradient-limit.js';

const bounds = { minLimit: 4, maxLimit: 1_000, initialLimit: 100, tolerance: 1.5 };

/** Ends `windows` windows in which all answers took `ms`, while so many were in flight. */
function windows(limit: GradientLimit, windows: number, ms: (limit: number) => number, inFlight = limit.value): void {
  for (let i = 0; i < windows; i++) {
    for (let sample = 0; sample < 20; sample++) limit.sample(ms(limit.value), Math.min(inFlight, limit.value));
    limit.update(true);
  }
}

describe('the limit', () => {
  it('grows while it is used and nobody gets slower, and only then', () => {
    const limit = new GradientLimit(bounds);
    windows(limit, 50, () => 10, 20);
    expect(limit.value).toBe(100);
    windows(limit, 5, () => 10, 1_000);
    expect(limit.value).toBeGreaterThan(500);
    windows(limit, 50, () => 10, 1_000);
    expect(limit.value).toBe(1_000);
  });

  it('settles where answers take little more than the tolerance', () => {
    const limit = new GradientLimit(bounds);
    // 50 at a time are free, more share what 50 have.
    const ms = (inFlight: number): number => 10 * Math.max(1, inFlight / 50);
    windows(limit, 5, () => 10, 10);
    windows(limit, 500, ms, 1_000);
    expect(limit.value).toBeGreaterThan(50);
    expect(ms(limit.value)).toBeLessThan(20);
    expect(limit.baseMs).toBeCloseTo(10, 0);
  });

  it('does not take for crowding what is slow at any limit', () => {
    const limit = new GradientLimit(bounds);
    windows(limit, 10, () => 10, 10);
    windows(limit, 60, () => 100, 1_000);
    expect(limit.value).toBeGreaterThan(80);
    expect(limit.baseMs).toBeCloseTo(100, 0);
  });

  it('learns that a service has become slower from when it is not crowded, but not from when something else was short', () => {
    const limit = new GradientLimit(bounds);
    windows(limit, 10, () => 10, 10);
    for (let i = 0; i < 50; i++) {
      for (let sample = 0; sample < 20; sample++) limit.sample(40, 10);
      limit.update(false);
    }
    expect(limit.baseMs).toBe(10);
    windows(limit, 50, () => 40, 10);
    expect(limit.baseMs).toBeCloseTo(40, 0);
    windows(limit, 50, () => 20, 10);
    expect(limit.baseMs).toBeCloseTo(20, 0);
  });

  it('does not move for a handful of answers', () => {
    const limit = new GradientLimit(bounds);
    for (let i = 0; i < 9; i++) limit.sample(1_000, 100);
    limit.update(true);
    expect([limit.value, limit.baseMs]).toEqual([100, 0]);
  });

  it('stays within its bounds, whatever comes', () => {
    const window = fc.record({
      ms: fc.double({ min: 0, max: 1e6, noNaN: true }),
      inFlight: fc.nat(2_000),
      calm: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(window, { maxLength: 200 }), (all) => {
        const limit = new GradientLimit(bounds);
        for (const { ms, inFlight, calm } of all) {
          for (let i = 0; i < 10; i++) limit.sample(ms, inFlight);
          limit.update(calm);
          expect(limit.value).toBeGreaterThanOrEqual(4);
          expect(limit.value).toBeLessThanOrEqual(1_000);
        }
      }),
      // A handler that takes no time at all.
      { examples: [[[{ ms: 0, inFlight: 50, calm: false }]]] },
    );
  });
});
