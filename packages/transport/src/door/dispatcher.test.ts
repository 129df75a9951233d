/**
 * Catches a door that is no dispatcher to undici: that refuses in another way, cannot be closed like one, leaves other hosts
 * to nobody, hides its connections, or cannot stand below interceptors.
 */
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { describe, expect, it } from 'vitest';
import { Recorder, undici } from '../../test/door.js';
import { doorSite } from '../../test/door-site.js';
import { bodyOf, closedPort, rejection, until } from '../../test/servers.js';
import type { Dispatcher } from '../undici.js';
import { explanationOf } from './index.js';

const { over, http, raw } = doorSite();

const get = { origin: 'http://svc', path: '/', method: 'GET' } as const;

describe('refusals', () => {
  const refused = (options: object, handler: object = new Recorder()): unknown => {
    const { door } = over([]);
    expect(door.dispatch(options as never, handler as never)).toBe(false);
    return (handler as Recorder).told[0];
  };

  it('are told to the handler, before anything else', () => {
    expect(refused({ ...get, origin: undefined })).toBe('error opts.origin must be a non-empty string or URL.');
    expect(refused({ ...get, path: '//evil' })).toBe("error path must begin with one '/'");
    expect(refused({ ...get, path: 'http://evil/' })).toBe("error path must begin with one '/'");
    expect(refused({ ...get, method: 1 })).toBe('error method must be a string');
    expect(refused({ ...get, throwOnError: true })).toBe('error invalid throwOnError');
    expect(refused({ ...get, maxRedirections: 1 })).toMatch(/^error maxRedirections is not supported/);
    expect(refused({ ...get, path: '/?a=1', query: { b: 2 } })).toMatch(/^error Query params cannot/);
    expect(refused({ ...get, headers: ['odd'] })).toBe('error headers array must be even');
    expect(refused({ ...get, headers: { a: {} } })).toBe('error invalid a header');
    expect(refused({ ...get, headers: 'a' })).toBe('error headers must be an object or an array');
    expect(refused({ ...get, headers: new Set(['a']) })).toBe('error headers must be in key-value pair format');
    expect(refused({ ...get, body: 1 })).toMatch(/^error body must be a string/);
    expect(refused(null as never)).toBe('error opts must be an object.');
  });

  it('are thrown where there is no handler that could be told', () => {
    const { door } = over([]);
    expect(() => door.dispatch(get, null as never)).toThrow('handler must be an object');
    expect(() => door.dispatch(get, {})).toThrow('invalid onRequestStart method');
    const handler = new Recorder();
    Object.assign(handler, { onResponseData: undefined });
    expect(door.dispatch(get, handler)).toBe(false);
    expect(handler.told).toEqual(['error invalid onResponseData method']);
  });
});

describe('closing', () => {
  it('waits for what is under way, refuses what comes after it, and says so to everybody who asks', async () => {
    let answer: (() => void) | null = null;
    const { door, sent } = over([await http((_, response) => void (answer = () => response.end('late')))]);
    const asked = undici.request('http://svc', { dispatcher: door });
    await until(() => answer !== null);
    let closed = 0;
    const closing = [door.close(), new Promise<void>((resolve) => door.close(resolve))];
    for (const each of closing) void each.then(() => closed++);
    const state = door as unknown as { closed: boolean; destroyed: boolean };
    expect([state.closed, state.destroyed]).toEqual([true, false]);
    expect((await rejection(undici.request('http://svc', { dispatcher: door }))).code).toBe('UND_ERR_CLOSED');
    expect([closed, sent.length]).toEqual([0, 1]);
    (answer as unknown as () => void)();
    const { body } = await asked;
    expect(await body.text()).toBe('late');
    await Promise.all(closing);
    expect(state.destroyed).toBe(true);
    expect((await rejection(undici.request('http://svc', { dispatcher: door }))).code).toBe('UND_ERR_DESTROYED');
    expect((await rejection(door.close())).code).toBe('UND_ERR_DESTROYED');
  });

  it('is not held up by a body that nobody reads, once the connections are closed', async () => {
    const made = over([await http((_, response) => void response.end(Buffer.alloc(10_000_000)))]);
    const { body } = await undici.request('http://svc', { dispatcher: made.door });
    const broken = new Promise((resolve) => body.on('error', resolve));
    const closed = made.door.close();
    await made.close();
    await closed;
    expect(explanationOf(await broken)).toMatchObject({ code: 'ERR_TRANSPORT', service: 'svc' });
  });

  it.each([undefined, new Error('enough')])('by force fails what is under way with %s', async (reason) => {
    const server = await raw(() => {});
    const { door, sent } = over([server]);
    const failed = rejection(undici.request('http://svc', { dispatcher: door }));
    await until(() => sent.length === 1);
    await door.destroy(reason as never);
    const error = await failed;
    expect(reason === undefined ? error.code : error).toBe(reason ?? 'UND_ERR_DESTROYED');
    await new Promise<void>((resolve) => door.destroy(resolve));
  });
});

