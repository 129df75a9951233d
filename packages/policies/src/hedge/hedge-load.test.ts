// Would catch: noise taken for load, load taken for noise, a memory of better times that is lost or kept for ever, and answers
// without a time of arrival that spoil the estimate.
import { Prng } from '@fairlead/testing';
import { describe, expect, it } from 'vitest';
import { HedgeLoad } from './hedge-load.js';

const prng = new Prng(5);
const exponential = (mean: number): number => -Math.log(1 - prng.random()) * mean;

/** Observes `n` answers, one each 10 ms, from `from` on; gives the time of the last, and the largest rise. */
function observe(load: HedgeLoad, n: number, sample: () => number, from = 0): { at: number; most: number } {
  let most = 0;
  let at = from;
  for (let i = 0; i < n; i++) {
    at += 10;
    load.observe(sample(), at);
    most = Math.max(most, load.rise);
  }
  return { at, most };
}

describe('HedgeLoad', () => {
  it('knows of no rise at first', () => {
    const load = new HedgeLoad();
    expect(load.rise).toBe(1);
    expect(observe(load, 299, () => exponential(10)).most).toBe(1);
  });

  it('takes noise for little, and stragglers for nothing', () => {
    const load = new HedgeLoad();
    expect(observe(load, 50_000, () => exponential(10)).most).toBeLessThan(1.8);
    expect(observe(load, 50_000, () => (prng.random() < 0.05 ? 5_000 : exponential(10)), 500_000).most).toBeLessThan(2);
  });

  it('tells how far the median has risen, and that it has fallen again', () => {
    const load = new HedgeLoad();
    const { at } = observe(load, 5_000, () => 10);
    const loaded = observe(load, 1_000, () => 40, at);
    expect(load.rise).toBeGreaterThan(3.5);
    expect(load.rise).toBeLessThan(4.5);
    observe(load, 1_000, () => 10, loaded.at);
    expect(load.rise).toBeLessThan(1.1);
  });

  it('has forgotten half of it after half an hour, however long nobody has asked', () => {
    const load = new HedgeLoad();
    const { at } = observe(load, 2_000, () => 10);
    observe(load, 1_000, () => 40, at);
    load.observe(40, at + 1_800_000);
    expect(load.rise).toBeGreaterThan(1.7);
    expect(load.rise).toBeLessThan(2.3);
    load.observe(40, at + 1e12);
    expect(load.rise).toBe(1);
  });

  it('looks past answers that nobody sent, and stands times of 0', () => {
    const load = new HedgeLoad();
    observe(load, 1_000, () => 0);
    observe(load, 1_000, () => -1);
    observe(load, 1_000, () => Number.NaN);
    expect(load.rise).toBe(1);
    observe(load, 1_000, () => 10, 10_000);
    expect(load.rise).toBeGreaterThan(900);
  });
});
