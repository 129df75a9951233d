// Would catch: a call that outlives its deadline, in its body too, one that is sent although its time is up, an inherited
// deadline that is forgotten.
import { CanceledError, ConfigError, compose, readText, Scope, TimeoutError } from '@fairlead/core';
import { callTo, checkLeaks, hang, reply, scripted, VirtualClock } from '@fairlead/testing';
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

  it('refuses a limit that is none', () => {
    expect(() => deadline({ ms: -1 })).toThrow(ConfigError);
    expect(() => deadline({ ms: Number.POSITIVE_INFINITY })).toThrow(ConfigError);
  });
});