describe('the fallback', () => {
  it.each([undefined, 'no url', 'http://a:b@elsewhere', new URL('ftp://elsewhere')])(
    'judges the origin %s',
    (origin) => {
      const got: unknown[] = [];
      const fallback = { dispatch: (options: Dispatcher.DispatchOptions) => got.push(options.origin) > 0 } as never;
      expect(over([], { fallback }).door.dispatch({ ...get, origin } as never, new Recorder())).toBe(true);
      expect(got).toEqual([origin]);
    },
  );

  it('takes it without the name of its dispatcher, which undici 8 refuses', () => {
    const got: object[] = [];
    const { door } = over([], { fallback: { dispatch: (options: object) => got.push(options) > 0 } as never });
    const options = { ...get, origin: 'http://elsewhere' };
    door.dispatch(options, new Recorder());
    door.dispatch({ ...options, dispatcher: door } as never, new Recorder());
    expect(got[0]).toBe(options);
    expect(got[1]).toEqual({ ...options, dispatcher: undefined });
  });
});

describe('mocks behind it', () => {
  it('answer for other hosts, and see the body that fetch sends', async () => {
    const mock = new undici.MockAgent();
    mock.disableNetConnect();
    mock.get('http://elsewhere').intercept({ path: '/', method: 'PUT', body: 'abc' }).reply(200, 'mocked').times(2);
    const server = await http(async (request, response) => {
      const { 'content-type': type = '', 'content-length': length } = request.headers;
      response.end(JSON.stringify([type.replace(/=.*/, ''), length, (await bodyOf(request)).length]));
    });
    const { door } = over([server], { fallback: mock });
    const ask = { method: 'PUT', body: 'abc', dispatcher: door };
    const { body } = await undici.request('http://elsewhere', { ...ask, method: 'PUT' });
    expect(await body.text()).toBe('mocked');
    expect(await (await undici.fetch('http://elsewhere', ask)).text()).toBe('mocked');
    // Services are not mocked, and get what fetch would have sent.
    const form = new undici.FormData();
    form.append('a', 'b');
    const { fetch } = undici;
    expect(await (await fetch('http://svc', ask)).json()).toEqual(['text/plain;charset', '3', 3]);
    const [type, length, bytes] = (await (await fetch('http://svc', { ...ask, body: form })).json()) as unknown[];
    expect([type, Number(length)]).toEqual(['multipart/form-data; boundary', bytes]);
    await mock.close();
  });
});

describe('its connections', () => {
  it("are in undici's diagnostics channels", async () => {
    const told: string[] = [];
    const names = ['connected', 'connectError', 'sendHeaders'];
    const listeners = names.map((name): [string, () => void] => [`undici:client:${name}`, () => void told.push(name)]);
    for (const [channel, listener] of listeners) subscribe(channel, listener);
    const { door } = over([{ endpoint: await closedPort() }, await http((_, response) => response.end())]);
    await (await undici.request('http://svc', { dispatcher: door })).body.dump();
    for (const [channel, listener] of listeners) unsubscribe(channel, listener);
    expect(told).toEqual(['connectError', 'connected', 'sendHeaders']);
  });
});

describe('interceptors on top', () => {
  it('see a dispatcher like any other', async () => {
    let n = 0;
    const server = await http((request, response) => {
      if (request.url === '/') response.writeHead(302, { location: '/there' }).end();
      else response.writeHead(++n < 3 ? 500 : 200).end('there');
    });
    const { interceptors } = undici;
    const { door } = over([server]);
    const composed = door.compose(
      interceptors.retry({ minTimeout: 1, statusCodes: [500] }),
      interceptors.redirect({ maxRedirections: 3 }),
    );
    const { statusCode, body } = await undici.request('http://svc', { dispatcher: composed });
    expect([statusCode, await body.text(), n]).toEqual([200, 'there', 3]);
    const dumped = door.compose(interceptors.dump({ maxSize: 10 }));
    expect(await (await undici.request('http://svc/there', { dispatcher: dumped })).body.text()).toBe('');
    // A Proxy stands in front of it: this fails with fields that are private.
    await composed.close();
    expect((door as unknown as { closed: boolean }).closed).toBe(true);
  });

  it("is asked through undici's functions on itself", async () => {
    const { door } = over([await http((_, response) => response.end('self'))]);
    const { body } = await door.request({ origin: 'http://svc', path: '/', method: 'GET' });
    expect(await body.text()).toBe('self');
  });
});
