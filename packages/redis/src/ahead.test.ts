/**
 * Would catch: units that two processes spend, units held after the bucket has filled without them, more than the burst let
 * through or noticeably less, a refusal that outlives its reason, memory that grows, a question for each request.
 */
import { Scope, sleep } from '@fairlead/core';
import { VirtualClock } from '@fairlead/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Ahead } from './ahead.js';
import { type FleetBuckets, fleetBuckets } from './fleet-buckets.js';
import type { FleetBucketsInit } from './fleet-options.js';
import type { RedisScripts } from './script.js';

/** The script in exact arithmetic, on the clock of the test. Answers after what `delayMs` says. */
class ModelRedis implements RedisScripts {
  asked = 0;
  readonly fullAt = new Map<string, number>();
  failing = false;
  constructor(
    readonly clock: VirtualClock,
    public delayMs: () => number = () => 0,
  ) {}
  async evalsha(_sha: string, _keys: number, ...args: (string | number)[]): Promise<unknown> {
    this.asked++;
    if (this.failing) throw new Error('Connection is closed.');
    const [key, ...numbers] = args as [string, ...number[]];
    const there = this.delayMs();
    if (there > 0) await sleep(this.clock, there);
    const [depth, spend, missing, step, wanted] = numbers as [number, number, number, number, number];
    const now = this.clock.now() * 1000;
    const most = now + depth + 0.5;
    let full = Math.min(most, Math.max(now, this.fullAt.get(key) ?? now, now + missing));
    const allowed = full + spend <= most;
    if (allowed) full += spend;
    const ahead = allowed ? Math.max(0, Math.min(wanted, Math.floor((most - full) / step))) : 0;
    full += ahead * step;
    this.fullAt.set(key, full);
    const back = this.delayMs();
    if (back > 0) await sleep(this.clock, back);
    return [allowed ? 1 : 0, String(full - now), ahead];
  }
  eval(): Promise<unknown> {
    throw new Error('nobody forgets this script');
  }
}

/** The most that was admitted in any span of time, less what flows in meanwhile. */
function mostOver(admissions: readonly number[], perSecond: number): number {
  let [least, most] = [Number.POSITIVE_INFINITY, 0];
  for (const [i, at] of admissions.entries()) {
    const excess = i - (at * perSecond) / 1000;
    least = Math.min(least, excess);
    most = Math.max(most, excess - least + 1);
  }
  return most;
}

function fleetOf(size: number, options: Partial<FleetBucketsInit> & { perSecond: number; burst: number }) {
  const clock = new VirtualClock();
  const redis = new ModelRedis(clock);
  const scope = new Scope(clock);
  const make = (): FleetBuckets => fleetBuckets({ redis, replicas: size, aheadRatio: 0.02, ...options });
  const fleet = Array.from({ length: size }, make);
  return { clock, redis, scope, fleet };
}

