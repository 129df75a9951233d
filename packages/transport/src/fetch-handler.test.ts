/**
 * Catches a handler over somebody else's fetch that sends something else than the call says, follows redirects or decodes
 * twice, hangs on to a canceled call, reads ahead of its reader, or claims that nothing was sent when something may have been.
 */
import { gzipSync } from 'node:zlib';
import {
  type BodySink,
  CanceledError,
  ConfigError,
  type Reply,
  readText,
  Scope,
  systemClock,
  TimeoutError,
  TransportError,
} from '@fairlead/core';
import { countResources, VirtualClock } from '@fairlead/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { bodyOf, call, closedPort, gate, httpServer, nextTurn, rejection, type TestServer } from '../test/servers.js';
import { createFetch } from './fetch/fetch.js';
import { fetchHandler } from './fetch-handler.js';

const servers: TestServer[] = [];
let resources = countResources();
beforeEach(() => {
  resources = countResources();
});
afterEach(async () => {
  for (const server of servers.splice(0)) await server.close();
  await resources.check();
});
async function http(...args: Parameters<typeof httpServer>): Promise<TestServer> {
  const server = await httpServer(...args);
  servers.push(server);
  return server;
}

const handler = fetchHandler(globalThis.fetch);
const endpoint = { id: 'a', origin: 'http://a.invalid', weight: 1, zone: null, priority: 0, attributes: {} };

async function* pieces(...texts: string[]): AsyncGenerator<Uint8Array> {
  for (const text of texts) yield new TextEncoder().encode(text);
}

