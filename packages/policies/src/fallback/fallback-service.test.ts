// Would catch: a request that two services get which only one must; another service that is asked with the time, the past or
// the name of the first; one that is waited for without end; a scope, timer or reply that stays.
import { type Call, CanceledError, ConfigError, compose, createEndpoint, readText } from '@fairlead/core';
import {
  callTo,
  checkLeaks,
  hang,
  recordEvents,
  refuse,
  reply,
  reset,
  type Script,
  scripted,
  VirtualClock,
} from '@fairlead/testing';
import { describe, expect, it } from 'vitest';
import { deadline } from '../time/deadline.js';
import { fallback, toService } from './fallback.js';

function rig(script: Script, other: Script, options: Parameters<typeof toService>[1] = {}) {
  const clock = new VirtualClock();
  const runtime = { clock };
  const events = recordEvents(runtime);
  const first = scripted(script);
  const second = scripted(other);
  const layer = fallback({ to: toService(second, options), fromStatus: 500 });
  const handler = compose([layer, deadline({ ms: 1_000 })], first);
  const newCall = (init: Parameters<typeof callTo>[1] = {}) => callTo('prices', { ...init, runtime });
  /** As whoever made the call does when its reply is over. */
  const check = (call: Call) => {
    call.scope.close();
    checkLeaks({ clock, backend: [first, second], scopes: [call.scope, ...second.calls.map(({ scope }) => scope)] });
  };
  return { check, clock, events, first, second, handler, newCall };
}

describe('fallback to another service', () => {
  it('asks it as if it were the first, with a time of its own', async () => {
    const { clock, events, second, handler, newCall, check } = rig(
      hang(),
      reply(200, { body: 'other', afterMs: 500 }),
      {
        service: 'prices-b',
      },
    );
    const call = newCall({ headers: ['a', '1'] });
    call.tried.add(createEndpoint('http://a:1'));
    const got = await clock.run(handler(call));
    expect([clock.now(), got.insteadOf]).toEqual([1_500, 'timeout']);
    const [asked] = second.calls;
    expect(asked).toMatchObject({ service: 'prices-b', attempt: 1, at: 1_000, headers: ['a', '1'], endpoint: null });
    expect(asked?.tried.size).toBe(0);
    expect(await readText(got)).toBe('other');
    expect(events.at(-1)).toMatchObject({
      type: 'fallback.used',
      service: 'prices',
      reason: 'timeout',
      from: 'service',
    });
    check(call);
  });

  it('gives it no more than what is left of the time of the call', async () => {
    const { clock, second, handler, newCall, check } = rig(refuse({ afterMs: 400 }), hang());
    const call = newCall();
    await expect(clock.run(handler(call))).rejects.toMatchObject({ code: 'ERR_TIMEOUT', ms: 1_000 });
    expect([clock.now(), second.calls.length]).toEqual([1_000, 1]);
    check(call);
  });

  it('does not ask for a caller who has gone', async () => {
    const clock = new VirtualClock();
    const second = scripted(reply());
    const call = callTo('prices', { clock });
    const pending = fallback({ to: toService(second), when: () => true })(call, scripted(hang()));
    call.scope.cancel();
    await expect(pending).rejects.toBeInstanceOf(CanceledError);
    expect(second.calls).toEqual([]);
  });

  it('gives it up after its time, and with the caller', async () => {
    const slow = rig(refuse(), hang(), { timeoutMs: 300 });
    const late = slow.newCall();
    await expect(slow.clock.run(slow.handler(late))).rejects.toMatchObject({ code: 'ERR_TIMEOUT', ms: 300 });
    slow.check(late);

    const { clock, handler, newCall, check } = rig(refuse(), hang());
    const call = newCall();
    const pending = handler(call);
    pending.catch(() => {});
    await clock.advance(10);
    call.scope.cancel();
    await expect(pending).rejects.toBeInstanceOf(CanceledError);
    check(call);
  });

  it('cuts off a body that comes after its time', async () => {
    const { clock, handler, newCall, check } = rig(refuse(), reply(200, { body: ['a', 'b'], stallAfter: 1 }), {
      timeoutMs: 300,
    });
    const call = newCall();
    const text = readText(await clock.run(handler(call)));
    await expect(clock.run(text)).rejects.toMatchObject({ code: 'ERR_TIMEOUT' });
    check(call);
  });

  it.each([
    ['a POST that may have arrived', { method: 'POST', body: 'x' }, reset(), 0],
    ['a POST that has not', { method: 'POST', body: 'x' }, refuse(), 1],
    ['a POST that was answered', { method: 'POST', body: 'x' }, reply(500, { body: 'sorry' }), 0],
    ['a POST with a key', { method: 'POST', body: 'x', headers: ['idempotency-key', 'k'] }, reset(), 1],
    ['a PUT', { method: 'PUT', body: 'x' }, reset(), 1],
  ])('sends once what must not be sent twice: %s', async (_, init, step, sent) => {
    const { clock, second, handler, newCall, events, check } = rig(step, reply(200, { body: 'other' }));
    const call = newCall(init);
    const got = await clock.run(handler(call)).catch((error: unknown) => error as { code: string });
    expect(second.calls.length).toBe(sent);
    expect(events.some(({ type }) => type === 'fallback.used')).toBe(sent === 1);
    if ('code' in got) expect(got.code).toBe('ERR_TRANSPORT');
    else expect(await readText(got)).toBe(sent === 1 ? 'other' : 'sorry');
    check(call);
  });

  it('does not send a body that was begun to be read', async () => {
    async function* bytes() {
      yield new Uint8Array(1);
    }
    const { clock, second, handler, newCall } = rig(refuse(), reply());
    for (const started of [true, false]) {
      const call = newCall({ method: 'PUT', body: { once: bytes(), started } });
      await clock.run(handler(call)).then(
        (got) => got.body.cancel(),
        () => {},
      );
      expect(second.calls.length).toBe(started ? 0 : 1);
    }
  });

  it('fails as that fails', async () => {
    const { clock, handler, newCall } = rig(reset(), refuse());
    await expect(clock.run(handler(newCall()))).rejects.toMatchObject({ phase: 'connect' });
  });

  it('refuses wrong options', () => {
    expect(() => toService(scripted(reply()), { timeoutMs: 0, service: '' })).toThrow('2 problems');
    expect(() => toService(scripted(reply()), { timeout: 1 } as never)).toThrow(ConfigError);
  });
});