describe('units ahead', () => {
  it('let a steady caller go without asking', async () => {
    const { clock, redis, scope, fleet } = fleetOf(1, { perSecond: 1_000, burst: 1_000 });
    const buckets = fleet[0] as FleetBuckets;
    let atOnce = 0;
    for (let i = 0; i < 1_000; i++) {
      const verdict = buckets.ask('k', 1, scope);
      if (!(verdict instanceof Promise)) atOnce++;
      expect((await verdict).allowed).toBe(true);
      await clock.advance(1);
    }
    expect(redis.asked).toBeLessThan(250);
    expect(atOnce).toBeGreaterThan(900);
  });

  it('are none where a part of the burst is less than one, where there is no such part, and for who comes once', async () => {
    for (const options of [{ burst: 99 }, { burst: 1_000, aheadRatio: 0 }, { burst: 1_000, replicas: 11 }]) {
      const { redis, scope, fleet } = fleetOf(1, { perSecond: 1, ...options });
      for (let i = 0; i < 50; i++) await fleet[0]?.take('k', 1, scope);
      expect(redis.asked).toBe(50);
      expect(redis.fullAt.get('fairlead:limit:{k}')).toBe(50e6);
    }
    const { redis, scope, fleet } = fleetOf(1, { perSecond: 1, burst: 1_000 });
    for (let i = 0; i < 50; i++) await fleet[0]?.take(`k${i}`, 1, scope);
    expect(Math.max(...redis.fullAt.values())).toBe(1e6);
  });

  it('count as what is there for whoever holds them', async () => {
    const { redis, scope, fleet } = fleetOf(1, { perSecond: 1, burst: 1_000 });
    const left: number[] = [];
    for (let i = 0; i < 20; i++) left.push((await fleet[0]?.take('k', 1, scope))?.remaining ?? -1);
    expect(left).toEqual(Array.from({ length: 20 }, (_, i) => 989 - i));
    expect(redis.asked).toBeLessThan(8);
  });

  it('are kept however long, and never add to the burst', async () => {
    const { clock, scope, fleet } = fleetOf(2, { perSecond: 10, burst: 100, aheadRatio: 1 });
    const [one, other] = fleet as [FleetBuckets, FleetBuckets];
    for (let i = 0; i < 4; i++) await one.take('k', 1, scope);
    await clock.advance(60_000);
    const admitted = [0, 0];
    for (let i = 0; i < 200; i++) {
      for (const [by, buckets] of [other, one].entries()) {
        if ((await buckets.take('k', 1, scope)).allowed) admitted[by] = (admitted[by] as number) + 1;
      }
    }
    // A quarter of the burst is what the other has not taken: it came too late for it.
    expect((admitted[0] as number) + (admitted[1] as number)).toBeGreaterThan(70);
    expect((admitted[0] as number) + (admitted[1] as number)).toBeLessThanOrEqual(100);
  });

  it('are forgotten when Redis goes away, and do not add to the share', async () => {
    const { clock, redis, scope, fleet } = fleetOf(1, { perSecond: 0.001, burst: 100, aheadRatio: 1 });
    const buckets = fleet[0] as FleetBuckets;
    for (let i = 0; i < 20; i++) await buckets.take('k', 1, scope);
    redis.failing = true;
    await buckets.take('other', 1, scope);
    expect(buckets.down).toBe(true);
    let admitted = 0;
    for (let i = 0; i < 200; i++) if ((await buckets.take('k', 1, scope)).allowed) admitted++;
    // The share is the whole limit, as there is one process; what was held is not added to it.
    expect(admitted).toBe(100);
    redis.failing = false;
    await clock.advance(200);
    for (let i = 0; i < 200; i++) if ((await buckets.take('k', 1, scope)).allowed) admitted++;
    expect([admitted, clock.pending]).toEqual([100, 0]);
  });

  it('are not waited for by who is served, nor left behind by who is gone', async () => {
    const { clock, redis, scope, fleet } = fleetOf(1, { perSecond: 1, burst: 1_000, timeoutMs: 30 });
    const buckets = fleet[0] as FleetBuckets;
    for (let i = 0; i < 8; i++) await buckets.take('k', 1, scope);
    redis.delayMs = () => 1_000;
    while (!(buckets.ask('k', 1, scope) instanceof Promise));
    await clock.advance(30);
    expect(buckets.down).toBe(true);
    await clock.advance(5_000);
    expect(clock.pending).toBe(0);
  });

  const request = fc.record({
    by: fc.integer({ min: 0, max: 4 }),
    gap: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 20 }), fc.integer({ min: 0, max: 2_000 })),
    many: fc.integer({ min: 1, max: 60 }),
    atOnce: fc.boolean(),
  });
  const [perSecond, burst, aheadRatio] = [50, 100, 0.4];
  const plan = [fc.array(request, { maxLength: 60 }), fc.integer({ min: 0, max: 9 }), fc.boolean()] as const;

  it('never let through more than the burst and the rate, and hardly less, whoever asks when', {
    timeout: 30_000,
  }, async () => {
    await fc.assert(
      fc.asyncProperty(...plan, async (requests, delay, back) => {
        const { clock, redis, scope, fleet } = fleetOf(5, { perSecond, burst, aheadRatio, timeoutMs: 1_000 });
        redis.delayMs = () => Math.floor(clock.random() * delay);
        const admissions: number[] = [];
        let [ideal, last, given] = [burst, 0, 0];
        const one = async (buckets: FleetBuckets, i: number): Promise<void> => {
          const since = clock.now();
          ideal = Math.min(burst, ideal + ((since - last) * perSecond) / 1000);
          last = since;
          if (ideal >= 1) {
            ideal--;
            given++;
          }
          if (!(await buckets.take('k', 1, scope)).allowed) return;
          if (back && i % 2 === 1) buckets.giveBack('k', since, 1);
          else admissions.push(clock.now());
        };
        for (const { by, gap, many, atOnce } of requests) {
          await clock.advance(gap);
          const each = Array.from({ length: many }, (_, i) => i);
          if (atOnce) await clock.run(Promise.all(each.map((i) => one(fleet[by] as FleetBuckets, i))));
          else for (const i of each) await clock.run(one(fleet[by] as FleetBuckets, i));
        }
        // An answer is on its way for a while, and units flow in meanwhile.
        const late = (2 * delay * perSecond) / 1000;
        expect(mostOver(admissions, perSecond)).toBeLessThanOrEqual(burst + late + 1e-6);
        const bursts = 1 + (clock.now() * perSecond) / 1000 / burst;
        if (!back) expect(admissions.length).toBeGreaterThanOrEqual(given - aheadRatio * burst * bursts - late - 1);
      }),
      { numRuns: 100 },
    );
  });
});

