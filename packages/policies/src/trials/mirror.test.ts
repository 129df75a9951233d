// Would catch: a caller who waits for a copy, hears of its failure, or cancels it; a copy of what must not be copied; copies
// without bounds in number or time; a reply of a copy that stays open.
import { ConfigError, compose, readText } from '@fairlead/core';
import {
  callTo,
  checkLeaks,
  fail,
  hang,
  recordEvents,
  reply,
  reset,
  type Script,
  scripted,
  VirtualClock,
} from '@fairlead/testing';
import { describe, expect, it } from 'vitest';
import { type MirrorOptions, mirror, mirroredHeader } from './mirror.js';

function rig(script: Script = reply(200, { body: 'copy' }), options: Partial<MirrorOptions> = {}) {
  const clock = new VirtualClock();
  const runtime = { clock };
  const events = recordEvents(runtime);
  const backend = scripted(reply(200, { body: 'ok' }));
  const other = scripted(script);
  const handler = compose([mirror({ to: other, ratio: 1, service: 'next', ...options })], backend);
  const newCall = (init: Parameters<typeof callTo>[1] = {}) => callTo('payments', { ...init, runtime });
  return { clock, events, backend, other, handler, newCall };
}

describe('mirror', () => {
  it('sends a copy that nobody waits for, marked, without scope and history of the call', async () => {
    const { handler, newCall, clock, backend, other, events } = rig(reply(201, { body: 'copy', afterMs: 500 }));
    const call = newCall({ method: 'PUT', body: 'x', headers: ['a', '1'] });
    expect(await readText(await clock.run(handler(call)))).toBe('ok');
    expect(clock.now()).toBe(0);
    expect(backend.calls).toEqual([call]);
    const [copy] = other.calls;
    expect(copy).toMatchObject({ service: 'next', method: 'PUT', body: 'x', headers: ['a', '1', mirroredHeader, '1'] });
    expect([copy?.scope.parent, copy?.tried === call.tried]).toEqual([null, false]);
    await clock.advance(500);
    expect(events).toEqual([
      { type: 'mirror.ended', service: 'payments', to: 'next', status: 201, error: null, ms: 500 },
    ]);
    checkLeaks({ clock, backend: [backend, other], scopes: [call.scope, copy?.scope as never] });
  });

  it.each([
    ['a failure', reset(), 'ERR_TRANSPORT'],
    ['an exception', fail(() => 7), undefined],
    ['silence', hang(), 'ERR_TIMEOUT'],
  ])('tells %s of the copy and nobody else hears of it', async (_, step, code) => {
    const { handler, newCall, clock, events, other } = rig(step);
    expect((await clock.run(handler(newCall()))).status).toBe(200);
    await clock.advance(10_000);
    expect(events).toMatchObject([{ type: 'mirror.ended', status: null }]);
    expect((events[0] as unknown as { error: { code?: string } }).error.code).toBe(code);
    checkLeaks({ clock, backend: other });
  });

  it('goes on when the caller cancels', async () => {
    const { handler, newCall, clock, events } = rig(reply(200, { afterMs: 100 }));
    const call = newCall();
    await clock.run(handler(call));
    call.scope.cancel();
    await clock.advance(100);
    expect(events).toMatchObject([{ status: 200 }]);
  });

  it('copies no more than maxInFlight at a time', async () => {
    const { handler, newCall, clock, other } = rig(reply(200, { afterMs: 100 }), { maxInFlight: 3 });
    for (let i = 0; i < 10; i++) await clock.run(handler(newCall()));
    expect(other.calls.length).toBe(3);
    await clock.advance(100);
    for (let i = 0; i < 10; i++) await clock.run(handler(newCall()));
    expect(other.calls.length).toBe(6);
  });

  it('copies neither what is not idempotent, unless told, nor what can be sent once', async () => {
    async function* bytes() {
      yield new Uint8Array(1);
    }
    const careful = rig();
    await careful.handler(careful.newCall({ method: 'POST' }));
    await careful.handler(careful.newCall({ method: 'PUT', body: { once: bytes() } }));
    await careful.clock.advance(1);
    expect(careful.other.calls).toEqual([]);
    const daring = rig(reply(), { unsafe: true });
    await daring.handler(daring.newCall({ method: 'POST' }));
    await daring.clock.advance(1);
    expect(daring.other.calls.length).toBe(1);
  });

  it('copies a share', async () => {
    const { handler, newCall, clock, other } = rig(reply(), { ratio: 0.2 });
    for (let i = 0; i < 1_000; i++) await handler(newCall());
    await clock.advance(1);
    expect(other.calls.length).toBeGreaterThan(150);
    expect(other.calls.length).toBeLessThan(250);
  });

  it('in shadow sends nothing and counts; off does nothing', async () => {
    const shadow = rig(reply(), { mode: 'shadow' });
    await shadow.handler(shadow.newCall());
    await shadow.clock.advance(1);
    expect(shadow.events).toEqual([{ type: 'policy.shadowed', service: 'payments', policy: 'mirror', would: 'send' }]);
    const off = rig(reply(), { mode: 'off' });
    await off.handler(off.newCall());
    await off.clock.advance(1);
    expect([shadow.other.calls, off.other.calls, off.events]).toEqual([[], [], []]);
  });

  it('lists everything that is wrong with its options, a missing `to` too', () => {
    expect(() => mirror({ ratio: 2, maxInFlight: 0 } as never)).toThrow('3 problems');
    expect(() => mirror(undefined as never)).toThrow(ConfigError);
  });
});
