// Would catch: an attempt that is never cut off or too early, a timeout that goes on after the head, a body that cannot be
// canceled any more, a scope or timer left behind after success, failure or cancellation.
import { CanceledError, ConfigError, discard, readText, Scope, TimeoutError, TransportError } from '@fairlead/core';
import { callTo, checkLeaks, hang, refuse, reply, scripted, VirtualClock } from '@fairlead/testing';
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

  it('refuses a limit that is none', () => {
    expect(() => attemptTimeout({ ms: 0 })).toThrow(ConfigError);
    expect(() => attemptTimeout({ ms: '5s' as never })).toThrow('a number of milliseconds');
    expect(() => attemptTimeout({ timeout: 5 } as never)).toThrow(ConfigError);
  });
});
