// Would catch: a stand-in for what should fail, a failure where a stand-in was asked for, a body that can be read only by
// the first caller, a replaced reply that keeps its connection.
import {
  CanceledError,
  ConfigError,
  createReply,
  NoEndpointError,
  RejectedError,
  readText,
  TimeoutError,
} from '@fairlead/core';
import { callTo, checkLeaks, fail, recordEvents, refuse, reply, scripted } from '@fairlead/testing';
import { describe, expect, it } from 'vitest';
import { fallback, isUnavailable } from './fallback.js';

const layer = fallback({ to: { status: 203, headers: { 'x-stale': '1' }, body: '[]' } });

describe('fallback', () => {
  it('passes replies through, bad ones too', async () => {
    const call = callTo();
    const backend = scripted([reply(200), reply(503)]);
    expect((await layer(call, backend)).status).toBe(200);
    expect((await layer(call, backend)).status).toBe(503);
  });

  it('stands in for an error, anew for every caller', async () => {
    const call = callTo('payments');
    const events = recordEvents(call.runtime);
    const backend = scripted(refuse());
    for (let i = 0; i < 2; i++) {
      const got = await layer(call, backend);
      expect([got.status, got.headers['x-stale'], got.endpoint, got.insteadOf]).toEqual([203, '1', null, 'transport']);
      expect(await readText(got)).toBe('[]');
    }
    expect(events).toMatchObject([
      {
        type: 'fallback.used',
        service: 'payments',
        error: { code: 'ERR_TRANSPORT' },
        reason: 'transport',
        from: 'reply',
      },
      { type: 'fallback.used' },
    ]);
  });

  it('replaces by default what says that the service is not there, and nothing else', () => {
    const yes = [
      new RejectedError({ by: 'breaker' }),
      new NoEndpointError({ service: 'a', state: 'empty' }),
      new TimeoutError({ of: 'call', ms: 1 }),
      new TimeoutError({ of: 'attempt', ms: 1 }),
    ];
    const no = [
      new RejectedError({ by: 'limit' }),
      new CanceledError(),
      new ConfigError([{ name: 'a', expected: 'b' }]),
      new TypeError('a bug'),
      undefined,
    ];
    expect(yes.map(isUnavailable)).toEqual(yes.map(() => true));
    expect(no.map(isUnavailable)).toEqual(no.map(() => false));
  });

  it('throws what it does not replace', async () => {
    const canceled = new CanceledError();
    await expect(layer(callTo(), scripted(fail(canceled)))).rejects.toBe(canceled);
    const never = fallback({ to: {}, when: () => false });
    await expect(never(callTo(), scripted(refuse()))).rejects.toMatchObject({ code: 'ERR_TRANSPORT' });
  });

  it('asks a function, which hears what went wrong and may fail', async () => {
    const seen: unknown[] = [];
    const asking = fallback({
      to: (call, error, status) => {
        seen.push([call.service, (error as Error | null)?.name, status]);
        return createReply({ status: 299 });
      },
      fromStatus: 500,
    });
    expect((await asking(callTo('a'), scripted(refuse()))).status).toBe(299);
    expect((await asking(callTo('b'), scripted(reply(500)))).status).toBe(299);
    expect((await asking(callTo('c'), scripted(reply(499)))).status).toBe(499);
    expect(seen).toEqual([
      ['a', 'TransportError', null],
      ['b', undefined, 500],
    ]);
    const broken = fallback({
      to: () => {
        throw new RangeError('no cache');
      },
    });
    await expect(broken(callTo(), scripted(refuse()))).rejects.toBeInstanceOf(RangeError);
  });

  it('discards the reply that it replaces', async () => {
    const call = callTo();
    const backend = scripted(reply(500, { body: ['x', 'y'], stallAfter: 1 }));
    const got = await fallback({ to: { body: 'instead' }, fromStatus: 500 })(call, backend);
    expect(await readText(got)).toBe('instead');
    checkLeaks({ backend, scopes: [call.scope] });
  });

  it.each([
    [new RejectedError({ by: 'breaker' }), 'breaker'],
    [new NoEndpointError({ service: 'a', state: 'empty' }), 'no-endpoint'],
    [new TimeoutError({ of: 'call', ms: 1 }), 'timeout'],
    [new CanceledError(), 'canceled'],
    [new RangeError('x'), 'RangeError'],
    ['x', 'error'],
  ])('says in a word why: %s', async (error, reason) => {
    const call = callTo();
    const events = recordEvents(call.runtime);
    const got = await fallback({ to: {}, when: () => true })(call, scripted(fail(() => error)));
    expect(got.insteadOf).toBe(reason);
    expect(events).toEqual([{ type: 'fallback.used', service: 'payments', error, reason, from: 'reply' }]);
  });

  it('says so of a status, too', async () => {
    const call = callTo();
    const events = recordEvents(call.runtime);
    const got = await fallback({ to: () => createReply(), fromStatus: 500 })(call, scripted(reply(503)));
    expect(got.insteadOf).toBe('status 503');
    expect(events).toMatchObject([{ error: null, reason: 'status 503', from: 'function' }]);
  });

  it('lets the failure through if the function has nothing, and the answer stay open', async () => {
    const call = callTo();
    const events = recordEvents(call.runtime);
    const none = fallback({ to: async () => null, fromStatus: 500 });
    await expect(none(call, scripted(refuse()))).rejects.toMatchObject({ code: 'ERR_TRANSPORT' });
    expect(await readText(await none(call, scripted(reply(500, { body: 'sorry' }))))).toBe('sorry');
    expect(events).toEqual([]);
  });

  it('lets go of the answer if the function fails', async () => {
    const backend = scripted(reply(500, { body: ['x', 'y'], stallAfter: 1 }));
    const broken = fallback({ to: () => Promise.reject(new RangeError('no cache')), fromStatus: 500 });
    await expect(broken(callTo(), backend)).rejects.toBeInstanceOf(RangeError);
    checkLeaks({ backend });
  });

  it('in shadow replaces nothing and counts; off is passed by', async () => {
    const call = callTo();
    const events = recordEvents(call.runtime);
    const shadow = fallback({ mode: 'shadow', to: {}, fromStatus: 500 });
    await expect(shadow(call, scripted(refuse()))).rejects.toMatchObject({ code: 'ERR_TRANSPORT' });
    expect(await readText(await shadow(call, scripted(reply(500, { body: 'sorry' }))))).toBe('sorry');
    const would = { type: 'policy.shadowed', service: call.service, policy: 'fallback', would: 'replace' };
    expect(events).toEqual([would, would]);
    const off = fallback({ mode: 'off', to: {}, fromStatus: 500 });
    await expect(off(call, scripted(refuse()))).rejects.toMatchObject({ code: 'ERR_TRANSPORT' });
    expect(events.length).toBe(2);
  });

  it('lists everything that is wrong with its options, a missing `to` included', () => {
    expect(() => fallback(undefined as never)).toThrow('fallback.to');
    expect(() => fallback({ fromStatus: 200, when: 1 } as never)).toThrow('3 problems');
    expect(() => fallback({ stale: 1, mode: 'maybe' } as never)).toThrow('2 problems');
    expect(() => fallback({ stale: { maxAgeMs: 0, maxEntries: 0, key: 'id', maxBytes: 0 } } as never)).toThrow(
      '4 problems',
    );
    expect(() => fallback({ stale: { maxAge: 1 } } as never)).toThrow('maxAgeMs');
    expect(() => fallback({ to: { status: 'ok' } as never })).toThrow(ConfigError);
    expect(() => fallback({ to: { body: { json: 1 } } as never })).toThrow(ConfigError);
    expect(() => fallback({ to: () => createReply(), fallbackTo: 1 } as never)).toThrow(ConfigError);
  });
});
