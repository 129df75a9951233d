// Would catch: a fleet that cannot share its pace through a cluster, since keys are in several slots, scripts are missing on a
// node, the time is that of another node, or a slot has moved; one that waits for a node that is gone, goes faster than its
// pace meanwhile, or does not find the replica that has taken over.
import { createCall, createReply, type Runtime, sleep, systemClock } from '@fairlead/core';
import { Cluster as Cluster5 } from 'ioredis5';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { RedisCluster } from '../../tests/redis-cluster.js';
import { type RedisServer, redisInstalled } from '../../tests/redis-server.js';
import { pace } from './pace.js';
import { type FleetPace, fleetPace, type PaceRedis } from './pace-fleet.js';

const KEY = 'b_{fairlead:pace:bank}_settings';

// Real time, as with a single server.
describe.skipIf(!redisInstalled('pace-fleet-cluster.test.ts'))('fleetPace and a cluster', { timeout: 30_000 }, () => {
  const cluster = new RedisCluster();
  const limiters: FleetPace[] = [];
  const runtime: Runtime = { clock: systemClock };
  let times: number[] = [];

  beforeAll(() => cluster.start(), 30_000);
  beforeEach(async () => {
    times = [];
    for (const { client } of cluster.servers) await client.flushall();
  });
  afterEach(() => {
    for (const limiter of limiters.splice(0)) limiter.close();
  });
  afterAll(() => cluster.close(), 20_000);

  async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
    while (!(await holds())) await sleep(systemClock, 5);
  }

  function member(perSecond: number, redis: PaceRedis = cluster.client) {
    const limiter = fleetPace({ redis, name: 'bank' });
    limiters.push(limiter);
    const layer = pace({ perSecond, limiter });
    const send = () =>
      layer(createCall({ service: 'bank', runtime }), async () => {
        times.push(systemClock.now());
        return createReply({ at: systemClock.now() });
      });
    return { limiter, send };
  }

  /** Two that both send `each` calls, which have begun. */
  async function fleet(perSecond: number, each: number) {
    const [a, b] = [member(perSecond), member(perSecond)];
    await a.send();
    await b.send();
    const all = Promise.all(Array.from({ length: each }, () => [a.send(), b.send()]).flat());
    await sleep(systemClock, 200);
    const down = () => [a.limiter.down, b.limiter.down];
    return { a, b, all, down };
  }

  function mean(): number {
    const sorted = times.toSorted((a, b) => a - b);
    return ((sorted.length - 1) * 1_000) / ((sorted.at(-1) as number) - (sorted[0] as number));
  }

  it('lets two share one pace, with all of its keys on one node, and leaves when it is closed', async () => {
    // Each node has a connection of this client, from now on.
    await Promise.all(cluster.client.nodes('master').map((node) => node.ping()));
    const connections = () => Promise.all(cluster.servers.map((server) => server.connections()));
    const before = await connections();
    const { all, down } = await fleet(100, 40);
    await all;
    expect(mean()).toBeLessThan(103);
    expect(down()).toEqual([false, false]);
    const kept = await Promise.all(cluster.servers.map(({ client }) => client.dbsize()));
    expect(kept.filter((keys) => keys > 0).length).toBe(1);
    for (const limiter of limiters) limiter.close();
    await until(async () => (await cluster.client.zcard('b_{fairlead:pace:bank}_members')) === 0);
    await until(async () => String(await connections()) === String(before));
  });

  it('is shared by members with ioredis 5 and 6', async () => {
    const five = new Cluster5([{ port: (cluster.servers[0] as RedisServer).port, host: '127.0.0.1' }]);
    const [a, b] = [member(100, five), member(100)];
    await a.send();
    await b.send();
    await Promise.all(Array.from({ length: 30 }, () => [a.send(), b.send()]).flat());
    five.disconnect();
    expect(mean()).toBeLessThan(103);
    expect([a.limiter.down, b.limiter.down]).toEqual([false, false]);
  });

  it('goes on when the nodes have forgotten its scripts', async () => {
    const { all, down } = await fleet(100, 30);
    for (const { client } of cluster.servers) await client.script('FLUSH');
    await all;
    expect(mean()).toBeLessThan(103);
    expect(down()).toEqual([false, false]);
  });

  it('follows its slot to another node', async () => {
    const { all, down } = await fleet(50, 50);
    const before = await cluster.masterOf(KEY);
    await cluster.move(KEY);
    expect(await cluster.masterOf(KEY)).not.toBe(before);
    await all;
    expect(mean()).toBeLessThan(53);
    await until(() => !down().includes(true));
    expect(await before.client.dbsize()).toBe(0);
  });

  it('goes at its shares when its node is killed, and finds the replica that has taken over', async () => {
    const master = await cluster.masterOf(KEY);
    const replica = await cluster.replicate(master);
    const { a, b, all, down } = await fleet(50, 100);
    await master.kill();
    await until(() => a.limiter.down && b.limiter.down);
    const before = times.length;
    await sleep(systemClock, 500);
    expect(times.length - before).toBeGreaterThan(5);
    await all;
    expect(mean()).toBeLessThan(53);
    await until(async () => {
      await Promise.all([a.send(), b.send()]);
      return !down().includes(true);
    });
    expect(Number(await replica.client.exists(KEY))).toBe(1);
  });
});
