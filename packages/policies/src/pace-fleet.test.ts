// Would catch: a fleet that goes faster than its pace, or not at all; a call that waits for a Redis that is down, frozen or
// just back; processes that go at the full pace each while it is away, or all at once; a Redis that has forgotten, a clock
// that is wrong, a partner who is heard by one process only; connections and timers that stay; a password in an error.
import { fork } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { ConfigError, createCall, createReply, errorCode, type Runtime, sleep, systemClock } from '@fairlead/core';
import { callTo, checkLeaks, reply, scripted, VirtualClock } from '@fairlead/testing';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { bundle } from '../tests/bundle.js';
import { RedisServer, redisInstalled } from '../tests/redis-server.js';
import { pace } from './pace.js';
import { type FleetPace, type FleetPaceOptions, fleetPace } from './pace-fleet.js';

/** A server that takes connections and says nothing, or refuses them. */
class Silence extends EventEmitter {
  status = 'connecting';
  made = 0;
  gone = 0;
  constructor(readonly refuses: boolean) {
    super();
  }
  duplicate(): Silence {
    this.made++;
    const made = new Silence(this.refuses);
    made.duplicate = () => this.duplicate();
    made.disconnect = () => {
      this.gone++;
    };
    if (this.refuses) queueMicrotask(() => made.emit('close'));
    return made;
  }
  disconnect(): void {}
}

describe('fleetPace without Redis', () => {
  function rig(options: Partial<FleetPaceOptions> = {}, refuses = false) {
    const clock = new VirtualClock();
    const redis = new Silence(refuses);
    const limiter = fleetPace({ redis, name: 'bank', ...options });
    const backend = scripted(reply());
    const layer = pace({ perSecond: 10, limiter });
    const send = (ms = 0) => {
      const call = callTo('bank', { clock });
      if (ms > 0) call.scope.expireAt(clock.now() + ms, 'call', ms);
      return layer(call, backend).then(
        (got) => {
          got.body.cancel();
          call.scope.close();
          return null;
        },
        (error: unknown) => error,
      );
    };
    return { clock, redis, limiter, backend, send, times: () => backend.calls.map(({ at }) => at) };
  }

  it('goes at the pace of the layer after Redis had twice the time that it may take', async () => {
    const { clock, redis, limiter, send, times, backend } = rig();
    for (let i = 0; i < 10; i++) void send();
    await clock.advance(999);
    expect([times(), limiter.down]).toEqual([[], false]);
    await clock.advance(1_101);
    expect(limiter.down).toBe(true);
    expect(times().length).toBeGreaterThanOrEqual(9);
    await clock.advance(200);
    const [first] = times() as [number];
    expect(times()).toEqual(Array.from({ length: 10 }, (_, i) => expect.closeTo(first + i * 100, 3)));
    limiter.close();
    expect(redis.gone).toBe(redis.made);
    checkLeaks({ clock, backend });
  });

  it.each<[string, FleetPaceOptions['replicas'], number]>([
    ['a number', 4, 400],
    ['a function', () => 3, 300],
    ['a function that gives nonsense', () => Number.NaN, 100],
    [
      'a function that throws',
      () => {
        throw new Error('no');
      },
      100,
    ],
  ])('divides the pace by %s of replicas', async (_, replicas, gap) => {
    const { clock, limiter, send, times } = rig({ replicas }, true);
    for (let i = 0; i < 5; i++) void send();
    await clock.advance(10_000);
    const [first] = times() as [number];
    expect(first).toBeLessThanOrEqual(gap);
    expect(times()).toEqual(Array.from({ length: 5 }, (_, i) => expect.closeTo(first + i * gap, 3)));
    limiter.close();
  });

  it('tries again only when there are calls, after pauses that grow', async () => {
    const { clock, redis, limiter, send } = rig({}, true);
    await clock.advance(60_000);
    expect(redis.made).toBe(0);
    for (let i = 0; i < 600; i++) {
      void send();
      await clock.advance(100);
    }
    // Two connections each time; a pause is at most 2 s, and at least half of that.
    expect(redis.made / 2).toBeGreaterThanOrEqual(30);
    expect(redis.made / 2).toBeLessThan(70);
    const before = redis.made;
    await clock.advance(60_000);
    expect(redis.made).toBe(before);
    limiter.close();
    expect(redis.gone).toBe(redis.made);
  });

  it('honours the deadline of each call that waits, and the cancellation', async () => {
    const { clock, send, limiter, backend } = rig({ replicas: 10 }, true);
    const ends = [send(), send(1_500), send(), send(300)];
    await clock.advance(10_000);
    expect((await Promise.all(ends)).map((error) => errorCode(error))).toEqual([
      undefined,
      'ERR_TIMEOUT',
      undefined,
      'ERR_REJECTED',
    ]);
    limiter.close();
    checkLeaks({ clock, backend });
  });

  it('keeps its pace after it was closed, and asks nobody any more', async () => {
    const { clock, redis, limiter, send, times } = rig({}, true);
    limiter.close();
    for (let i = 0; i < 10; i++) void send();
    await clock.advance(1_200);
    expect([times().length, redis.made]).toEqual([10, 0]);
    limiter[Symbol.dispose]();
    expect(clock.pending).toBe(0);
  });

  it('lists everything that is wrong with its options, but no password', () => {
    const redis = new Silence(false);
    expect(() => fleetPace({ redis, name: '', timeoutMs: 0, replicas: 0 })).toThrow('3 problems');
    expect(() => fleetPace(undefined as never)).toThrow('2 problems');
    expect(() => fleetPace({ redis, name: 'a', replica: 1 } as never)).toThrow(ConfigError);
    const url = 'redis://:secret@host';
    expect(() => fleetPace({ redis: url as never, name: 'a' })).toThrow('an ioredis client of one server');
    expect(() => fleetPace({ redis: url as never, name: 'a' })).not.toThrow('secret');
    expect(() => fleetPace({ redis: { duplicate() {}, isCluster: true }, name: 'a' } as never)).toThrow(ConfigError);
  });
});

