// Would catch: a call that outlives its deadline, in its body too, one that is sent although its time is up, an inherited
// deadline that is forgotten.
import { CanceledError, ConfigError, compose, createReply, readText, Scope, TimeoutError } from '@fairlead/core';
import { callTo, checkLeaks, hang, recordEvents, reply, scripted, VirtualClock } from '@fairlead/testing';
import { describe, expect, it } from 'vitest';
import { deadline } from './deadline.js';

describe('deadline', () => {
  it('passes a reply through; whoever made the scope closes it', async () => {
    const call = callTo();
    const clock = call.runtime.clock as VirtualClock;
    const backend = scripted(reply(200, { body: 'ok' }));
    const got = await deadline({ ms: 100 })(call, backend);
    expect(backend.calls[0]).toBe(call);
    expect(await readText(got)).toBe('ok');
    expect(call.scope.deadlineAt).toBe(100);
    call.scope.close();
    checkLeaks({ clock, backend, scopes: [call.scope] });
  });

  it('ends the call at ms after it began, wherever it is', async () => {
    const clock = new VirtualClock({ startMs: 500 });
    const call = callTo('payments', { clock });
    const backend = scripted(hang());
    await expect(clock.run(deadline({ ms: 100 })(call, backend))).rejects.toMatchObject({ of: 'call', ms: 100 });
    expect(clock.now()).toBe(600);
    checkLeaks({ clock, backend, scopes: [call.scope] });
  });

  it('holds while the body flows', async () => {
    const call = callTo();
    const clock = call.runtime.clock as VirtualClock;
    const backend = scripted(reply(200, { body: ['a', 'b'], stallAfter: 1 }));
    const got = await deadline({ ms: 100 })(call, backend);
    await expect(clock.run(readText(got))).rejects.toBeInstanceOf(TimeoutError);
    expect(clock.now()).toBe(100);
    checkLeaks({ clock, backend, scopes: [call.scope] });
  });

  it('keeps an earlier deadline', async () => {
    const clock = new VirtualClock();
    const inbound = new Scope(clock);
    inbound.expireAt(30, 'call', 30);
    const call = callTo('payments', { clock, scope: inbound.child() });
    const going = deadline({ ms: 100 })(call, scripted(hang()));
    await expect(clock.run(going)).rejects.toMatchObject({ ms: 30 });
  });

  it('refuses without sending when time is up, also if the event loop was blocked past it', async () => {
    const clock = new VirtualClock();
    const inbound = new Scope(clock);
    inbound.expireAt(30, 'call', 30);
    clock.block(31);
    const call = callTo('payments', { clock, scope: inbound.child() });
    const backend = scripted(reply(200));
    const handler = compose([deadline()], backend);
    await expect(handler(call)).rejects.toMatchObject({ code: 'ERR_TIMEOUT', of: 'call', ms: 30 });
    const canceled = callTo('payments', { clock });
    canceled.scope.cancel();
    await expect(handler(canceled)).rejects.toBeInstanceOf(CanceledError);
    expect(backend.calls.length).toBe(0);
    checkLeaks({ clock, backend, scopes: [inbound, call.scope, canceled.scope] });
  });

  describe('mode', () => {
    const shadowed = (would: string) => ({ type: 'policy.shadowed', service: 'test', policy: 'deadline', would });

    it('shadow ends no call, and tells which it would have ended, in their bodies, too', async () => {
      for (const [betweenMs, told] of [
        [40, []],
        [60, [shadowed('cancel')]],
      ] as const) {
        const call = callTo('test');
        const clock = call.runtime.clock as VirtualClock;
        const events = recordEvents(call.runtime);
        const backend = scripted(reply(200, { body: ['a', 'b'], betweenMs }));
        const got = await deadline({ mode: 'shadow', ms: 100 })(call, backend);
        expect(await clock.run(readText(got))).toBe('ab');
        expect(events).toEqual(told);
        call.scope.close();
        checkLeaks({ clock, backend, scopes: [call.scope] });
      }
    });

    it('shadow sends what it would have refused, and leaves an earlier deadline alone', async () => {
      const clock = new VirtualClock();
      const call = callTo('test', { clock });
      call.scope.expireAt(30, 'call', 30);
      clock.block(31);
      const events = recordEvents(call.runtime);
      const late = call.with({ at: clock.now() });
      const backend = async () => createReply();
      expect((await deadline({ mode: 'shadow', ms: 100 })(late, backend)).status).toBe(200);
      call.scope.close();
      expect([events, clock.pending]).toEqual([[shadowed('refuse')], 0]);
      const failing = callTo('test', { clock });
      await expect(
        deadline({ mode: 'shadow' })(failing, () => Promise.reject(new TimeoutError({ of: 'attempt', ms: 1 }))),
      ).rejects.toMatchObject({ of: 'attempt' });
      expect(clock.pending).toBe(0);
    });

    it('off is passed by', async () => {
      const call = callTo();
      await deadline({ mode: 'off', ms: 1 })(call, scripted(reply(200)));
      expect(call.scope.deadlineAt).toBe(Number.POSITIVE_INFINITY);
    });
  });

  it('refuses a limit that is none', () => {
    expect(() => deadline({ ms: -1 })).toThrow(ConfigError);
    expect(() => deadline({ ms: Number.POSITIVE_INFINITY })).toThrow(ConfigError);
  });
});
