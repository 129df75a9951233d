/**
 * Would catch: a scripted backend that is kinder than a real transport. One that throws synchronously, ignores the call's
 * scope, answers before it has read the request, or loses count of what is open.
 */
import {
  CanceledError,
  createEndpoint,
  readBytes,
  readText,
  Scope,
  TimeoutError,
  TransportError,
} from '@fairlead/core';
import { describe, expect, it } from 'vitest';
import { callTo } from './call-to.js';
import { checkLeaks } from './leaks.js';
import { scripted } from './scripted.js';
import { fail, hang, refuse, reply, reset } from './steps.js';
import { VirtualClock } from './virtual-clock.js';

describe('the script', () => {
  it('plays one step for every call', async () => {
    const backend = scripted(reply(204));
    expect([(await backend(callTo())).status, (await backend(callTo())).status]).toEqual([204, 204]);
    expect(backend.calls.length).toBe(2);
  });

  it('plays a list, step by step, and says when it is used up', async () => {
    const backend = scripted([reply(503, { headers: { 'retry-after': '1' } }), reply(200, { body: 'ok' })]);
    const first = await backend(callTo());
    expect([first.status, first.headers['retry-after']]).toEqual([503, '1']);
    expect(await readText(await backend(callTo()))).toBe('ok');
    await expect(backend(callTo())).rejects.toThrow('has 2 steps, and this is request 3');
  });

  it('plays a function of the call and its number', async () => {
    const backend = scripted((call, n) => reply(n === 1 ? 500 : 200, { body: call.path }));
    expect((await backend(callTo())).status).toBe(500);
    expect(await readText(await backend(callTo('a', { path: '/x' })))).toBe('/x');
  });

  it('plays a script for each endpoint, by id or origin', async () => {
    const a = createEndpoint('http://a:1', { id: 'first' });
    const b = createEndpoint('http://b:1');
    const backend = scripted({ first: [reply(200), reply(201)], 'http://b:1': refuse() });
    const status = async (endpoint: typeof a): Promise<number> => (await backend(callTo('s', { endpoint }))).status;
    expect(await status(a)).toBe(200);
    await expect(status(b)).rejects.toThrow(TransportError);
    expect(await status(a)).toBe(201);
    await expect(status(createEndpoint('http://c:1'))).rejects.toThrow('no script for endpoint http://c:1');
    await expect(backend(callTo())).rejects.toThrow('(none)');
  });

  it('turns what a script function throws into a rejection', async () => {
    const backend = scripted(() => {
      throw new Error('bad script');
    });
    await expect(backend(callTo())).rejects.toThrow('bad script');
    checkLeaks({ backend });
  });
});

describe('failures', () => {
  it('makes the errors of a real transport', async () => {
    const endpoint = createEndpoint('http://a:1');
    const error = async (backend: ReturnType<typeof scripted>): Promise<TransportError> =>
      (await backend(callTo('s', { endpoint })).catch((e) => e)) as TransportError;
    const refused = await error(scripted(refuse()));
    expect([refused.phase, refused.sent, (refused.cause as { code: string }).code]).toEqual([
      'connect',
      'no',
      'ECONNREFUSED',
    ]);
    expect([refused.service, refused.endpoint]).toEqual(['s', 'http://a:1']);
    const cut = await error(scripted(reset()));
    expect([cut.phase, cut.sent, (cut.cause as { code: string }).code]).toEqual(['wait', 'maybe', 'ECONNRESET']);
    expect(await error(scripted(fail(new RangeError('any'))))).toBeInstanceOf(RangeError);
    expect(await error(scripted(fail((call) => new Error(`no ${call.service}`))))).toHaveProperty('message', 'no s');
  });

  it('takes its time', async () => {
    const clock = new VirtualClock();
    const backend = scripted([reply(200, { afterMs: 20 }), refuse({ afterMs: 5 })]);
    const call = callTo('s', { clock });
    await clock.run(backend(call));
    expect(clock.now()).toBe(20);
    await expect(clock.run(backend(call))).rejects.toThrow('ECONNREFUSED');
    expect(clock.now()).toBe(25);
    checkLeaks({ clock, backend, scopes: [call.scope] });
  });
});

