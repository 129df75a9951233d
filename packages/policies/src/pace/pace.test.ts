// Would catch: calls that go too fast, too slow, out of order, or after their time; a queue without bounds; a call that is
// canceled and stays; bottleneck's wall clock, its speed limit or its failure being seen; a partner who is not listened to.
import { CanceledError, ConfigError, compose, type Reply } from '@fairlead/core';
import { callTo, checkLeaks, recordEvents, reply, type Script, scripted, VirtualClock } from '@fairlead/testing';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type PaceOptions, pace } from './pace.js';

// bottleneck has timers and a clock of its own; here they are false, and move along with ours.
beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'Date'] });
});
afterEach(() => {
  vi.useRealTimers();
});

function rig(script: Script = reply(), options: Partial<PaceOptions> = {}) {
  const clock = new VirtualClock();
  const runtime = { clock };
  const events = recordEvents(runtime) as readonly { type: string }[];
  const backend = scripted(script);
  const handler = compose([pace({ perSecond: 100, ...options })], backend);
  const failures: unknown[] = [];
  return {
    clock,
    events,
    backend,
    failures,
    send(init: Parameters<typeof callTo>[1] = {}, deadlineMs = 0) {
      const call = callTo('partner', { ...init, runtime });
      if (deadlineMs > 0) call.scope.expireAt(clock.now() + deadlineMs, 'call', deadlineMs);
      const pending = handler(call).then(
        (got: Reply) => {
          got.body.cancel();
          call.scope.close();
          return got;
        },
        (error: unknown) => {
          failures.push(error);
          call.scope.close();
          return null;
        },
      );
      return { call, pending };
    },
    /** Both clocks, step by step. */
    async advance(ms: number) {
      for (let i = 0; i < ms; i++) {
        await vi.advanceTimersByTimeAsync(1);
        await clock.advance(1);
      }
    },
    check: () => checkLeaks({ clock, backend }),
  };
}

const gaps = (times: readonly number[]) => times.slice(1).map((at, i) => at - (times[i] as number));

