// Catches: clients of node:http and node:https (their own agents, axios, got) that installHttp does not bring onto the whole
// stack request by request; that see other errors, heads or bodies than without it; that leave something behind.
import { once } from 'node:events';
import http, { type IncomingMessage, type OutgoingHttpHeaders, type RequestOptions } from 'node:http';
import https from 'node:https';
import { type Duplex, Readable, type Writable } from 'node:stream';
import { buffer, text } from 'node:stream/consumers';
import type { Resolver } from '@fairlead/core';
import { explanationOf } from '@fairlead/transport';
import axios from 'axios';
import got from 'got';
import { describe, expect, it, onTestFinished } from 'vitest';
import { bridged } from '../test/bridged.js';
import { loads, until, worlds } from '../test/world.js';

const original = http.Agent.prototype.createConnection;
const world = worlds();
const install = bridged();

interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly text: string;
  readonly reply: IncomingMessage;
}

/** Sends with node:http or node:https, and reads the whole answer. */
async function send(url: string, options: RequestOptions = {}, body?: string | Buffer | Readable): Promise<Answer> {
  const request = (url.startsWith('https') ? https : http).request(url, options);
  if (body instanceof Readable) body.pipe(request);
  else request.end(body);
  const [reply] = (await once(request, 'response')) as [IncomingMessage];
  return { status: reply.statusCode as number, headers: reply.headers, text: await text(reply), reply };
}

/** Writes 64 MiB, or as much as is taken before nothing moves any more. */
async function pour(to: Writable): Promise<number> {
  const chunk = Buffer.alloc(65_536);
  let written = 0;
  const more = (): void => {
    do written += chunk.length;
    while (to.write(chunk) && written < 2 ** 26);
  };
  to.on('drain', () => written < 2 ** 26 && more());
  more();
  // All ends are in this process: what can move does so in the next few turns of its event loop.
  for (let still = 0, before = 0; still < 500; before = written) {
    // biome-ignore lint/style/noRestrictedGlobals: real sockets, which move once in a turn
    await new Promise<void>((resolve) => setImmediate(resolve));
    still = before === written ? still + 1 : 0;
  }
  return written;
}

// biome-ignore lint/suspicious/noExplicitAny: tests look at whatever an error has
function failure(promise: Promise<unknown>): Promise<any> {
  return promise.then(
    () => expect.unreachable('did not fail'),
    (error) => error,
  );
}

const clients: [
  string,
  (
    url: string,
    init: { method: string; body?: string; headers?: OutgoingHttpHeaders },
  ) => Promise<{ status: number; text: string }>,
][] = [
  ['node:http, global agent', (url, { body, ...rest }) => send(url, rest, body)],
  ['node:http, agent: false', (url, { body, ...rest }) => send(url, { ...rest, agent: false }, body)],
  [
    'node:http, an own agent',
    (url, { body, ...rest }) =>
      send(url, { ...rest, agent: new http.Agent({ keepAlive: false, maxSockets: 2 }) }, body),
  ],
  ['node:https', (url, { body, ...rest }) => send(url.replace('http:', 'https:'), rest, body)],
  [
    'axios',
    async (url, { method, body, headers }) => {
      const reply = await axios.request({
        url,
        method,
        data: body,
        headers: headers as never,
        validateStatus: null,
        responseType: 'text',
        transformResponse: (all) => all,
      });
      return { status: reply.status, text: reply.data };
    },
  ],
  [
    'got',
    async (url, { method, body, headers }) => {
      const reply = await got(url, {
        method: method as 'GET',
        body,
        headers: headers as never,
        throwHttpErrors: false,
        retry: { limit: 0 },
      });
      return { status: reply.statusCode, text: reply.body };
    },
  ],
];