describe('the scope of the call', () => {
  it.each([
    ['a backend that hangs', hang()],
    ['one that takes longer', reply(200, { afterMs: 100 })],
  ])('ends %s', async (_, step) => {
    const clock = new VirtualClock();
    const backend = scripted(step);
    const call = callTo('s', { clock });
    call.scope.expireAt(50, 'attempt', 50);
    const pending = backend(call);
    expect(backend.waiting).toBe(1);
    await expect(clock.run(pending)).rejects.toThrow(TimeoutError);
    expect(clock.now()).toBe(50);
    checkLeaks({ clock, backend, scopes: [call.scope] });
  });

  it('is asked before anything is sent', async () => {
    const backend = scripted(reply());
    const call = callTo();
    call.scope.cancel(new CanceledError({ message: 'enough' }));
    await expect(backend(call)).rejects.toThrow('enough');
    expect(backend.waiting).toBe(0);
  });
});

describe('the body of a request', () => {
  async function* slowly(clock: VirtualClock, ...pieces: string[]): AsyncGenerator<Uint8Array> {
    const { sleep } = await import('@fairlead/core');
    for (const piece of pieces) {
      await sleep(clock, 10);
      yield new TextEncoder().encode(piece);
    }
  }

  it('is read before the answer, and remembered', async () => {
    const clock = new VirtualClock();
    const backend = scripted(reply(200, { afterMs: 5 }));
    const post = { clock, method: 'POST' } as const;
    await clock.run(backend(callTo('s', { ...post, body: 'text' })));
    await clock.run(backend(callTo('s', { ...post, body: new TextEncoder().encode('bytes') })));
    expect(clock.now()).toBe(10);
    await clock.run(backend(callTo('s', { ...post, body: { open: () => slowly(clock, 'a', 'b') } })));
    expect(clock.now()).toBe(35);
    const once = { once: slowly(clock, 'x'), started: false };
    await clock.run(backend(callTo('s', { ...post, body: once })));
    expect(once.started).toBe(true);
    expect(backend.bodies).toEqual(['text', 'bytes', 'ab', 'x']);
    await expect(backend(callTo('s', { ...post, body: once }))).rejects.toMatchObject({ phase: 'send' });
  });

  it('is not touched when nobody listens, or when the answer comes early', async () => {
    const clock = new VirtualClock();
    const body = { once: slowly(clock, 'x'), started: false };
    const backend = scripted([refuse(), reply(413, { early: true })]);
    await expect(backend(callTo('s', { clock, body }))).rejects.toThrow();
    expect((await backend(callTo('s', { clock, body }))).status).toBe(413);
    expect(body.started).toBe(false);
  });

  it('may fail, which is an error of sending', async () => {
    const backend = scripted(reply());
    const broken = {
      async *open(): AsyncGenerator<Uint8Array> {
        yield new Uint8Array(1);
        throw new Error('disk');
      },
    };
    await expect(backend(callTo('s', { body: broken }))).rejects.toMatchObject({ phase: 'send', sent: 'maybe' });
    checkLeaks({ backend });
  });

  it('is no longer read once the call is canceled', async () => {
    const clock = new VirtualClock();
    const backend = scripted(reply());
    let asked = 0;
    const endless = {
      async *open(): AsyncGenerator<Uint8Array> {
        for (;;) {
          asked++;
          yield* slowly(clock, 'x');
        }
      },
    };
    const call = callTo('s', { clock, body: endless });
    call.scope.expireAt(35, 'call', 35);
    await expect(clock.run(backend(call))).rejects.toThrow(TimeoutError);
    await clock.advance(1_000);
    expect(asked).toBe(4);
    checkLeaks({ clock, backend });
  });
});

describe('the counts', () => {
  it('tell what is waiting, what is open, and the most at one time', async () => {
    const clock = new VirtualClock();
    const backend = scripted(reply(200, { body: 'a', afterMs: 10 }));
    const scope = new Scope(clock);
    const pending = [1, 2, 3].map(() => backend(callTo('s', { clock, scope: scope.child() })));
    expect([backend.waiting, backend.open, backend.peak]).toEqual([3, 0, 3]);
    await clock.advance(10);
    expect([backend.waiting, backend.open]).toEqual([0, 3]);
    for (const each of await Promise.all(pending)) await readBytes(each);
    await clock.run(backend(callTo('s', { clock })));
    expect([backend.waiting, backend.open, backend.peak]).toEqual([0, 1, 3]);
  });
});
