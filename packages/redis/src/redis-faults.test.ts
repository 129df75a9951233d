/**
 * Would catch: what only a real redis-server and a real client show. A fleet that is granted more or less than its limit,
 * a frozen or killed server that is waited for, a restarted one that does not know the script, an outage that ends in a
 * second burst.
 */
import { Scope } from '@fairlead/core';
import { VirtualClock } from '@fairlead/testing';
import type { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { RedisServer, redisInstalled } from '../tests/redis-server.js';
import { type FleetBuckets, fleetBuckets } from './fleet-buckets.js';

// Time is virtual, so no timeout hits a slow machine and no test waits for one; the server has its own, real time.
describe.skipIf(!redisInstalled('redis-faults.test.ts'))('a fleet and a real server', { timeout: 20_000 }, () => {
  const server = new RedisServer();
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
    const limit = { perSecond: 2_000, burst: 100 };
    const fleet = [fleetBuckets({ redis, ...limit }), fleetBuckets({ redis: other, ...limit })];
    // Refusals are repeated for as long as they are sure, which is a matter of the time that the server has.
    const burst = async (_: unknown, each: number): Promise<number> => {
      const takes = fleet.flatMap((buckets) => Array.from({ length: each }, () => buckets.take('k')));
      return (await Promise.all(takes)).filter(({ allowed }) => allowed).length;
    };
    const before = await serverUs();
    let granted = await burst(fleet, 100);
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

  it('works with a cluster', async () => {
    const node = new RedisServer(true);
    try {
      await node.start();
      const cluster = await node.clusterClient();
      const buckets = fleetBuckets({ redis: cluster, perSecond: 0.001, burst: 2 });
      const verdicts = await Promise.all(['a', 'a', 'a', 'b}{c', ''].map((key) => take(buckets, key)));
      expect(verdicts.map(({ allowed }) => allowed)).toEqual([true, true, false, true, true]);
      expect(verdicts.every(({ shared }) => shared)).toBe(true);
    } finally {
      await node.close();
    }
  });

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