describe('fetchHandler', () => {
  it.each<[string, unknown]>([
    ['nothing', undefined],
    ['something else', { status: 200 }],
    ['a response whose body is being read', new Response('a')],
  ])('fails when the fetch gives back %s, instead of waiting for ever', async (_, given) => {
    if (given instanceof Response) given.body?.getReader();
    const error = await rejection(fetchHandler((async () => given) as never)(call(endpoint)));
    expect([error instanceof TransportError, error.phase, error.sent]).toEqual([true, 'wait', 'maybe']);
  });

  it('refuses a Unix socket, of which fetch knows nothing', async () => {
    const error = await rejection(handler(call({ ...endpoint, origin: 'unix:/run/a.sock' })));
    expect(error).toBeInstanceOf(ConfigError);
    expect(error.message).toContain('unix:/run/a.sock');
  });

  it('sends the call to its endpoint, and gives the answer', async () => {
    const server = await http(async (request, response) => {
      const { method, url, headers } = request;
      response.writeHead(201, 'Made', { 'X-A': 'a', 'set-cookie': ['a=1', 'b=2'] });
      response.end(JSON.stringify([method, url, headers['x-b'], headers.connection, await bodyOf(request)]));
    });
    const headers = ['x-b', '1', 'connection', 'close', 'te', 'trailers'];
    const reply = await handler(call(server, { method: 'PUT', path: '/x?y', headers, body: 'hi' }));
    const ends: unknown[] = [];
    reply.onEnd((error) => ends.push(error));
    expect([reply.status, (reply as Reply & { statusText: string }).statusText, reply.headers['x-a']]).toEqual([
      201,
      'Made',
      'a',
    ]);
    expect(reply.headers['set-cookie']).toEqual(['a=1', 'b=2']);
    expect([reply.endpoint, ends]).toEqual([server.endpoint, []]);
    expect(JSON.parse(await readText(reply))).toEqual(['PUT', '/x?y', '1', 'keep-alive', 'hi']);
    expect(ends).toEqual([null]);
  });

  it.each([
    ['open', () => ({ open: () => pieces('a', 'b'), length: 2 })],
    ['once', () => ({ once: pieces('a', 'b') })],
    ['bytes', () => new TextEncoder().encode('ab')],
  ])('sends a body of the kind %s', async (_, body) => {
    const server = await http(async (request, response) => response.end(await bodyOf(request)));
    const sent = body();
    const reply = await handler(call(server, { method: 'POST', body: sent }));
    expect(await readText(reply)).toBe('ab');
    expect('once' in sent ? sent : { started: true }).toMatchObject({ started: true });
  });

  it('gives redirects and empty bodies as they are', async () => {
    const server = await http((request, response) => {
      response.writeHead(request.url === '/r' ? 302 : 204, { location: '/x' }).end();
    });
    const redirect = await handler(call(server, { path: '/r' }));
    expect([redirect.status, redirect.headers.location, await readText(redirect)]).toEqual([302, '/x', '']);
    const empty = await handler(call(server));
    const ends: unknown[] = [];
    empty.onEnd((error) => ends.push(error));
    expect([ends, await readText(empty)]).toEqual([[null], '']);
  });

  it('gives a decoded body without the headers of its coding, under a fetch that decodes too', async () => {
    const server = await http((_, response) => response.setHeader('content-encoding', 'gzip').end(gzipSync('hello')));
    const route = { service: 'payments', runtime: { clock: systemClock }, handler };
    const outer = createFetch({
      route: () => ({ ...route, handler: (c) => handler(c.with({ endpoint: server.endpoint })) }),
    });
    const response = await outer('http://payments/');
    expect([await response.text(), response.headers.get('content-encoding')]).toEqual(['hello', null]);
  });

  it('a refused connection was not sent; a reset may have been', async () => {
    const refused = await rejection(handler(call(await closedPort())));
    expect(refused).toBeInstanceOf(TransportError);
    expect([refused.phase, refused.sent, refused.cause.code]).toEqual(['connect', 'no', 'ECONNREFUSED']);
    const server = await http((request) => request.socket.destroy());
    const reset = await rejection(handler(call(server)));
    expect([reset.phase, reset.sent]).toEqual(['wait', 'maybe']);
  });

  it('a reset in the middle of the body', async () => {
    const server = await http((_, response) => void response.write('abc', () => response.destroy()));
    const reply = await handler(call(server));
    const ended = new Promise((resolve) => reply.onEnd(resolve));
    const error = await rejection(readText(reply));
    expect(error).toBeInstanceOf(TransportError);
    expect([error.phase, await ended]).toEqual(['body', error]);
  });

  it('refuses a path that leaves its origin, and a call without endpoint', async () => {
    const never = fetchHandler(() => {
      throw new Error('not to be called');
    });
    expect(await rejection(never(call(endpoint, { path: '//evil.test' })))).toBeInstanceOf(ConfigError);
    expect(await rejection(never(call(endpoint).with({ endpoint: null })))).toBeInstanceOf(ConfigError);
  });

  it('a fetch that throws is a rejection', async () => {
    const bug = new Error('bug');
    const throwing = fetchHandler(() => {
      throw bug;
    });
    expect(await rejection(throwing(call(endpoint)))).toBe(bug);
  });

  it('rejects at once when the call is canceled, even if fetch does not listen, and lets a late answer go', async () => {
    const late = gate<Response>();
    const deaf = fetchHandler(() => late.promise);
    const scope = new Scope(systemClock);
    const pending = rejection(deaf(call(endpoint, { scope })));
    scope.cancel();
    expect(await pending).toBe(scope.reason);
    let canceled = 0;
    late.open(new Response(new ReadableStream({ cancel: () => void canceled++ })));
    await nextTurn();
    expect(canceled).toBe(1);
    expect(await rejection(deaf(call(endpoint, { scope })))).toBe(scope.reason);
  });

  it('names the endpoint of an attempt that runs out of time, in virtual time', async () => {
    const clock = new VirtualClock();
    const scope = new Scope(clock);
    scope.expireAt(clock.now() + 50, 'attempt', 50);
    const hung = fetchHandler(() => new Promise(() => {}));
    const error = await clock.run(rejection(hung(call(endpoint, { scope, runtime: { clock } }))));
    expect(error).toBeInstanceOf(TimeoutError);
    expect([error.endpoint, error.sent, clock.now() >= 50, clock.pending]).toEqual(['a', 'maybe', true, 0]);
  });

  it('canceled in the middle of the body: the sink gets the reason', async () => {
    const server = await http((_, response) => void response.write('abc'));
    const scope = new Scope(systemClock);
    const reply = await handler(call(server, { scope }));
    const text = rejection(readText(reply));
    await nextTurn();
    scope.cancel();
    expect(await text).toBe(scope.reason);
    await server.quiet();
  });

  it('reads no further than its reader wants', async () => {
    let pulled = 0;
    const endless = new ReadableStream({
      pull(controller) {
        pulled++;
        controller.enqueue(new Uint8Array(10));
      },
    });
    const reply = await fetchHandler(() => Promise.resolve(new Response(endless)))(call(endpoint));
    await nextTurn();
    const before = pulled;
    let got = 0;
    const sink: BodySink = {
      onData: () => {
        got++;
        reply.body.pause();
      },
      onEnd: () => {},
      onError: () => {},
    };
    reply.body.attach(sink);
    await nextTurn();
    expect([before <= 2, got, pulled <= 4]).toEqual([true, 1, true]);
    reply.body.resume();
    await nextTurn();
    expect(got).toBe(2);
    const ended = new Promise((resolve) => reply.onEnd(resolve));
    reply.body.cancel(new CanceledError());
    expect(await ended).toBeInstanceOf(CanceledError);
  });
});