describe('a refusal', () => {
  it('is repeated without asking until there can be enough', async () => {
    const { clock, redis, scope, fleet } = fleetOf(1, { perSecond: 10, burst: 2 });
    const buckets = fleet[0] as FleetBuckets;
    const take = (cost = 1) => buckets.take('k', cost, scope);
    for (let i = 0; i < 2; i++) expect((await take()).allowed).toBe(true);
    expect(redis.asked).toBe(2);
    const refusal = { allowed: false, limit: 2, remaining: 0, resetMs: 100, retryAfterMs: 100, shared: true };
    expect(buckets.ask('k', 1, scope)).toEqual(refusal);
    await clock.advance(99);
    expect((await take()).retryAfterMs).toBeCloseTo(1, 6);
    expect(redis.asked).toBe(2);
    await clock.advance(1);
    expect([(await take()).allowed, redis.asked]).toEqual([true, 3]);
  });

  it('is asked about again within a second, however long it may last', async () => {
    const { clock, redis, scope, fleet } = fleetOf(1, { perSecond: 0.001, burst: 1 });
    const buckets = fleet[0] as FleetBuckets;
    await buckets.take('k', 1, scope);
    redis.fullAt.clear();
    await clock.advance(999);
    expect((await buckets.take('k', 1, scope)).allowed).toBe(false);
    await clock.advance(1);
    expect((await buckets.take('k', 1, scope)).allowed).toBe(true);
  });

  it('is known from a question that was answered late, and no longer than it holds', async () => {
    const { clock, redis, scope, fleet } = fleetOf(1, { perSecond: 10, burst: 2, timeoutMs: 1_000 });
    const buckets = fleet[0] as FleetBuckets;
    redis.delayMs = () => 40;
    await clock.run(buckets.take('k', 2, scope));
    // 80 ms after the question, 40 after the server has decided: from here it can only be said that 80 ms have passed.
    const refusal = await buckets.ask('k', 1, scope);
    expect([refusal.allowed, Math.round(refusal.retryAfterMs), redis.asked]).toEqual([false, 20, 1]);
  });
});

describe('units that are given back', () => {
  it('are there for the next request', async () => {
    const { clock, redis, scope, fleet } = fleetOf(1, { perSecond: 0.001, burst: 3 });
    const buckets = fleet[0] as FleetBuckets;
    for (let i = 0; i < 100; i++) {
      expect((await buckets.take('k', 1, scope)).allowed).toBe(true);
      buckets.giveBack('k', clock.now(), 1);
    }
    expect(redis.asked).toBe(1);
    expect(await buckets.take('k', 1, scope)).toMatchObject({ allowed: true, remaining: 2 });
  });

  it('are dropped for a key that nothing is known of', async () => {
    const { redis, scope, fleet } = fleetOf(1, { perSecond: 1, burst: 1 });
    fleet[0]?.giveBack('k', 0, 1);
    for (let i = 0; i < 2; i++) await fleet[0]?.take('k', 1, scope);
    expect(redis.asked).toBe(1);
  });
});

describe('Ahead', () => {
  it('remembers at most maxKeys', () => {
    const ahead = new Ahead(10, 10, 0.01, 100);
    const heard = { allowed: true, debt: 1, ahead: 0 };
    for (let i = 0; i < 10_000; i++) ahead.heard(`k${i}`, 0, 0, ahead.division(1), 0, heard);
    expect(ahead.size).toBe(100);
  });
});
