/** Would catch a request that is lost, told twice or served out of turn, and tenants whose number grows without a bound. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FairShares } from './fair-shares.js';
import { Waiting, WaitingLines } from './waiting-line.js';

const waiting = (at: number, rank: number): Waiting =>
  new Waiting({} as never, {} as never, () => {}, at, Number.POSITIVE_INFINITY, rank);

describe('lines', () => {
  it('behave as lists by rank would', () => {
    const step = fc.oneof(
      fc.record({ do: fc.constant('push' as const), rank: fc.nat(3) }),
      fc.record({ do: fc.constantFrom('newest' as const, 'oldest' as const, 'evict' as const), rank: fc.constant(0) }),
      fc.record({ do: fc.constant('remove' as const), rank: fc.nat(20) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 100 }), (steps) => {
        const lines = new WaitingLines(4);
        const model: Waiting[][] = [[], [], [], []];
        steps.forEach((each, at) => {
          if (each.do === 'push') {
            const entry = waiting(at, each.rank);
            lines.push(entry);
            model[each.rank]?.push(entry);
          } else if (each.do === 'remove') {
            const all = model.flat();
            const entry = all[each.rank % Math.max(1, all.length)];
            if (entry === undefined) return;
            lines.remove(entry);
            model[entry.rank] = (model[entry.rank] as Waiting[]).filter((other) => other !== entry);
          } else if (each.do === 'evict') {
            expect(lines.evict()).toBe(model.findLast((line) => line.length > 0)?.shift() ?? null);
          } else {
            const first = model.find((line) => line.length > 0);
            expect(lines.take(each.do === 'newest')).toBe(
              (each.do === 'newest' ? first?.pop() : first?.shift()) ?? null,
            );
          }
          expect(lines.size).toBe(model.flat().length);
          model.forEach((line, rank) => {
            expect(lines.oldest(rank)).toBe(line[0] ?? null);
          });
          expect(lines.last()).toBe(model.findLast((line) => line.length > 0)?.[0] ?? null);
        });
      }),
    );
  });
});

describe('shares of tenants', () => {
  it('are exceeded by who asks for more than the others, not by who is alone', () => {
    const shares = new FairShares();
    for (let i = 0; i < 1_000; i++) expect(shares.exceeds('alone')).toBe(false);
    let exceeded = 0;
    for (let i = 0; i < 1_000; i++) {
      if (i % 10 === 0) expect(shares.exceeds('modest')).toBe(false);
      if (shares.exceeds('alone')) exceeded++;
    }
    expect(exceeded).toBe(1_000);
  });

  it('are forgotten in time', () => {
    const shares = new FairShares();
    for (let i = 0; i < 1_000; i++) shares.exceeds('greedy');
    shares.exceeds('modest');
    expect(shares.exceeds('greedy')).toBe(true);
    for (let i = 0; i < 60; i++) shares.turn(true);
    expect(shares.exceeds('greedy')).toBe(false);
    shares.exceeds('modest');
    shares.turn(false);
    expect(shares.exceeds('modest')).toBe(false);
  });

  it('are kept of a bounded number: those beyond it have one together', () => {
    const shares = new FairShares();
    for (let i = 0; i < 100_000; i++) shares.exceeds(`made up ${i}`);
    expect(shares.size).toBeLessThanOrEqual(1_001);
    expect(shares.exceeds('made up once more')).toBe(true);
    expect(shares.exceeds('made up 7')).toBe(false);
  });
});