describe.each(clients)('%s', (_, ask) => {
  it('balances every request, with or without keep-alive', async () => {
    const names = ['a', 'b', 'c'];
    const sites = await Promise.all(names.map((name) => world.http((_, response) => response.end(name))));
    install(
      world.service(
        sites.map(({ origin }) => origin),
        { picker: 'roundRobin' },
      ),
    );
    const seen: string[] = [];
    for (let i = 0; i < 6; i++) seen.push((await ask('http://svc/', { method: 'GET' })).text);
    expect([...seen].sort()).toEqual(['a', 'a', 'b', 'b', 'c', 'c']);
  });

  it('does not see an endpoint that refuses, with GET and POST', async () => {
    const site = await world.http(async (request, response) =>
      response.end(`${request.method} ${await text(request)}`),
    );
    install(world.service([await world.refusing(), site.origin], { picker: 'roundRobin' }));
    for (let i = 0; i < 2; i++) {
      expect(await ask('http://svc/', { method: 'GET' })).toMatchObject({ status: 200, text: 'GET ' });
      expect(await ask('http://svc/', { method: 'POST', body: 'once' })).toMatchObject({
        status: 200,
        text: 'POST once',
      });
    }
  });

  it('has a 503 tried again, the body of a PUT included', async () => {
    let n = 0;
    const site = await world.http(async (request, response) => {
      const body = await text(request);
      response.statusCode = n++ % 2 === 0 ? 503 : 200;
      response.end(body);
    });
    install(world.service([site.origin]));
    expect(await ask('http://svc/', { method: 'GET' })).toMatchObject({ status: 200 });
    expect(await ask('http://svc/', { method: 'PUT', body: 'twice' })).toMatchObject({ status: 200, text: 'twice' });
    expect(site.requests).toBe(4);
  });

  it('is told by the error of the system that nobody listens', async () => {
    install(world.service([await world.refusing()], { attempts: 2, retry: { baseMs: 1 } }));
    const error = await failure(ask('http://svc/', { method: 'POST', body: 'x' }));
    expect(error).toMatchObject({ code: 'ECONNREFUSED' });
    expect(error.message).toMatch(/connect ECONNREFUSED 127\.0\.0\.1:\d+/);
  });

  it('is told by our error what ran out of time', async () => {
    const site = await world.http(() => {});
    install(world.service([site.origin], { attempts: 1, attemptTimeoutMs: 30 }));
    expect(await failure(ask('http://svc/', { method: 'GET' }))).toMatchObject({ code: 'ERR_TIMEOUT' });
  });

  it('is told by our error that there is no endpoint', async () => {
    const nobody: Resolver = { name: 'nobody', watch: (tell) => tell({ endpoints: [] }) };
    install(world.client({ services: { svc: { from: nobody, attempts: 1 } } }));
    expect(await failure(ask('http://svc/', { method: 'GET' }))).toMatchObject({ code: 'ERR_NO_ENDPOINT' });
  });
});

