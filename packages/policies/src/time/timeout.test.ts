// Would catch: an attempt that is never cut off or too early, one that is made without hope or skipped with it, a timeout that goes on after the head, a body that cannot be
// canceled any more, a scope or timer left behind after success, failure or cancellation.
import { CanceledError, ConfigError, discard, readText, Scope, TimeoutError, TransportError } from '@fairlead/core';
import { callTo, checkLeaks, hang, recordEvents, refuse, reply, scripted, VirtualClock } from '@fairlead/testing';
import { describe, expect, it } from 'vitest';
import { attemptTimeout } from './timeout.js';

const layer = attemptTimeout({ ms: 50 });

describe('attemptTimeout', () => {
  it('passes a reply through and lets go of everything at its end', async () => {
    const call = callTo();
    const clock = call.runtime.clock as VirtualClock;
    const backend = scripted(reply(200, { body: 'ok', afterMs: 49 }));
    const got = await clock.run(layer(call, backend));
    expect(got.status).toBe(200);
    expect(backend.calls[0]?.scope.parent).toBe(call.scope);
    expect(clock.pending).toBe(0);
    expect(await readText(got)).toBe('ok');
    checkLeaks({ clock, backend, scopes: [call.scope] });
  });

  it('rejects at ms from the start of the attempt, not from when the layer was reached', async () => {
    const clock = new VirtualClock({ startMs: 1_000 });
    const call = callTo('payments', { clock });
    await clock.advance(20);
    const backend = scripted(hang());
    await expect(clock.run(layer(call, backend))).rejects.toMatchObject({
      code: 'ERR_TIMEOUT',
      of: 'attempt',
      ms: 50,
      sent: 'maybe',
      service: 'payments',
      message: 'payments: no answer from this attempt within 50 ms',
    });
    expect(clock.now()).toBe(1_050);
    checkLeaks({ clock, backend, scopes: [call.scope] });
  });

  it('leaves the body as much time as the call has, and hears the caller meanwhile', async () => {
    const call = callTo();
    const clock = call.runtime.clock as VirtualClock;
    const backend = scripted(reply(200, { body: ['slow', 'body', 'never'], betweenMs: 100 }));
    const got = await clock.run(layer(call, backend));
    const text = readText(got);
    text.catch(() => {});
    await clock.advance(250);
    call.scope.cancel(new CanceledError());
    await expect(text).rejects.toBeInstanceOf(CanceledError);
    checkLeaks({ clock, backend, scopes: [call.scope] });
  });

  it('lets the call win if that has less time left', async () => {
    const call = callTo();
    const clock = call.runtime.clock as VirtualClock;
    call.scope.expireAt(30, 'call', 30);
    const backend = scripted(hang());
    const failed = layer(call, backend);
    await expect(clock.run(failed)).rejects.toMatchObject({ of: 'call', ms: 30 });
    await expect(failed).rejects.toBe(call.scope.reason);
    expect((call.scope.reason as TimeoutError).service).toBeNull(); // may be shared with other calls: not ours to change
    checkLeaks({ clock, backend, scopes: [call.scope] });
  });

  it.each(['canceled', 'failed', 'discarded'])('leaves nothing behind when %s', async (how) => {
    const call = callTo();
    const clock = call.runtime.clock as VirtualClock;
    const backend = scripted(how === 'canceled' ? hang() : how === 'failed' ? refuse() : reply(503, { body: 'x' }));
    const going = layer(call, backend);
    if (how === 'canceled') {
      call.scope.cancel();
      await expect(going).rejects.toBeInstanceOf(CanceledError);
    } else if (how === 'failed') await expect(going).rejects.toBeInstanceOf(TransportError);
    else discard(await going);
    checkLeaks({ clock, backend, scopes: [call.scope] });
  });

  it('keeps an error that is not its own as it is', async () => {
    const call = callTo('payments');
    const shared = new TimeoutError({ of: 'call', ms: 5 });
    const parent = new Scope(call.runtime.clock);
    const child = call.with({ scope: parent.child() });
    const going = layer(child, scripted(hang()));
    parent.cancel(shared);
    await expect(going).rejects.toBe(shared);
    expect(shared.service).toBeNull();
  });

  describe('an attempt that is not likely to be answered in time', () => {
    /** A layer that has seen answers after 100 ms, and a call with `leftMs`. */
    async function learned(options: Parameters<typeof attemptTimeout>[0] = {}, afterMs = 100) {
      const clock = new VirtualClock();
      const timed = attemptTimeout({ ms: 5_000, ...options });
      const backend = scripted(reply(200, { afterMs }));
      for (let i = 0; i < 60; i++) await clock.run(timed(callTo('payments', { clock }), backend));
      const sends = backend.calls.length;
      const go = (leftMs: number, to = backend) => {
        const call = callTo('payments', { clock });
        const events = recordEvents(call.runtime);
        call.scope.expireAt(clock.now() + leftMs, 'call', leftMs);
        const going = clock.run(timed(call, to)).then(
          () => 'answered',
          (error: TimeoutError) => error,
        );
        void going.then(() => call.scope.close());
        return { going, events };
      };
      return { clock, backend, sends: () => backend.calls.length - sends, go };
    }

    it('is not made, and the call ends at once', async () => {
      const { clock, go, sends } = await learned();
      const before = clock.now();
      const { going, events } = go(60);
      expect(await going).toMatchObject({
        code: 'ERR_TIMEOUT',
        of: 'call',
        ms: 60,
        sent: 'no',
        service: 'payments',
        message: 'payments: not sent, 60 ms are left and half of the answers take 100 ms or more',
      });
      expect([clock.now() - before, sends()]).toEqual([0, 0]);
      expect(events).toEqual([
        { type: 'attempt.skipped', service: 'payments', attempt: 1, leftMs: 60, usualMs: expect.closeTo(100) },
      ]);
    });

    it('is made if there is just enough, and if nobody knows what is usual', async () => {
      const { go } = await learned();
      expect(await go(110).going).toBe('answered');
      const call = callTo();
      call.scope.expireAt(5, 'call', 5);
      const clock = call.runtime.clock as VirtualClock;
      expect((await clock.run(attemptTimeout()(call, scripted(reply(200, { afterMs: 4 }))))).status).toBe(200);
    });

    it('is made every tenth time, and always once that goes well', async () => {
      const { go, sends, clock } = await learned();
      for (let i = 0; i < 10; i++) await go(60).going;
      expect(sends()).toBe(1); // in vain
      const quick = scripted(reply(200, { afterMs: 5 }));
      for (let i = 0; i < 50; i++) await go(60, quick).going;
      expect(quick.calls.length).toBe(41);
      expect(clock.pending).toBe(0);
    });

    it('is made, and not learned from, if that is switched off', async () => {
      const { go, sends } = await learned({ skipHopeless: false });
      await go(60).going;
      expect(sends()).toBe(1);
    });

    it('learns nothing from failures', async () => {
      const clock = new VirtualClock();
      const timed = attemptTimeout();
      const failing = scripted(reply(500, { afterMs: 100 }));
      for (let i = 0; i < 60; i++) await clock.run(timed(callTo('payments', { clock }), failing));
      const call = callTo('payments', { clock });
      call.scope.expireAt(clock.now() + 60, 'call', 60);
      await expect(clock.run(timed(call, scripted(hang())))).rejects.toMatchObject({ sent: 'maybe' });
    });

    it('learns how long an attempt took also where the call has less time than an attempt', async () => {
      const clock = new VirtualClock();
      const timed = attemptTimeout({ ms: 5_000 });
      for (let i = 0; i < 60; i++) {
        const call = callTo('payments', { clock });
        call.scope.expireAt(clock.now() + 1_000, 'call', 1_000);
        await clock.run(timed(call, scripted(reply(200, { afterMs: 100 }))));
        call.scope.close();
      }
      const late = callTo('payments', { clock });
      late.scope.expireAt(clock.now() + 90, 'call', 90);
      await expect(timed(late, scripted(hang()))).rejects.toMatchObject({ sent: 'no' });
    });
  });

  it('does not make an attempt whose time is up, though no timer could say so', async () => {
    const call = callTo();
    const clock = call.runtime.clock as VirtualClock;
    call.scope.expireAt(30, 'call', 30);
    clock.block(31);
    const backend = scripted(reply(200));
    const late = call.with({ at: clock.now() });
    for (let i = 0; i < 25; i++) await expect(layer(late, backend)).rejects.toBe(call.scope.reason);
    expect(call.scope.reason).toMatchObject({ of: 'call', ms: 30 });
    expect(backend.calls.length).toBe(0);
    checkLeaks({ clock, backend, scopes: [call.scope] });
  });

  describe('mode', () => {
    const shadowed = (would: string) => ({ type: 'policy.shadowed', service: 'test', policy: 'attemptTimeout', would });

    it('shadow ends nothing, and tells what it would have ended', async () => {
      const quiet = attemptTimeout({ mode: 'shadow', ms: 50 });
      for (const [afterMs, told] of [
        [49, []],
        [51, [shadowed('cancel')]],
      ] as const) {
        const call = callTo('test');
        const clock = call.runtime.clock as VirtualClock;
        const events = recordEvents(call.runtime);
        const backend = scripted(reply(200, { afterMs }));
        expect((await clock.run(quiet(call, backend))).status).toBe(200);
        expect(events).toEqual(told);
        checkLeaks({ clock, backend, scopes: [call.scope] });
      }
      const failing = callTo('test');
      await expect(quiet(failing, scripted(refuse()))).rejects.toBeInstanceOf(TransportError);
      expect((failing.runtime.clock as VirtualClock).pending).toBe(0);
    });

    it('shadow skips nothing, and tells what it would have skipped', async () => {
      const clock = new VirtualClock();
      const quiet = attemptTimeout({ mode: 'shadow', ms: 5_000 });
      const backend = scripted(reply(200, { afterMs: 100 }));
      for (let i = 0; i < 60; i++) await clock.run(quiet(callTo('test', { clock }), backend));
      const call = callTo('test', { clock });
      const events = recordEvents(call.runtime);
      call.scope.expireAt(clock.now() + 60, 'call', 60);
      await expect(clock.run(quiet(call, backend))).rejects.toMatchObject({ ms: 60 });
      expect([backend.calls.length, events]).toEqual([61, [shadowed('refuse')]]);
    });

    it('off is passed by', async () => {
      const call = callTo();
      const backend = scripted(reply(200));
      await attemptTimeout({ mode: 'off' })(call, backend);
      expect(backend.calls).toEqual([call]);
    });
  });

  it('refuses a limit that is none', () => {
    expect(() => attemptTimeout({ ms: 0 })).toThrow(ConfigError);
    expect(() => attemptTimeout({ ms: '5s' as never })).toThrow('a number of milliseconds');
    expect(() => attemptTimeout({ timeout: 5 } as never)).toThrow(ConfigError);
  });
});
