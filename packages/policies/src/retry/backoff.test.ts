// Would catch: waits above the bound or below 0, a bound that does not grow as documented, NaN at the edges.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fullJitter } from './backoff.js';

describe('fullJitter', () => {
  it('spreads evenly below a bound that doubles up to the maximum', () => {
    const bounds = [1, 2, 3, 4, 5, 6].map((retry) => fullJitter(retry, 1));
    expect(bounds).toEqual([25, 50, 100, 200, 250, 250]);
    expect(fullJitter(3, 0.5)).toBe(50);
    expect(fullJitter(3, 0)).toBe(0);
  });

  it('takes base, maximum and factor', () => {
    expect(fullJitter(1, 0.5, 100, 1_000, 3)).toBe(50);
    expect(fullJitter(3, 1, 100, 1_000, 3)).toBe(900);
    expect(fullJitter(4, 1, 100, 1_000, 3)).toBe(1_000);
  });

  it('is always a finite number from 0 to below the bound', () => {
    const ms = fc.integer({ min: 0, max: 1_000_000 });
    const chance = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 5_000 }), chance, ms, ms, (retry, random, base, max) => {
        const wait = fullJitter(retry, random, base, max);
        expect(wait).toBeGreaterThanOrEqual(0);
        expect(wait).toBeLessThanOrEqual(Math.min(max, base * 2 ** Math.min(retry - 1, 1_000)));
      }),
    );
  });
});
