/**
 * Would catch: what only a real redis-server and a real client show. A fleet that is granted more or less than its limit,
 * a frozen or killed server that is waited for, a restarted one that does not know the script, an outage that ends in a
 * second burst.
 */
import { Scope, sleep, systemClock } from '@fairlead/core';
import { VirtualClock } from '@fairlead/testing';
import type { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { RedisServer, serversInstalled } from '../tests/redis-server.js';
import { type FleetBuckets, fleetBuckets } from './fleet-buckets.js';

// Time is virtual, so no timeout hits a slow machine and no test waits for one; the server has its own, real time.
describe.each(serversInstalled('redis-faults.test.ts'))('a fleet and a real %s', { timeout: 20_000 }, (binary) => {
  const server = new RedisServer(false, binary);
  let redis: Redis;
  let other: Redis;
  let clock: VirtualClock;
  let scope: Scope;

  beforeAll(() => server.start(), 20_000);
  beforeEach(async () => {
    clock = new VirtualClock();
    scope = new Scope(clock);
    [redis, other] = [await server.client(), await server.client()];
    await redis.flushall();
  });
  afterEach(() => expect([clock.pending, scope.busy]).toEqual([0, false]));
  afterAll(() => server.close());

  const take = (buckets: FleetBuckets, key = 'k') => buckets.take(key, 1, scope);
  const burst = async (fleet: readonly FleetBuckets[], each: number): Promise<number> => {
    const takes = fleet.flatMap((buckets) => Array.from({ length: each }, () => take(buckets)));
    return (await Promise.all(takes)).filter(({ allowed }) => allowed).length;
  };
  const serverUs = async (): Promise<number> => {
    const [seconds, us] = await redis.time();
    return Number(seconds) * 1e6 + Number(us);
  };

  it('is granted the burst and the rate by the server’s clock, whoever asks', async () => {
    const limit = { perSecond: 400, burst: 200 };
    // Nobody is to take a slow machine for a slow Redis.
    const patient = { ...limit, timeoutMs: 10_000 };
    const fleet = [fleetBuckets({ redis, ...patient }), fleetBuckets({ redis: other, ...patient })];
    // Refusals are repeated for as long as they are sure, which is a matter of the time that the server has.
    const burst = async (_: unknown, each: number): Promise<number> => {
      const takes = fleet.flatMap((buckets) => Array.from({ length: each }, () => buckets.take('k')));
      return (await Promise.all(takes)).filter(({ allowed }) => allowed).length;
    };
    const before = await serverUs();
    let granted = await burst(fleet, 200);
    const started = await serverUs();
    let asked = started;
    // Far more is asked for than granted, all the time: no pause is as long as a burst lasts.
    while (asked - started < 250_000) {
      granted += await burst(fleet, 50);
      asked = await serverUs();
    }
    granted += await burst(fleet, 50);
    const after = await serverUs();
    const flow = (us: number): number => (us * limit.perSecond) / 1e6;
    expect(granted).toBeLessThanOrEqual(limit.burst + flow(after - before) + 1);
    expect(granted).toBeGreaterThanOrEqual(limit.burst + flow(asked - started) - 1);
    expect(fleet.map(({ down }) => down)).toEqual([false, false]);
  });

  it('never exceeds the burst, however many ask at once, and keys do not mix', async () => {
    const fleet = [redis, other, redis].map((client) => fleetBuckets({ redis: client, perSecond: 0.001, burst: 50 }));
    expect(await burst(fleet, 200)).toBe(50);
    expect((await take(fleet[0] as FleetBuckets, 'another key')).remaining).toBe(49);
    expect(await redis.keys('*')).toEqual(
      expect.arrayContaining(['fairlead:limit:{k}', 'fairlead:limit:{another key}']),
    );
  });

  it('is not held up by a frozen server, and told about it when that goes on', async () => {
    const buckets = fleetBuckets({ redis, perSecond: 0.001, burst: 4, timeoutMs: 30, replicas: 2 });
    expect(await take(buckets)).toMatchObject({ allowed: true, remaining: 3, shared: true });
    server.freeze();
    const frozen = Promise.all([take(buckets), take(buckets), take(buckets)]);
    await clock.advance(30);
    expect((await frozen).map(({ allowed, shared }) => [allowed, shared])).toEqual([
      [true, false],
      [true, false],
      [false, false],
    ]);
    expect([buckets.down, (await take(buckets)).shared]).toEqual([true, false]);
    server.thaw();
    await clock.advance(100);
    // Its answers to the three came too late, and the units that they took stay taken.
    expect(await take(buckets)).toMatchObject({ allowed: false, remaining: 0, shared: true });
    expect(buckets.down).toBe(false);
  });

  it('goes on through a kill and a restart, without a second burst', async () => {
    const limit = { perSecond: 0.001, burst: 4, replicas: 2 };
    const failFast = await server.client({ enableOfflineQueue: false });
    const fleet = [fleetBuckets({ redis: failFast, ...limit }), fleetBuckets({ redis: other, ...limit })];
    for (const buckets of fleet) await buckets.take('k', 0, scope);
    await server.kill();
    const down = burst(fleet, 10);
    await clock.advance(50);
    expect(await down).toBe(4);
    expect(fleet.map((buckets) => buckets.down)).toEqual([true, true]);
    // One probe into the void, which the client that queues keeps for later.
    await clock.advance(100);
    const probes = burst(fleet, 1);
    await clock.advance(50);
    expect(await probes).toBe(0);

    await server.start();
    await Promise.all([failFast, other].map((client) => reconnected(client)));
    await clock.advance(200);
    // The server is new: it knows neither the script nor the bucket.
    expect(await burst(fleet, 3)).toBe(0);
    expect(fleet.map((buckets) => buckets.down)).toEqual([false, false]);
    expect(await redis.exists('fairlead:limit:{k}')).toBe(1);
  });

  it('reloads a script that was flushed, and leaves a key of another type alone', async () => {
    const buckets = fleetBuckets({ redis, perSecond: 1, burst: 4 });
    await take(buckets);
    await redis.script('FLUSH');
    expect(await take(buckets)).toMatchObject({ allowed: true, shared: true });
    await redis.lpush('fairlead:limit:{list}', 'mine');
    expect(await take(buckets, 'list')).toMatchObject({ allowed: true, shared: false });
    expect([await redis.llen('fairlead:limit:{list}'), buckets.down]).toEqual([1, false]);
  });

  it('works with a cluster of three, and goes on when one node is gone', async () => {
    const nodes = [0, 1, 2].map(() => new RedisServer(true, binary));
    try {
      await Promise.all(nodes.map((node) => node.start()));
      const [first, ...others] = nodes as [RedisServer, RedisServer, RedisServer];
      const cluster = await first.clusterClient(others);
      const buckets = fleetBuckets({ redis: cluster, perSecond: 0.001, burst: 100, aheadRatio: 0.2, timeoutMs: 5_000 });
      const keys = [...Array.from({ length: 30 }, (_, i) => `caller ${i}`), 'b}{c', ''];
      for (const key of keys) {
        let granted = 0;
        for (let i = 0; i < 150; i++) if ((await take(buckets, key)).allowed) granted++;
        expect([key, granted >= 80 && granted <= 100]).toEqual([key, true]);
      }
      const kept = await Promise.all(nodes.map(async (node) => Number(await (await node.client()).dbsize())));
      expect(Math.min(...kept)).toBeGreaterThan(0);
      expect(kept.reduce((sum, count) => sum + count, 0)).toBe(keys.length);
      await others[0]?.kill();
      const verdicts = keys.map((key) => take(buckets, `${key} again`));
      await clock.advance(5_000);
      expect((await Promise.all(verdicts)).every(({ allowed }) => allowed)).toBe(true);
    } finally {
      await Promise.all(nodes.map((node) => node.close()));
    }
  });

  it.each([0, 0.1])(
    'is frozen, killed and restarted under load: nobody waits, and it ends without a burst (ahead %d)',
    async (aheadRatio) => {
      const limit = { perSecond: 200, burst: 100, replicas: 3, timeoutMs: 100, aheadRatio };
      const clients = await Promise.all([0, 1, 2].map(() => server.client({ enableOfflineQueue: false })));
      const fleet = clients.map((client) => fleetBuckets({ redis: client, ...limit }));
      const real = systemClock;
      const started = real.now();
      const admitted: { at: number; shared: boolean }[] = [];
      let [longestMs, over] = [0, false];
      const load = async (buckets: FleetBuckets): Promise<void> => {
        while (!over) {
          const before = real.now();
          const { allowed, shared } = await buckets.take('loaded');
          longestMs = Math.max(longestMs, real.now() - before);
          if (allowed) admitted.push({ at: real.now(), shared });
          await sleep(real, 1);
        }
      };
      const loads = fleet.flatMap((buckets) => [1, 2, 3, 4].map(() => load(buckets)));
      await sleep(real, 200);
      server.freeze();
      await sleep(real, 200);
      server.thaw();
      await sleep(real, 400);
      await server.kill();
      await sleep(real, 200);
      await server.start();
      await Promise.all(clients.map((client) => reconnected(client)));
      while (fleet.some(({ down }) => down)) await sleep(real, 10);
      const back = real.now();
      await sleep(real, 400);
      over = true;
      await Promise.all(loads);
      const end = real.now();
      const flow = (ms: number): number => (ms * limit.perSecond) / 1000;
      // The burst of the fleet, and that of the shares, which begin full and were nearly so again by the second outage.
      // Until the last process knows that Redis is back, shares are granted beside what the fleet's bucket grants.
      expect(admitted.length).toBeLessThanOrEqual(3 * limit.burst + 2 * flow(end - started) + 12);
      // What Redis grants after its return; a machine that is too busy to answer in time is an outage of its own.
      const granted = admitted.filter(({ at, shared }) => at > back && shared).length;
      expect(granted).toBeLessThanOrEqual(flow(end - back) + limit.burst / 2);
      expect(granted).toBeGreaterThan(0);
      expect(longestMs).toBeLessThan(600);
    },
  );

  it('goes without a server that answers and refuses', async () => {
    const buckets = fleetBuckets({ redis, perSecond: 1, burst: 4, onDown: 'closed' });
    await redis.config('SET', 'requirepass', 'secret');
    try {
      const stranger = await server.client({ password: 'secret', username: 'default' });
      await stranger.acl('SETUSER', 'default', '-@scripting');
      expect(await take(buckets)).toMatchObject({ allowed: false, shared: false });
      await stranger.acl('SETUSER', 'default', '+@scripting');
      await clock.advance(100);
      expect(await take(buckets)).toMatchObject({ allowed: true, shared: true });
    } finally {
      await redis.config('SET', 'requirepass', '');
    }
  });
});

async function reconnected(client: Redis): Promise<void> {
  if (client.status === 'ready') return;
  await new Promise<void>((resolve) => client.once('ready', resolve));
}