describe('pace', () => {
  it('spreads calls evenly, in order', async () => {
    const { send, advance, backend, check } = rig();
    for (let i = 0; i < 50; i++) send({ path: `/${i}` });
    await advance(700);
    expect(backend.calls.map((each) => each.path)).toEqual(Array.from({ length: 50 }, (_, i) => `/${i}`));
    const times = backend.calls.map((each) => each.at);
    expect((times.at(-1) as number) - (times[0] as number)).toBeGreaterThanOrEqual(480);
    expect(Math.min(...gaps(times))).toBeGreaterThanOrEqual(8);
    check();
  });

  it('keeps up with a pace that bottleneck alone could not', async () => {
    const { send, advance, backend } = rig(reply(), { perSecond: 1_000 });
    for (let i = 0; i < 1_000; i++) send();
    await advance(1_100);
    expect(backend.calls.length).toBe(1_000);
    const firstHalf = backend.calls.filter((each) => each.at < 500).length;
    expect(firstHalf).toBeGreaterThan(400);
    expect(firstHalf).toBeLessThan(540);
  });

  it('lets the more important go first', async () => {
    const priority = (call: { path: string }) => Number(call.path.slice(1));
    const { send, advance, backend } = rig(reply(), { perSecond: 10, priority });
    for (const p of [9, 9, 5, 0, 9, 0, 77]) send({ path: `/${p}` });
    await advance(1_000);
    expect(backend.calls.map((each) => each.path)).toEqual(['/0', '/0', '/5', '/77', '/9', '/9', '/9']);
  });

  it('refuses what the queue has no room for, and says when to come back', async () => {
    const { send, failures, advance, events, backend } = rig(reply(), { perSecond: 10, maxQueue: 5 });
    for (let i = 0; i < 7; i++) send();
    await advance(1);
    expect(failures).toMatchObject([
      { by: 'pace', retryAfterMs: 500, sent: 'no' },
      { by: 'pace', retryAfterMs: 500 },
    ]);
    expect(events.map((event) => event.type)).toEqual(['limit.refused', 'limit.refused']);
    await advance(1_000);
    expect(backend.calls.length).toBe(5);
  });

  it('refuses at once what could not be served within its time', async () => {
    const { send, failures, advance, backend } = rig(reply(), { perSecond: 10 });
    for (let i = 0; i < 5; i++) send();
    send({}, 400);
    await advance(1);
    expect(failures).toMatchObject([{ by: 'pace', retryAfterMs: 500 }]);
    await advance(1_000);
    expect(backend.calls.length).toBe(5);
  });

  it('lets go of what is canceled while it waits, at once, and wastes no turn on it', async () => {
    const { send, failures, advance, backend, check } = rig(reply(), { perSecond: 10 });
    const sent = Array.from({ length: 1_000 }, () => send());
    await advance(150);
    expect(backend.calls.length).toBe(2);
    for (const { call } of sent.slice(2)) call.scope.cancel();
    await advance(1);
    expect(failures.length).toBe(998);
    expect(failures[0]).toBeInstanceOf(CanceledError);
    const last = send();
    await advance(600);
    expect((await last.pending)?.status).toBe(200);
    check();
  });

  it('sends nothing whose time is up, also if no timer could say so', async () => {
    const { send, failures, clock, advance, backend } = rig(reply(), { perSecond: 10 });
    send();
    send({}, 300);
    await advance(20);
    clock.block(400);
    await vi.advanceTimersByTimeAsync(400);
    await clock.advance(0);
    await advance(200);
    expect(backend.calls.length).toBe(1);
    expect(failures).toMatchObject([{ code: 'ERR_TIMEOUT' }]);
  });

  it('listens to a partner who asks for less', async () => {
    const script: Script = (_, n) => (n === 1 ? reply(429, { headers: { 'retry-after': '2' } }) : reply());
    const { send, advance, backend, events, check } = rig(script);
    send();
    await advance(50);
    for (let i = 0; i < 20; i++) send();
    await advance(1_900);
    expect(backend.calls.length).toBe(1);
    expect(events).toEqual([{ type: 'pace.changed', service: 'partner', perSecond: 50, holdMs: 2_000 }]);
    await advance(600);
    expect(backend.calls.length).toBe(21);
    expect(Math.min(...gaps(backend.calls.slice(2).map((each) => each.at)))).toBeGreaterThanOrEqual(15);
    check();
  });

  it('can be told not to listen', async () => {
    const { send, advance, backend } = rig(reply(429), { learn: false });
    for (let i = 0; i < 10; i++) send();
    await advance(200);
    expect(backend.calls.length).toBe(10);
  });

  it('goes on when the wall clock is set back, which bottleneck waits by', async () => {
    const { send, advance, backend } = rig();
    for (let i = 0; i < 20; i++) send();
    await advance(30);
    vi.setSystemTime((vi.getMockedSystemTime()?.getTime() ?? 0) - 3_600_000);
    await advance(2_500);
    expect(backend.calls.length).toBe(20);
    // Its timers of an hour would keep a process from ending.
    expect(vi.getTimerCount()).toBe(0);
  });

  it('lets no batch go when the pace has become a slow one', async () => {
    const script: Script = (_, n) => (n === 1 ? reply(200, { headers: { ratelimit: '"x";r=10;t=5' } }) : reply());
    const { send, advance, backend } = rig(script, { perSecond: 2_000 });
    send();
    await advance(20);
    for (let i = 0; i < 10; i++) send();
    await advance(2_100);
    expect(backend.calls.length).toBeLessThanOrEqual(6);
    expect(Math.min(...gaps(backend.calls.slice(1).map((each) => each.at)))).toBeGreaterThan(400);
  });

  it('takes up a faster pace at once, though tickets were due by a slow one', async () => {
    const quotas = ['"x";r=1;t=200', '"x";r=999;t=1'];
    const { send, advance, backend } = rig(() => reply(200, { headers: { ratelimit: quotas.shift() ?? '' } }));
    send();
    await advance(20);
    for (let i = 0; i < 11; i++) send();
    await advance(2_000);
    expect(backend.calls.length).toBeGreaterThanOrEqual(12);
  });

  it('sends nothing for a call whose scope was closed while it waited and whose time is up, and waits for it no more', async () => {
    const { send, failures, advance, backend, check } = rig(reply(), { perSecond: 10 });
    send();
    await advance(20);
    const { call } = send({}, 60);
    await advance(20);
    call.scope.close();
    await advance(300);
    expect(backend.calls.length).toBe(1);
    expect(failures).toMatchObject([{ code: 'ERR_CANCELED' }]);
    check();
  });

  it('takes 10 000 waiting calls in its stride, and their end', async () => {
    const { send, failures, advance, backend, check } = rig(reply(), { perSecond: 10, maxQueue: 10_000 });
    const sent = Array.from({ length: 10_000 }, (_, i) => send({}, i % 2 === 0 ? 0 : 3_600_000));
    await advance(250);
    expect(backend.calls.length).toBe(3);
    for (const { call } of sent.slice(3)) call.scope.cancel();
    await advance(500);
    expect([backend.calls.length, failures.length, vi.getTimerCount()]).toEqual([3, 9_997, 0]);
    check();
  });

  it('takes a priority that throws for the usual one', async () => {
    const priority = () => {
      throw new Error('no');
    };
    const { send, advance, backend } = rig(reply(), { priority });
    send();
    await advance(20);
    expect(backend.calls.length).toBe(1);
  });

  it('goes by a limiter that is handed in, and without waiting if that fails', async () => {
    let asked = 0;
    const limiter = {
      async schedule(): Promise<never> {
        asked++;
        throw new Error('redis is gone');
      },
      updateSettings() {},
    };
    const { send, advance, backend } = rig(reply(), { limiter });
    for (let i = 0; i < 20; i++) send();
    await advance(5);
    expect([backend.calls.length, asked]).toEqual([20, 20]);
  });

  it('tells a limiter that is handed in what it learns, and does not mind if that cannot be reached', async () => {
    const told: unknown[] = [];
    const limiter = {
      schedule: <R>(job: () => PromiseLike<R>) => Promise.resolve(job()),
      async updateSettings(settings: unknown): Promise<void> {
        told.push(settings);
        throw new Error('redis is gone');
      },
      begin: (_: unknown, perSecond: number) => void told.push(perSecond),
      hold: (ms: number) => void told.push(ms),
    };
    // An unhandled rejection would fail the run.
    const { send, advance, backend } = rig(reply(429, { headers: { 'retry-after': '2' } }), { limiter });
    send();
    send();
    await advance(5);
    expect([backend.calls.length, told]).toEqual([2, [100, { minTime: 20 }, 2_000]]);
  });

  it('measures the attempt from the end of the wait', async () => {
    const { send, advance, backend } = rig(reply(), { perSecond: 10 });
    send();
    send();
    await advance(300);
    expect(backend.calls[1]?.at).toBeGreaterThanOrEqual(100);
  });

  it('in shadow holds nobody back, and counts whom it would have', async () => {
    const { send, advance, backend, events } = rig(reply(), { mode: 'shadow' });
    for (let i = 0; i < 10; i++) send();
    await advance(1);
    expect(backend.calls.length).toBe(10);
    expect(events.filter((event) => event.type === 'policy.shadowed').length).toBe(9);
  });

  it('off is passed by', async () => {
    const { send, backend } = rig(reply(), { mode: 'off' });
    const { call, pending } = send();
    await pending;
    expect(backend.calls).toEqual([call]);
  });

  it('lists everything that is wrong with its options', () => {
    expect(() => pace({ perSecond: 0.0001, maxQueue: 0, learn: 1, limiter: {} } as never)).toThrow('4 problems');
    expect(() => pace({ minTime: 10 } as never)).toThrow(ConfigError);
  });
});
