/**
 * Catches a door that does not keep undici's word to a handler: pauses that are not obeyed, a throw that is lost or told
 * twice, trailers and interim answers that do not arrive, handlers of undici 6.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { RequestListener } from 'node:http';
import { createReply, type Middleware } from '@fairlead/core';
import { describe, expect, it } from 'vitest';
import { Recorder, undici } from '../../test/door.js';
import { doorSite } from '../../test/door-site.js';
import { bodyOf, nextTurn, rejection, type TestServer, until } from '../../test/servers.js';
import type { Dispatcher } from '../undici.js';

const { over, http, raw } = doorSite();

const get = { origin: 'http://svc', path: '/', method: 'GET' } as const;

const big: RequestListener = (_, response) => {
  response.writeHead(200, { 'content-length': 8_000_000 });
  response.end(Buffer.alloc(8_000_000));
};

describe('a handler that pauses', () => {
  it.each(['onResponseStart', 'onResponseData'] as const)('in %s gets no more until it resumes', async (where) => {
    const { door } = over([await http(big)]);
    const handler = new Recorder();
    let paused = false;
    const before = handler[where] as (...args: unknown[]) => void;
    handler[where] = (...args: unknown[]) => {
      before.apply(handler, args);
      if (paused) return;
      paused = true;
      handler.controller.pause();
    };
    door.dispatch(get, handler);
    await until(() => paused);
    const seen = handler.bytes;
    for (let turn = 0; turn < 200; turn++) await nextTurn();
    expect(handler.bytes).toBe(seen);
    expect(seen).toBeLessThan(where === 'onResponseStart' ? 1 : 70_000);
    handler.controller.resume();
    await until(() => handler.over);
    expect(handler.bytes).toBe(8_000_000);
  });

  it('before there is an answer gets the head alone', async () => {
    let n = 0;
    const server = await http((request, response) => {
      if (++n === 1) response.writeHead(503).end('wait');
      else big(request, response);
    });
    const { door } = over([server]);
    const handler = new Recorder();
    door.dispatch(get, handler);
    handler.controller.pause();
    await until(() => handler.told.length === 1);
    for (let turn = 0; turn < 50; turn++) await nextTurn();
    expect(handler.bytes).toBe(0);
    handler.controller.resume();
    await until(() => handler.over);
    expect(handler.bytes).toBe(8_000_000);
  });

  it('holds the other side back as plain undici does', async () => {
    const sentWith = async (dispatcher: Dispatcher, server: TestServer, origin: string): Promise<number> => {
      const { body } = await undici.request(origin, { dispatcher });
      let written = -1;
      for (let still = 0; still < 50; still++) {
        await nextTurn();
        const [socket] = server.sockets;
        const now = socket === undefined ? 0 : socket.bytesWritten;
        if (now !== written) still = 0;
        written = now;
      }
      body.on('error', () => {}).destroy();
      return written;
    };
    const server = await http((_, response) => {
      const more = (): void => {
        while (response.write(Buffer.alloc(65_536)));
      };
      response.on('drain', more);
      more();
    });
    const agent = new undici.Agent();
    const plain = await sentWith(agent, server, server.origin);
    await agent.destroy();
    await server.quiet();
    const { door } = over([server]);
    const ours = await sentWith(door, server, 'http://svc');
    expect(ours).toBeLessThan(plain + 1_000_000);
  });
});

describe('a handler that throws', () => {
  it.each(['onRequestStart', 'onResponseStart', 'onResponseData', 'onResponseEnd'] as const)(
    'in %s is told, once',
    async (where) => {
      const { door } = over([await http((_, response) => response.end('x'))]);
      const handler = new Recorder();
      handler[where] = () => {
        throw new Error('oops');
      };
      door.dispatch(get, handler);
      await until(() => handler.over);
      await nextTurn();
      expect(handler.told.filter((each) => each.startsWith('error'))).toEqual(['error oops']);
    },
  );
});

describe('what passes through', () => {
  it('trailers, reason phrase, repeated headers, raw headers', async () => {
    const server = await raw((socket) => {
      socket.write('HTTP/1.1 200 Fine\r\nX-Two: 1\r\nX-Two: 2\r\ntransfer-encoding: chunked\r\n\r\n');
      socket.write('2\r\nhi\r\n0\r\nx-sum: 7\r\n\r\n');
    });
    const { door } = over([server]);
    const handler = new Recorder();
    door.dispatch(get, handler);
    const pairs = (): string[] => (handler.controller.rawHeaders as Buffer[]).map(String);
    await until(() => handler.over);
    expect(handler.told).toEqual(['200 Fine {"x-two":["1","2"],"transfer-encoding":"chunked"}', 'end {"x-sum":"7"}']);
    expect(pairs().slice(0, 4)).toEqual(['X-Two', '1', 'X-Two', '2']);
    expect((handler.controller.rawTrailers as Buffer[]).map(String)).toEqual(['x-sum', '7']);
    const { headers, trailers, body } = await undici.request('http://svc', {
      dispatcher: door,
      responseHeaders: 'raw',
    });
    expect(headers).toMatchObject({ length: 6 });
    await body.text();
    expect(trailers).toEqual({ 'x-sum': '7' });
  });

  it('interim answers', async () => {
    const server = await http((_, response) => {
      response.writeEarlyHints({ link: '</a>; rel=preload' });
      response.end('after');
    });
    const infos: unknown[] = [];
    const onInfo = (info: unknown): void => void infos.push(info);
    const { body } = await undici.request('http://svc', { dispatcher: over([server]).door, onInfo } as never);
    expect(await body.text()).toBe('after');
    expect(infos).toEqual([{ statusCode: 103, headers: { link: '</a>; rel=preload' } }]);
  });

  it('query, lists of headers in every form, and a body of a legacy stream', async () => {
    const server = await http((request, response) =>
      response.end(JSON.stringify([request.url, request.headers['x-a'], request.headers['x-b']])),
    );
    const { door } = over([server]);
    const answers: unknown[] = [];
    const forms = [
      { 'X-A': ['1', '2'], 'x-b': 3, 'x-c': undefined },
      ['X-A', '1', 'x-A', '2', 'x-b', 3],
      new Map<string, unknown>([
        ['X-A', ['1', '2']],
        ['x-b', 3],
      ]),
    ];
    for (const headers of forms) {
      const { body } = await undici.request('http://svc', {
        dispatcher: door,
        query: { q: [1, 2] },
        headers: headers as never,
      });
      answers.push(await body.json());
    }
    const same = ['/?q=1&q=2', '1, 2', '3'];
    expect(answers).toEqual([same, same, same]);
  });

  it("an answer that one of the stack's layers made", async () => {
    const standIn: Middleware = () =>
      Promise.resolve(createReply({ status: 203, headers: { 'x-a': ['1', '2'] }, body: 'in' }));
    const { door } = over([], { layers: [standIn] });
    const response = await undici.fetch('http://svc', { dispatcher: door });
    expect([response.status, response.headers.get('x-a'), await response.text()]).toEqual([203, '1, 2', 'in']);
  });

  it("its caller's context, to every attempt", async () => {
    let n = 0;
    const server = await http((_, response) => response.writeHead(++n < 3 ? 503 : 200).end());
    const { door } = over([server]);
    const storage = new AsyncLocalStorage<string>();
    const seen: unknown[] = [];
    const listen = (): void => void seen.push(storage.getStore());
    subscribe('undici:request:create', listen);
    const { body } = await storage.run('mine', () => undici.request('http://svc', { dispatcher: door }));
    unsubscribe('undici:request:create', listen);
    await body.dump();
    expect(seen).toEqual(['mine', 'mine', 'mine']);
  });

  it('a stand-in for a call whose time was up', async () => {
    const server = await raw(() => {});
    const standIn: Middleware = async (call, next) => {
      call.scope.expireAt(call.at + 20, 'call', 20);
      return next(call).catch(() => createReply({ body: 'stand-in' }));
    };
    const { door } = over([server], { layers: [standIn], attempts: 1 });
    expect(await (await undici.request('http://svc', { dispatcher: door })).body.text()).toBe('stand-in');
  });

  it('a caller that says whether it may be sent twice', async () => {
    const server = await http((_, response) => response.writeHead(503).end());
    const { door, sent } = over([server]);
    const ask = async (method: string, idempotent: boolean): Promise<number> => {
      const { body } = await undici.request('http://svc', { dispatcher: door, method, idempotent } as never);
      await body.dump();
      return sent.splice(0).length;
    };
    expect([await ask('POST', true), await ask('GET', false)]).toEqual([3, 1]);
  });

  it('arrays of any length, again; forms under a boundary of ours; one of two equal lengths', async () => {
    let n = 0;
    const server = await http(async (request, response) => {
      const body = await bodyOf(request);
      const boundary = /boundary=(.+)/.exec(request.headers['content-type'] ?? '')?.[1];
      response.writeHead(++n % 2 === 1 ? 503 : 200);
      response.end(`${boundary === undefined ? body.length : body.startsWith(`--${boundary}`)}`);
    });
    const { door } = over([server]);
    const put = async (body: unknown, headers = {}): Promise<string> => {
      const ask = { dispatcher: door, method: 'PUT', body, headers };
      const { statusCode, body: answer } = await undici.request('http://svc', ask as never);
      return `${statusCode} ${await answer.text()}`;
    };
    expect(await put([Buffer.alloc(60_000), 'x'.repeat(60_000)])).toBe('200 120000');
    expect(await put(new undici.FormData(), { 'content-type': 'multipart/form-data; boundary=theirs' })).toBe(
      '200 true',
    );
    expect(await put('abc', { 'content-length': '3, 3' })).toBe('200 3');
    expect((await rejection(put('abc', { 'content-length': '3, 4' }))).code).toBe('UND_ERR_INVALID_ARG');
  });

  it("undici's own timeouts, where they are asked for", async () => {
    const server = await raw(() => {});
    const { door, sent } = over([server], { attempts: 1 });
    const error = await rejection(undici.request('http://svc', { dispatcher: door, headersTimeout: 1 }));
    expect([error.code, sent.length]).toEqual(['UND_ERR_HEADERS_TIMEOUT', 1]);
  });
});

describe('a handler of undici 6', () => {
  it('is converted', async () => {
    const { door } = over([await http((_, response) => response.setHeader('x-a', '1').end('hello'))]);
    const told: string[] = [];
    const done = new Promise<void>((resolve) => {
      const handler = {
        onConnect: () => void told.push('connect'),
        onHeaders: (status: number, raw: Buffer[]) => told.push(`${status} ${raw[0]} ${raw[1]}`) > 0,
        onData: (chunk: Buffer) => told.push(String(chunk)) > 0,
        onComplete: () => resolve(),
        onError: (error: Error) => void told.push(error.message),
      };
      door.dispatch({ ...get, dispatcher: door } as never, handler as never);
    });
    await done;
    expect(told).toEqual(['connect', '200 x-a 1', 'hello']);
  });

  it('goes to its own fallback untouched, or to the common one converted', async () => {
    const got: unknown[] = [];
    const fallback = { dispatch: (_: unknown, handler: unknown) => got.push(handler) > 0 } as unknown as Dispatcher;
    const handler = { onConnect() {}, onError() {} } as never;
    const elsewhere = { ...get, origin: new URL('http://elsewhere') };
    over([], { legacyFallback: fallback }).door.dispatch(elsewhere, handler);
    over([], { fallback }).door.dispatch(elsewhere, handler);
    expect([got[0] === handler, typeof (got[1] as Recorder).onRequestStart]).toEqual([true, 'function']);
  });
});
