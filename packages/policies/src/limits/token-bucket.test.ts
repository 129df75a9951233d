// Would catch: admitting more than burst and rate allow, refusing what has flowed in again, a time to wait that is too
// short or too long, a cost that breaks the bucket, and a promise on the path of an admitted call.
import { ConfigError, gate, isRefusal, nothingToReport, RejectedError } from '@fairlead/core';
import { callTo, recordEvents, reply, scripted, VirtualClock } from '@fairlead/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { tokenBucket } from './token-bucket.js';

/** Asks at a time of its own. */
function ask(bucket: ReturnType<typeof tokenBucket>, at: number): number | null {
  const entry = bucket.enter(callTo().with({ at }));
  return isRefusal(entry) ? (entry.retryAfterMs ?? Number.POSITIVE_INFINITY) : null;
}

describe('tokenBucket', () => {
  it('admits a burst, then refuses with the time until the next unit', () => {
    const bucket = tokenBucket({ perSecond: 10, burst: 3 });
    expect([0, 0, 0, 0].map((at) => ask(bucket, at))).toEqual([null, null, null, 100]);
    expect(ask(bucket, 40)).toBeCloseTo(60);
    expect(ask(bucket, 100)).toBeNull();
    expect(ask(bucket, 100)).toBeCloseTo(100);
  });

  it('is full again after burst / perSecond, and never fuller', () => {
    const bucket = tokenBucket({ perSecond: 10, burst: 3 });
    for (let i = 0; i < 3; i++) ask(bucket, 0);
    expect([300, 300, 300, 300].map((at) => ask(bucket, at) === null)).toEqual([true, true, true, false]);
    expect([9e9, 9e9, 9e9, 9e9].map((at) => ask(bucket, at) === null)).toEqual([true, true, true, false]);
  });

  it('hands an admitted call straight on, and a refused one not at all', async () => {
    const backend = scripted(reply(200));
    const layer = gate(tokenBucket({ perSecond: 1, burst: 1 }));
    const call = callTo('payments');
    const events = recordEvents(call.runtime);
    expect((await layer(call, backend)).status).toBe(200);
    const refused = layer(call, backend);
    await expect(refused).rejects.toBeInstanceOf(RejectedError);
    await expect(refused).rejects.toMatchObject({ by: 'limit', service: 'payments', retryAfterMs: 1_000, sent: 'no' });
    expect(backend.calls.length).toBe(1);
    expect(events).toEqual([
      { type: 'limit.refused', service: 'payments', by: 'limit', key: null, retryAfterMs: 1_000 },
    ]);
    expect(tokenBucket().enter(call)).toBe(nothingToReport);
  });

  it('charges what a call costs, never a call that costs more than the bucket holds, and 1 for nonsense', () => {
    const costs: Record<string, number> = { '/0': 0, '/2': 2, '/4': 4, '/nan': Number.NaN, '/neg': -5 };
    const bucket = tokenBucket({ perSecond: 1, burst: 3, cost: (call) => costs[call.path] as number });
    const enter = (path: string) => bucket.enter(callTo('a', { path }));
    const clock = new VirtualClock();
    expect(clock.now()).toBe(0);
    expect((enter('/4') as RejectedError).retryAfterMs).toBeNull();
    expect(enter('/2')).toBe(nothingToReport);
    expect(enter('/0')).toBe(nothingToReport);
    expect(enter('/nan')).toBe(nothingToReport);
    expect((enter('/neg') as RejectedError).retryAfterMs).toBeCloseTo(1_000);
    expect(enter('/0')).toBe(nothingToReport);
  });

  it('never admits more than burst + rate * t in any window, and admits whoever waits as told', () => {
    const gaps = fc.array(fc.double({ min: 0, max: 400, noNaN: true }), { maxLength: 120 });
    const rate = fc.double({ min: 0.5, max: 5_000, noNaN: true });
    const start = fc.double({ min: 0, max: 1e9, noNaN: true });
    fc.assert(
      fc.property(gaps, rate, fc.integer({ min: 1, max: 50 }), start, (waits, perSecond, burst, from) => {
        const bucket = tokenBucket({ perSecond, burst });
        const admitted: number[] = [];
        let now = from;
        for (const wait of waits) {
          now += wait;
          const refused = ask(bucket, now);
          if (refused === null) admitted.push(now);
          else {
            expect(refused).toBeLessThanOrEqual(1000 / perSecond + 1e-3);
            if (wait > 200) {
              now += refused;
              expect(ask(bucket, now)).toBeNull();
              admitted.push(now);
            }
          }
        }
        for (let i = 0; i < admitted.length; i++) {
          for (let j = i; j < admitted.length; j++) {
            const t = (admitted[j] as number) - (admitted[i] as number);
            expect(j - i + 1).toBeLessThanOrEqual(burst + (perSecond * t) / 1000 + 0.01);
          }
        }
      }),
      { numRuns: 60 },
    );
  });

  it('admits whoever waits exactly as long as told, at any time of day', () => {
    const start = fc.double({ min: 0, max: 1e9, noNaN: true });
    fc.assert(
      fc.property(start, fc.double({ min: 0.5, max: 5_000, noNaN: true }), (from, perSecond) => {
        const bucket = tokenBucket({ perSecond, burst: 3 });
        let now = from;
        for (let i = 0; i < 20; i++) now += ask(bucket, now) ?? 0;
        for (let i = 0; i < 20; i++) {
          const wait = ask(bucket, now);
          if (wait === null) continue;
          expect(wait).toBeGreaterThan(0);
          now += wait;
          expect(ask(bucket, now)).toBeNull();
        }
      }),
    );
  });

  it('in shadow lets everything in, and tells what it would have refused', () => {
    const bucket = tokenBucket({ mode: 'shadow', perSecond: 1, burst: 1 });
    const call = callTo('payments');
    const events = recordEvents(call.runtime);
    expect([bucket.enter(call), bucket.enter(call)]).toEqual([nothingToReport, nothingToReport]);
    const event = { type: 'policy.shadowed', service: 'payments', policy: 'tokenBucket', would: 'refuse' };
    expect(events).toEqual([event]);
    expect([bucket.enter(call.with({ at: 1_000 })), events.length]).toEqual([nothingToReport, 1]);
    const off = tokenBucket({ mode: 'off', perSecond: 1, burst: 1 });
    expect([off.enter(call), off.enter(call), events.length]).toEqual([nothingToReport, nothingToReport, 1]);
  });

  it('lists everything that is wrong with its options', () => {
    expect(() => tokenBucket({ perSecond: 0, burst: 0.5, cost: 1 as never })).toThrow('3 problems');
    expect(() => tokenBucket({ perSeconds: 1 } as never)).toThrow(ConfigError);
    expect(() => tokenBucket({ perSecond: Number.NaN })).toThrow(ConfigError);
  });
});