// Real time, since bottleneck and the server have it. A slow machine can only be late: what goes too fast is looked at
// closely, what goes slowly is not.
describe.skipIf(!redisInstalled('pace-fleet.test.ts'))('fleetPace and a real server', { timeout: 30_000 }, () => {
  const server = new RedisServer();
  const limiters: FleetPace[] = [];
  const events: { type: string }[] = [];
  const runtime: Runtime = { clock: systemClock, on: (event) => events.push(event) };
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

  function member(perSecond: number, status = 200) {
    const limiter = fleetPace({ redis: server.client, name: 'bank', timeoutMs: 300 });
    limiters.push(limiter);
    const layer = pace({ perSecond, limiter });
    const send = async (ms = 0): Promise<unknown> => {
      const call = createCall({ service: 'bank', runtime });
      if (ms > 0) call.scope.expireAt(systemClock.now() + ms, 'call', ms);
      try {
        await layer(call, async () => {
          times.push(systemClock.now());
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
    expect(events).toMatchObject([{ type: 'pace.changed', perSecond: 25, holdMs: 1_000 }]);
    // What was said reaches the others a moment later.
    await sleep(systemClock, 100);
    const asked = systemClock.now();
    await b.send();
    expect(systemClock.now() - asked).toBeGreaterThan(500);
    expect(await server.client.hget('b_{fairlead:pace:bank}_settings', 'minTime')).toBe('40');
  });

  it('goes at the pace of a deployment that changes it, though Redis knows an older one', async () => {
    await member(1).send();
    const fast = member(100);
    await Promise.all(Array.from({ length: 20 }, () => fast.send()));
    expect((times.at(-1) as number) - (times[1] as number)).toBeLessThan(3_000);
    expect(await server.client.hget('b_{fairlead:pace:bank}_settings', 'minTime')).toBe('10');
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
