// Would catch: a call that waits for a Redis that is not there; processes that go at the full pace each while it is away, or
// all at once; a Redis that is tried without end; connections and timers that stay; a password in an error.
import { EventEmitter } from 'node:events';
import { ConfigError, errorCode } from '@fairlead/core';
import { callTo, checkLeaks, reply, scripted, VirtualClock } from '@fairlead/testing';
import { describe, expect, it } from 'vitest';
import { pace } from './pace.js';
import { type FleetPaceOptions, fleetPace } from './pace-fleet.js';

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
    expect(() => fleetPace({ redis: url as never, name: 'a' })).toThrow('an ioredis client');
    expect(() => fleetPace({ redis: url as never, name: 'a' })).not.toThrow('secret');
    expect(() => fleetPace({ redis: { duplicate: true }, name: 'a' } as never)).toThrow(ConfigError);
  });
});