describe('installHttp', () => {
  it('keeps what endpoint, attempts and cause were on the error of the system', async () => {
    install(world.service([await world.refusing()], { attempts: 2, retry: { baseMs: 1 } }));
    const error = await failure(send('http://svc/'));
    expect(error).toMatchObject({ syscall: 'connect', address: '127.0.0.1' });
    expect(explanationOf(error)).toMatchObject({ code: 'ERR_TRANSPORT', service: 'svc', phase: 'connect' });
    expect(explanationOf(error)?.attempts.length).toBeGreaterThan(0);
  });

  it('uses one connection of a keep-alive agent for every request, and each goes where it should', async () => {
    const sites = await Promise.all(['a', 'b'].map((name) => world.http((_, response) => response.end(name))));
    install(
      world.service(
        sites.map(({ origin }) => origin),
        { picker: 'roundRobin' },
      ),
    );
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    const sockets = new Set<Duplex>();
    const listeners: number[] = [];
    const seen: string[] = [];
    for (let i = 0; i < 6; i++) {
      seen.push((await send('http://svc/', { agent })).text);
      const free = Object.values(agent.freeSockets).flatMap((list) => list ?? []);
      for (const socket of free) {
        sockets.add(socket);
        listeners.push(socket.eventNames().reduce((sum, name) => sum + socket.listenerCount(name), 0));
      }
    }
    expect([...seen].sort()).toEqual(['a', 'a', 'a', 'b', 'b', 'b']);
    expect(sockets.size).toBe(1);
    // Nothing piles up on a connection that is used again.
    expect(listeners.at(-1)).toBe(listeners[1]);
    agent.destroy();
  });

  it('hands over status, reason, cookies, repeated headers and trailers', async () => {
    const site = await world.http((_, response) => {
      response.writeHead(203, 'Quite Good', [
        ['set-cookie', 'a=1'],
        ['Set-Cookie', 'b=2'],
        ['x-many', '1'],
        ['x-many', '2'],
        ['date', 'then'],
        ['trailer', 'x-sum'],
      ] as never);
      response.write('body');
      response.addTrailers({ 'x-sum': 'abc' });
      response.end();
    });
    install(world.service([site.origin]));
    const { reply, text } = await send('http://svc/');
    expect([reply.statusCode, reply.statusMessage, text]).toEqual([203, 'Quite Good', 'body']);
    expect(reply.headers).toMatchObject({ 'set-cookie': ['a=1', 'b=2'], 'x-many': '1, 2', date: 'then' });
    expect(reply.trailers).toEqual({ 'x-sum': 'abc' });
  });

  it.each([
    ['HEAD', 200],
    ['GET', 204],
    ['GET', 304],
  ])('has no body to %s answered %i', async (method, status) => {
    const site = await world.http((_, response) => {
      response.writeHead(status, method === 'HEAD' ? { 'content-length': '12' } : { etag: '"1"' });
      response.end();
    });
    install(world.service([site.origin]));
    const answer = await send('http://svc/', { method });
    expect(answer).toMatchObject({ status, text: '' });
    expect(answer.headers['content-length']).toBe(method === 'HEAD' ? '12' : undefined);
  });

  it('sends what the caller wrote, and nothing about the connection to us', async () => {
    const heads: IncomingMessage[] = [];
    const site = await world.http((request, response) => {
      heads.push(request);
      response.end();
    });
    install(world.service([site.origin]));
    await send('http://svc/a/../b?c=%20', {
      headers: {
        'X-Mixed': 'Yes',
        connection: 'keep-alive, x-hop',
        'x-hop': '1',
        te: 'trailers',
        'x-twice': ['1', '2'],
      },
    });
    await send('http://svc/', { headers: { host: 'somebody.else' } });
    const [first, second] = heads as [IncomingMessage, IncomingMessage];
    expect(first.url).toBe('/b?c=%20');
    expect(first.headers).toMatchObject({ 'x-mixed': 'Yes', 'x-twice': '1, 2', host: new URL(site.origin).host });
    expect(first.headers).not.toHaveProperty('x-hop');
    expect(first.headers).not.toHaveProperty('te');
    expect(second.headers.host).toBe('somebody.else');
  });

  it('says itself when to continue, where that is expected', async () => {
    const heads: IncomingMessage[] = [];
    const site = await world.http(async (request, response) => {
      heads.push(request);
      response.end(await text(request));
    });
    install(world.service([site.origin]));
    const request = http.request('http://svc/', {
      method: 'POST',
      headers: { expect: '100-continue', 'content-length': '4' },
    });
    request.flushHeaders();
    await once(request, 'continue');
    request.end('body');
    const [reply] = (await once(request, 'response')) as [IncomingMessage];
    expect(await text(reply)).toBe('body');
    expect(heads[0]?.headers).not.toHaveProperty('expect');
  });

  it('refuses tunnels with the reason', async () => {
    install(world.service([await world.refusing()]));
    const request = http.request({ host: 'svc', method: 'CONNECT', path: 'other:443' }).end();
    const [reply, socket, head] = await once(request, 'connect');
    expect(reply.statusCode).toBe(501);
    expect(String(head) + (await text(socket))).toContain('CONNECT cannot be sent');
  });

  it('takes an upgrade through the whole stack, off a dead endpoint, and counts it until it is closed', async () => {
    const site = await world.raw((socket) => {
      socket.write('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: chat\r\n\r\n');
      socket.on('data', (data) => socket.write(data));
    });
    const origins = [await world.refusing(), site.origin];
    const client = install(world.service(origins, { picker: 'roundRobin', attemptTimeoutMs: 500, timeoutMs: 1_000 }));
    const request = http.get('http://svc/', { headers: { connection: 'Upgrade', upgrade: 'chat' } });
    const [, socket] = (await once(request, 'upgrade')) as [IncomingMessage, Duplex];
    expect(loads(client).sort()).toEqual([0, 1]);
    socket.write('hello');
    expect(String((await once(socket, 'data'))[0])).toBe('hello');
    expect(loads(client).sort()).toEqual([0, 1]);
    socket.destroy();
    await until(() => loads(client).every((load) => load === 0), 'the load to be released');
  });

  it('cancels the call of a request that is destroyed while it waits', async () => {
    let gone = 0;
    const site = await world.http((_, response) => response.on('close', () => gone++));
    const client = install(world.service([site.origin]));
    const request = http.get('http://svc/');
    const error = once(request, 'error');
    await until(() => site.requests === 1);
    expect(loads(client)).toEqual([1]);
    request.destroy();
    expect((await error)[0]).toMatchObject({ code: 'ECONNRESET', message: 'socket hang up' });
    expect(loads(client)).toEqual([0]);
    await until(() => gone === 1);
  });

  it('cancels the call of a request that is destroyed in the middle of its body', async () => {
    let gone = 0;
    const site = await world.http((_, response) => {
      response.on('close', () => gone++);
      response.write('begun');
    });
    const client = install(world.service([site.origin]));
    const request = http.get('http://svc/');
    const [reply] = (await once(request, 'response')) as [IncomingMessage];
    await once(reply, 'data');
    reply.destroy();
    await until(() => gone === 1);
    expect(loads(client)).toEqual([0]);
  });

  it('obeys the timeout and the signal of the caller', async () => {
    const site = await world.http(() => {});
    const client = install(world.service([site.origin]));
    const timed = http.get('http://svc/', { timeout: 20 });
    timed.on('timeout', () => timed.destroy(new Error('too slow')));
    expect((await once(timed, 'error'))[0]).toMatchObject({ message: 'too slow' });
    expect(await failure(axios.get('http://svc/', { timeout: 20 }))).toMatchObject({ code: 'ECONNABORTED' });
    const late = got('http://svc/', { timeout: { response: 20 }, retry: { limit: 0 } });
    expect(await failure(late)).toMatchObject({ code: 'ETIMEDOUT' });
    const controller = new AbortController();
    const aborted = http.get('http://svc/', { signal: controller.signal });
    const error = once(aborted, 'error');
    await until(() => loads(client)[0] === 1);
    controller.abort();
    expect((await error)[0]).toMatchObject({ name: 'AbortError' });
    expect(loads(client)).toEqual([0]);
  });

  it.each([
    ['with a length', 'content-length: 100\r\n\r\nhalf'],
    ['in chunks', 'transfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n'],
  ])('breaks off where the endpoint did, %s', async (_, rest) => {
    const site = await world.raw((socket) => socket.end(`HTTP/1.1 200 OK\r\n${rest}`));
    install(world.service([site.origin]));
    const request = http.get('http://svc/');
    const [reply] = (await once(request, 'response')) as [IncomingMessage];
    let seen = '';
    reply.on('data', (chunk) => {
      seen += chunk;
    });
    expect((await once(reply, 'error'))[0]).toMatchObject({ code: 'ECONNRESET', message: 'aborted' });
    expect(seen).toBe('half');
    expect(await failure(axios.get('http://svc/'))).toBeInstanceOf(Error);
  });

  it('says of a connection that was cut before the head what node:http says', async () => {
    const site = await world.raw((socket) => socket.destroy());
    install(world.service([site.origin], { attempts: 1 }));
    expect(await failure(send('http://svc/', { method: 'POST' }, 'x'))).toMatchObject({ code: 'ECONNRESET' });
  });

  it('lets a streamed body through without keeping it', async () => {
    const site = await world.http((request, response) => void request.pipe(response));
    install(world.service([site.origin]));
    const chunk = Buffer.alloc(65_536, 7);
    const request = http.request('http://svc/', { method: 'POST' });
    const answer = once(request, 'response').then(([reply]) => buffer(reply as IncomingMessage));
    for (let i = 0; i < 160; i++) if (!request.write(chunk)) await once(request, 'drain');
    request.end();
    const all = await answer;
    expect(all.length).toBe(160 * chunk.length);
    expect(all.every((byte) => byte === 7)).toBe(true);
  });

  it('holds back a caller that writes faster than the endpoint reads', async () => {
    const requests: IncomingMessage[] = [];
    const site = await world.http((request) => requests.push(request));
    const client = install(world.service([site.origin], { timeoutMs: false, attemptTimeoutMs: false }));
    const upload = http.request('http://svc/', { method: 'POST' });
    upload.on('error', () => {});
    expect(await pour(upload)).toBeLessThan(2 ** 24);
    upload.destroy();
    await until(() => loads(client)[0] === 0);
    // Who does not read does not see that the connection is gone either.
    for (const request of requests) request.on('error', () => {}).resume();
  });

  it('holds back an endpoint that writes faster than the caller reads', async () => {
    let poured: Promise<number> | undefined;
    const site = await world.http((_, response) => {
      poured = pour(response);
    });
    const client = install(world.service([site.origin], { timeoutMs: false, attemptTimeoutMs: false }));
    const [reply] = (await once(http.get('http://svc/'), 'response')) as [IncomingMessage];
    reply.once('readable', () => {});
    expect(await poured).toBeLessThan(2 ** 24);
    reply.destroy();
    await until(() => loads(client)[0] === 0);
  });

  it('hands over an early answer while the upload still runs', async () => {
    const site = await world.http((_, response) => {
      response.writeHead(413);
      response.end('too much');
    });
    install(world.service([site.origin]));
    const endless = new Readable({
      read() {
        this.push(Buffer.alloc(16_384));
      },
    });
    const request = http.request('http://svc/', { method: 'POST', agent: false });
    request.on('error', () => {});
    endless.pipe(request);
    const [reply] = (await once(request, 'response')) as [IncomingMessage];
    expect([reply.statusCode, await text(reply)]).toEqual([413, 'too much']);
    endless.destroy();
    request.destroy();
  });

  it('ends a call with the inbound request that it was made for, and knows each caller on one connection', async () => {
    const site = await world.http((request, response) => response.end(request.headers.traceparent ?? 'none'));
    const { AsyncLocalStorage } = await import('node:async_hooks');
    const caller = new AsyncLocalStorage<string>();
    const seen: (string | undefined)[] = [];
    install(
      world.service([site.origin], {
        layers: {
          call: [
            (call, next) => {
              seen.push(caller.getStore());
              return next(call);
            },
          ],
        },
      }),
    );
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    await Promise.all(
      ['a', 'b', 'c'].map((name) => caller.run(name, () => send('http://svc/', { agent, method: 'POST' }, name))),
    );
    await caller.run('d', () => send('http://svc/', { agent }));
    expect(seen).toEqual(['a', 'b', 'c', 'd']);
    agent.destroy();
  });

  it('leaves other hosts and Unix sockets alone', async () => {
    const site = await world.http((_, response) => response.end('other'));
    const client = install(world.service([await world.refusing()]));
    const answer = await send(`${site.origin}/`, { agent: false });
    expect(answer.text).toBe('other');
    expect(answer.reply.socket.constructor.name).toBe('Socket');
    expect(await failure(send('http://svc/', { socketPath: '/nowhere' }))).toMatchObject({ code: 'ENOENT' });
    expect(client.events).toEqual([]);
  });

  it('puts back exactly what was there, and lets go of the connections that it made', async () => {
    const before = [http.Agent.prototype, https.Agent.prototype].map((each) =>
      Object.getOwnPropertyDescriptor(each, 'createConnection'),
    );
    const site = await world.http((_, response) => response.end());
    const client = world.service([site.origin]);
    const undo = client.installHttp();
    expect(client.installHttp()).toBe(undo);
    const agent = new http.Agent({ keepAlive: true });
    await send('http://svc/', { agent });
    const [kept] = Object.values(agent.freeSockets).flatMap((list) => list ?? []);
    undo();
    undo();
    expect(
      [http.Agent.prototype, https.Agent.prototype].map((each) =>
        Object.getOwnPropertyDescriptor(each, 'createConnection'),
      ),
    ).toEqual(before);
    expect(kept?.destroyed).toBe(true);
    expect(await failure(send('http://svc/', { agent }))).toMatchObject({ syscall: 'getaddrinfo' });
    install(client);
    expect((await send('http://svc/', { agent })).status).toBe(200);
    agent.destroy();
  });

  it('does not undo what somebody else has put in front of it', async () => {
    const site = await world.http((_, response) => response.end());
    const undo = world.service([site.origin]).installHttp();
    const ours = http.Agent.prototype.createConnection;
    const theirs: typeof ours = function (this: http.Agent, ...args) {
      return ours.apply(this, args);
    };
    http.Agent.prototype.createConnection = theirs;
    onTestFinished(() => {
      http.Agent.prototype.createConnection = original;
    });
    undo();
    expect(http.Agent.prototype.createConnection).toBe(theirs);
    expect(await failure(send('http://svc/'))).toMatchObject({ syscall: 'getaddrinfo' });
  });
});
