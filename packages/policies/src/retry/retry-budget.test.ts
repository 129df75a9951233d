// Would catch: more retries than the budget has, prices rounded to whole numbers, a window that forgets too early, too late
// or not at all, and a budget that never recovers.
import { ConfigError } from '@fairlead/core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type RetryBudget, retryBudget } from './retry-budget.js';

function withdrawAll(budget: ReturnType<typeof retryBudget>, now: number): number {
  let count = 0;
  while (budget.tryWithdraw(now)) count++;
  return count;
}

describe('retryBudget', () => {
  it('begins with a reserve of 100; a thousand requests make it no more, two thousand make it 200', () => {
    const budget = retryBudget();
    expect(budget.balance(0)).toBe(100);
    for (let i = 0; i < 1_000; i++) budget.deposit(5);
    expect(budget.balance(5)).toBe(100);
    for (let i = 0; i < 1_000; i++) budget.deposit(5);
    expect(budget.balance(5)).toBe(200);
    expect(withdrawAll(budget, 6)).toBe(200);
    expect(budget.tryWithdraw(6)).toBe(false);
  });

  /** Takes out what there is, and finds that none of it helps. */
  function failAll(budget: RetryBudget, now: number): number {
    let count = 0;
    for (; budget.tryWithdraw(now); count++) budget.failed?.(now);
    return count;
  }

  it('has a tenth of that for retries that fail, or what the requests allow', () => {
    const budget = retryBudget();
    expect(failAll(budget, 0)).toBe(10);
    for (let i = 0; i < 100; i++) budget.deposit(5);
    expect(failAll(budget, 5)).toBe(0);
    for (let i = 0; i < 50; i++) budget.deposit(5);
    expect(failAll(budget, 5)).toBe(5);
    expect(failAll(budget, 9_999)).toBe(0);
    expect(failAll(budget, 10_005)).toBe(10);
  });

  it('shares what may fail among processes, down to one in each window', () => {
    expect(failAll(retryBudget({ minFailingPerSecond: 10, processes: 4 }), 0)).toBe(25);
    expect(failAll(retryBudget({ processes: 500 }), 0)).toBe(1);
    expect(failAll(retryBudget({ minPerSecond: 0, processes: 500 }), 0)).toBe(0);
  });

  it('lets a fleet of 500 processes, whose service is down, add a tenth to its load and no burst', () => {
    const fleet = Array.from({ length: 500 }, () => retryBudget({ processes: 500 }));
    let retries = 0;
    // Each makes 2 requests a second, and all of them fail for half a minute.
    for (let now = 0; now < 30_000; now += 500) {
      for (const budget of fleet) {
        budget.deposit(now);
        retries += failAll(budget, now);
      }
      // One each at once, at most; and never more than a tenth besides.
      expect(retries).toBeLessThanOrEqual(500 + 0.1 * 500 * (now / 500 + 1));
    }
    expect(retries).toBeLessThanOrEqual(0.11 * 500 * 60);
  });

  it.each([
    [0.3, 10, 3],
    [0.6, 5, 3],
    [0.29, 100, 29],
    [0.07, 100, 7],
    [1, 7, 7],
    [0, 1_000, 0],
  ])('with a ratio of %f, %i requests are worth exactly %i retries', (ratio, requests, retries) => {
    const budget = retryBudget({ ratio, minPerSecond: 0 });
    for (let i = 0; i < requests; i++) budget.deposit(1);
    expect(withdrawAll(budget, 1)).toBe(retries);
  });

  it('forgets requests and retries once they are older than ttlMs', () => {
    const budget = retryBudget({ minPerSecond: 1, ttlMs: 10_000 });
    expect(withdrawAll(budget, 0)).toBe(10);
    for (let i = 0; i < 150; i++) budget.deposit(3_500);
    expect(budget.balance(3_500)).toBe(5);
    expect(budget.balance(9_999)).toBe(5);
    expect(budget.balance(10_000)).toBe(15); // the ten retries are gone, the 150 requests are not
    expect(budget.balance(13_000)).toBe(10);
  });

  it('is as new after any silence', () => {
    const budget = retryBudget();
    for (let i = 0; i < 100; i++) budget.deposit(0);
    withdrawAll(budget, 0);
    expect(budget.balance(1e12)).toBe(100);
  });

  it('survives times that go back, as those of calls that queued do', () => {
    const budget = retryBudget({ minPerSecond: 0 });
    budget.deposit(5_000);
    budget.deposit(1);
    expect(budget.balance(1)).toBeCloseTo(0.2);
  });

  it('never allows more than reserve or ratio in any window, and always that much in a fresh one', () => {
    const step = fc.record({ after: fc.integer({ min: 0, max: 3_000 }), requests: fc.integer({ min: 0, max: 20 }) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), fc.constantFrom(0, 0.1, 0.2, 0.5), (steps, ratio) => {
        const ttlMs = 10_000;
        const budget = retryBudget({ ratio, minPerSecond: 2, ttlMs });
        const requests: number[] = [];
        const retries: number[] = [];
        let now = 0;
        for (const each of steps) {
          now += each.after;
          for (let i = 0; i < each.requests; i++) {
            budget.deposit(now);
            requests.push(now);
          }
          while (budget.tryWithdraw(now)) retries.push(now);
          // A slot more on the side of the requests, a slot less on that of the retries: slots are forgotten as wholes.
          const slot = ttlMs / 10;
          const last = retries.at(-1) ?? now;
          const had = requests.filter((at) => at > last - ttlMs - slot && at <= last).length;
          const spent = retries.filter((at) => at > now - ttlMs + slot).length;
          expect(spent).toBeLessThanOrEqual(Math.max(20, ratio * had) + 1e-6);
          expect(budget.balance(now)).toBeLessThan(1);
        }
      }),
    );
  });

  it('lists everything that is wrong with its options', () => {
    const wrong = { ratio: 1.5, minPerSecond: -1, ttlMs: 999, processes: 0.5, minFailingPerSecond: -1 };
    expect(() => retryBudget(wrong)).toThrow(ConfigError);
    expect(() => retryBudget(wrong)).toThrow('5 problems');
    expect(() => retryBudget({ tllMs: 1_000 } as never)).toThrow('did you mean ttlMs?');
  });
});
