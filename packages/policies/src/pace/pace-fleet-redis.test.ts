// Would catch: a fleet that goes faster than its pace, also while some have found Redis again and others have not; one that
// does not go at all; a call that waits for a Redis that is down, frozen or
// just back; a Redis that has forgotten, a clock that is wrong, a partner who is heard by one process only; connections that
// stay, and processes that do not end.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { createCall, createReply, errorCode, type Runtime, sleep, systemClock } from '@fairlead/core';
import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { bundle } from '../../tests/bundle.js';
import { RedisServer, redisInstalled } from '../../tests/redis-server.js';
import { pace } from './pace.js';
import { type FleetPace, fleetPace, type PaceRedis } from './pace-fleet.js';

// Real time, since bottleneck and the server have it. A slow machine can only be late: what goes too fast is looked at
// closely, what goes slowly is not.
describe.skipIf(!redisInstalled('pace-fleet-redis.test.ts'))('fleetPace and a real server', { timeout: 30_000 }, () => {
  const server = new RedisServer();
  const limiters: FleetPace[] = [];
  const events: { type: string }[] = [];
  const runtime: Runtime = { clock: systemClock, on: (event) => events.push(event) };
  const settings = 'b_{fairlead:pace:bank}_settings';
  const members = 'b_{fairlead:pace:bank}_members';
  let times: number[] = [];

  beforeAll(() => server.start(), 20_000);
  beforeEach(async () => {
    times = [];
    events.length = 0;
    await server.client.flushall();
  });
  afterEach(async () => {
    vi.restoreAllMocks();
    for (const limiter of limiters.splice(0)) limiter.close();
    await until(async () => (await server.connections()) === 0);
  });
  afterAll(() => server.close());

  async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
    while (!(await holds())) await sleep(systemClock, 5);
  }

  /** The way of one member to the server. */
  const road = (name: string) => {
    const way = {
      blocked: false,
      duplicate: (options: object): Redis =>
        way.blocked
          ? new Redis({ port: 1, host: '127.0.0.1', ...options })
          : server.client.duplicate({ connectionName: name, ...options }),
      /** Cuts the connections that there are. */
      async cut(): Promise<void> {
        way.blocked = true;
        const clients = String(await server.client.call('CLIENT', 'LIST')).split('\n');
        for (const client of clients) {
          if (client.includes(`name=${name} `)) {
            await server.client.call('CLIENT', 'KILL', 'ID', String(/id=(\d+)/.exec(client)?.[1]));
          }
        }
      },
    };
    return way;
  };

  function member(perSecond: number, status = 200, redis: PaceRedis = server.client) {
    const limiter = fleetPace({ redis, name: 'bank', timeoutMs: 300 });
    limiters.push(limiter);
    const layer = pace({ perSecond, limiter });
    // A test that fails leaves calls behind, which are none of the next one.
    const sent = times;
    const send = async (ms = 0): Promise<unknown> => {
      const call = createCall({ service: 'bank', runtime });
      if (ms > 0) call.scope.expireAt(systemClock.now() + ms, 'call', ms);
      try {
        await layer(call, async () => {
          sent.push(systemClock.now());
          return createReply({ status, headers: { 'retry-after': '1' }, at: systemClock.now() });
        });
        return null;
      } catch (error) {
        return error;
      } finally {
        call.scope.close();
      }
    };
    return { limiter, send };
  }

  /** The pace between the first and the last of `sorted`, and the most that went within any second, per second. */
  function paceOf(sent: readonly number[]): { mean: number; most: number } {
    const sorted = [...sent].sort((a, b) => a - b);
    const ms = (sorted.at(-1) as number) - (sorted[0] as number);
    const most = Math.max(...sorted.map((from) => sorted.filter((at) => at >= from && at < from + 1_000).length));
    return { mean: ((sorted.length - 1) * 1_000) / ms, most };
  }

  it('lets two share one pace', async () => {
    const [a, b] = [member(100), member(100)];
    await Promise.all(Array.from({ length: 60 }, () => [a.send(), b.send()]).flat());
    expect(times.length).toBe(120);
    expect(paceOf(times).mean).toBeLessThan(103);
    expect([a.limiter.down, b.limiter.down]).toEqual([false, false]);
  });

  it('stays at its pace while the server is killed and comes back empty, and nobody waits for it', async () => {
    const [a, b] = [member(50), member(50)];
    await a.send();
    await b.send();
    const all = Promise.all(Array.from({ length: 60 }, () => [a.send(), b.send()]).flat());
    await sleep(systemClock, 400);
    await server.kill();
    await until(() => a.limiter.down && b.limiter.down);
    const before = times.length;
    await sleep(systemClock, 700);
    expect(times.length - before).toBeGreaterThan(10);
    await server.start();
    expect((await all).every((error) => error === null)).toBe(true);
    const { mean, most } = paceOf(times);
    expect(mean).toBeLessThan(53);
    // What the two of them had asked for when it went, they may have again.
    expect(most).toBeLessThanOrEqual(50 + 8 + 1);
    // Whoever has a call finds the server again.
    await until(async () => {
      await Promise.all([a.send(), b.send()]);
      return !a.limiter.down && !b.limiter.down;
    });
  });

  it('does not give the whole pace to the first that is back, while others still go at their shares', async () => {
    const way = road('late');
    const [a, b] = [member(50), member(50, 200, way)];
    await a.send();
    await b.send();
    // As many as last until `b` has found Redis again: who has nothing to send does not look for it.
    const all = Promise.all(Array.from({ length: 110 }, () => [a.send(), b.send()]).flat());
    await sleep(systemClock, 200);
    way.blocked = true;
    await server.kill();
    await until(() => a.limiter.down && b.limiter.down);
    await server.start();
    // `a` is there now, and nobody else.
    await until(async () => (await server.client.zcard(members)) === 1);
    const [from, before] = [systemClock.now(), times.length];
    await sleep(systemClock, 1_000);
    expect(times.length - before).toBeLessThanOrEqual(((systemClock.now() - from) * 50) / 1_000 + 2);
    // One that was never there has no share to go by.
    const c = member(50);
    const first = c.send();
    await until(async () => (await server.client.zcard(members)) === 2);
    expect(c.limiter.down).toBe(false);
    way.blocked = false;
    await until(() => !a.limiter.down && !b.limiter.down);
    expect(await first).toBeNull();
    await all;
    expect(paceOf(times).mean).toBeLessThan(53);
  });

  it('waits for those who do not come back for a few seconds only', async () => {
    const way = road('gone');
    const [a, b] = [member(50), member(50, 200, way)];
    await a.send();
    await b.send();
    way.blocked = true;
    await server.kill();
    await until(() => a.limiter.down && b.limiter.down);
    await server.start();
    const from = systemClock.now();
    await until(async () => {
      await a.send();
      return !a.limiter.down;
    });
    // Two seconds, and four times what Redis may take.
    expect(systemClock.now() - from).toBeGreaterThan(3_000);
  });

  it('takes out of the pace what one has sent that was cut off alone', async () => {
    const way = road('alone');
    const [a, b] = [member(50), member(50, 200, way)];
    await a.send();
    await b.send();
    const all = Promise.all(Array.from({ length: 100 }, () => [a.send(), b.send()]).flat());
    await sleep(systemClock, 200);
    await way.cut();
    await until(() => b.limiter.down);
    await sleep(systemClock, 1_600);
    expect([a.limiter.down, b.limiter.down]).toEqual([false, true]);
    const beside = times.length;
    way.blocked = false;
    await until(() => !b.limiter.down);
    await all;
    expect(times.length).toBeGreaterThan(beside + 30);
    expect(paceOf(times).mean).toBeLessThan(53);
  });

  it('stays at its pace while the server is frozen, and after', async () => {
    const [a, b] = [member(50), member(50)];
    await a.send();
    await b.send();
    const all = Promise.all(Array.from({ length: 60 }, () => [a.send(), b.send()]).flat());
    await sleep(systemClock, 200);
    server.freeze();
    await until(() => a.limiter.down && b.limiter.down);
    await sleep(systemClock, 600);
    server.thaw();
    await until(() => !a.limiter.down && !b.limiter.down);
    await all;
    const { mean, most } = paceOf(times);
    expect(mean).toBeLessThan(53);
    expect(most).toBeLessThanOrEqual(50 + 8 + 1);
  });

  it('gets over turns that were given for a time long after, as by a clock that was set back', async () => {
    const a = member(50);
    await a.send();
    const [seconds] = await server.client.time();
    await server.client.hset(settings, 'nextRequest', (Number(seconds) + 3_600) * 1_000);
    expect(await a.send(10_000)).toBeNull();
    expect(a.limiter.down).toBe(true);
    await until(async () => {
      await a.send();
      return !a.limiter.down;
    });
    expect(await a.send(1_000)).toBeNull();
  });

  it('keeps the pace that was learned, when one that has not learned it comes back', async () => {
    const way = road('back');
    const [a, b] = [member(50, 429), member(50, 200, way)];
    await b.send();
    await a.send();
    await until(async () => (await server.client.hget(settings, 'minTime')) === '40');
    await way.cut();
    await until(() => b.limiter.down);
    way.blocked = false;
    await until(async () => {
      await b.send();
      return !b.limiter.down;
    });
    expect(await server.client.hget(settings, 'minTime')).toBe('40');
  });

  it('counts who is there, and not who has left', async () => {
    const [a, b, c] = [member(50), member(50), member(50)];
    for (const each of [a, b, c]) await each.send();
    expect(await server.client.zcard(members)).toBe(3);
    c.limiter.close();
    await until(async () => (await server.client.zcard(members)) === 2);
  });

  it('waits neither for a server that is frozen, nor for one that never says a word', async () => {
    const a = member(50);
    await a.send();
    server.freeze();
    const frozen = systemClock.now();
    expect(await Promise.all(Array.from({ length: 10 }, () => a.send()))).toEqual(
      Array.from({ length: 10 }, () => null),
    );
    const late = member(50);
    expect(await late.send()).toBeNull();
    expect(systemClock.now() - frozen).toBeLessThan(5_000);
    expect([a.limiter.down, late.limiter.down]).toEqual([true, true]);
    server.thaw();
    await until(async () => {
      await Promise.all([a.send(), late.send()]);
      return !a.limiter.down && !late.limiter.down;
    });
  });

  it('goes on when the server has forgotten everything, without anybody noticing', async () => {
    const [a, b] = [member(100), member(100)];
    const all = Promise.all(Array.from({ length: 40 }, () => [a.send(), b.send()]).flat());
    await sleep(systemClock, 200);
    await server.client.flushall();
    expect((await all).every((error) => error === null)).toBe(true);
    expect([a.limiter.down, b.limiter.down]).toEqual([false, false]);
    // It has forgotten the turns that were given to two processes and not used yet, some four each.
    const [first, last] = [Math.min(...times), Math.max(...times)];
    expect(times.length).toBeLessThanOrEqual(((last - first) * 100) / 1_000 + 12);
  });

  it('is not held up by a process whose wall clock is an hour ahead', async () => {
    const [a, b] = [member(50), member(50)];
    await a.send();
    const spy = vi.spyOn(Date, 'now').mockReturnValue(systemClock.wall() + 3_600_000);
    for (let i = 0; i < 5; i++) await b.send();
    spy.mockRestore();
    expect(await a.send(5_000)).toBeNull();
  });

  it('refuses or gives up what would come too late, and takes what is canceled out at once', async () => {
    const a = member(5);
    await a.send();
    const first = Array.from({ length: 10 }, () => a.send());
    expect(errorCode(await a.send(1_000))).toBe('ERR_REJECTED');
    const b = member(5);
    // Its own queue is empty, so that it is not refused; the turns are the others'.
    expect(errorCode(await b.send(150))).toBe('ERR_TIMEOUT');
    a.limiter.close();
    b.limiter.close();
    await Promise.all(first);
  });

  it('hears what the partner has told another process', async () => {
    const [a, b] = [member(50, 429), member(50)];
    await b.send();
    await a.send();
    expect(events).toMatchObject([{ type: 'pace.changed', perSecond: 25, holdMs: expect.closeTo(1_000, 3) }]);
    // What was said reaches the others a moment later.
    await sleep(systemClock, 100);
    await b.send();
    expect((times[2] as number) - (times[1] as number)).toBeGreaterThan(950);
    expect(await server.client.hget(settings, 'minTime')).toBe('40');
  });

  it('goes at the pace of a deployment that changes it, though Redis knows an older one', async () => {
    await member(1).send();
    const fast = member(100);
    await Promise.all(Array.from({ length: 20 }, () => fast.send()));
    expect((times.at(-1) as number) - (times[1] as number)).toBeLessThan(3_000);
    expect(await server.client.hget(settings, 'minTime')).toBe('10');
  });

  it('leaves nothing in Redis for ever', async () => {
    await member(100).send();
    for (const key of await server.client.keys('*'))
      expect([key, (await server.client.pttl(key)) > 0]).toEqual([key, true]);
  });

  it('is shared by processes, which end by themselves when it is closed', async () => {
    const { script, remove } = await bundle('pace-process');
    try {
      const output: string[] = [];
      const children = [1, 2].map(() => fork(script, [String(server.port), '30', '50'], { silent: true }));
      const text = () => output.join('');
      for (const child of children) {
        child.stdout?.on('data', (chunk: Buffer) => output.push(chunk.toString()));
        child.stderr?.on('data', (chunk: Buffer) => output.push(chunk.toString()));
      }
      await until(() => text().split('ready').length === 3);
      output.length = 0;
      const ends = children.map((child) => once(child, 'exit'));
      for (const child of children) child.send('go');
      expect(await Promise.all(ends)).toEqual([
        [0, null],
        [0, null],
      ]);
      const sent = [...text().matchAll(/sent ([\d.]+)/g)].map((match) => Number(match[1]));
      expect(sent.length).toBe(60);
      expect(paceOf(sent).mean).toBeLessThan(53);
    } finally {
      await remove();
    }
  });
});
