/**
 * Would catch a framework under which the same thing comes to another end than under the others: each subject runs against
 * the same application, written in the own way of each framework, over real sockets.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { Agent, createServer, type Server } from 'node:http';
import { type ClientHttp2Session, connect, createServer as createHttp2Server } from 'node:http2';
import { type Call, type Middleware, rejected } from '@fairlead/core';
import { VirtualClock } from '@fairlead/testing';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { application } from '../tests/apps.js';
import { adapters, ask, gateway, listen, recorder, stopServers, Wire } from '../tests/harness.js';
import { createDrain, createGuard, type Drain, healthRoutes, type Limiter, rateLimit } from './index.js';

const drains: Drain[] = [];
const sessions: ClientHttp2Session[] = [];

/** What frameworks print if they can make no sense of something, such as an answer that somebody else has given already. */
let printed: unknown[][];

beforeEach(() => {
  printed = [];
  vi.spyOn(console, 'error').mockImplementation((...args) => {
    // The error that a test has thrown itself, which hono prints if it comes in the middle of an answer.
    if ((args[0] as Error | undefined)?.message !== 'secret') printed.push(args);
  });
});

afterEach(async () => {
  for (const session of sessions.splice(0)) session.destroy();
  for (const drain of drains.splice(0)) drain.abort();
  await stopServers();
  expect(printed).toEqual([]);
});

const full = { allowed: true, limit: 10, remaining: 9, resetMs: 100, retryAfterMs: 0 };
const empty = { allowed: false, limit: 10, remaining: 0, resetMs: 1_000, retryAfterMs: 2_000 };
const limiter: Limiter = { take: (key) => (key === 'limit' ? empty : full), perSecond: 1, burst: 10 };

/** Refuses what a request asks to be refused by. */
const refuse: Middleware = (call, next) => {
  const at = call.headers.indexOf('x-refuse');
  const by = at === -1 ? null : (call.headers[at + 1] as string);
  if (by === 'concurrency') return Promise.reject(rejected('concurrency', call.service, 'full', 1_000));
  return limit(call, next);
};
const limit = rateLimit({
  limiter,
  key: (call) => (call.headers.includes('limit') ? 'limit' : 'me'),
  name: 'burst',
});

async function setUp(adapter: (typeof adapters)[number], { http2 = false, maxTimeoutMs = 60_000 } = {}) {
  const clock = new VirtualClock();
  const drain = createDrain({ signals: [], delayMs: 1_000, timeoutMs: 10_000, runtime: { clock } });
  drains.push(drain);
  const context = new AsyncLocalStorage<Call>();
  const { layer, replies, errors, ends } = recorder();
  const guard = createGuard({
    drain,
    health: healthRoutes(),
    maxTimeoutMs,
    runtime: { clock },
    layers: [layer, refuse],
    run: (call, work) => context.run(call, work),
    onError: () => {},
  });
  const more = gateway();
  const hanging = gateway<AbortSignal>();
  const listener = await application(adapter, guard, {
    more: more.opened,
    hanging: (signal) => hanging.open(signal),
    context: () => context.getStore()?.path ?? 'lost',
  });
  const server = http2 ? (createHttp2Server(listener as never) as unknown as Server) : createServer(listener);
  const port = await listen(server);
  return { clock, drain, replies, errors, ends, more, hanging, server, port };
}

/** What is the same for everybody: no date, and nothing that a framework says of itself or of its bodies. */
function told(headers: NodeJS.Dict<string | string[]>): object {
  const { date, 'x-powered-by': _by, 'keep-alive': _alive, ...rest } = headers;
  expect(date).toBeDefined();
  return rest;
}

const limitHeaders = { 'ratelimit-policy': '"burst";q=10;w=10' };
const problem = 'https://iana.org/assignments/http-problem-types#';

describe.each(adapters)('conformance under %s', (adapter) => {
  it.each([
    ['a handler that is sync', 'GET', '/sync', 200, 'sync'],
    ['one that is async', 'GET', '/async', 200, 'async'],
    ['one that streams', 'GET', '/stream', 200, 'first last'],
    ['one that reads a body, in the context of its request', 'POST', '/echo', 200, 'HELLO /echo'],
    ['a request for its head only', 'HEAD', '/sync', 200, ''],
    ['no route at all', 'GET', '/nowhere', 404, null],
    ['a handler that throws', 'GET', '/throw', 500, null],
    ['one that is rejected', 'GET', '/reject', 500, null],
  ])('%s', async (_what, method, path, status, body) => {
    const { clock, port, more, replies, ends } = await setUp(adapter);
    more.open();
    const headers: Record<string, string> = method === 'POST' ? { 'content-type': 'text/plain' } : {};
    const answer = await ask(port, { method, path, headers, ...(method === 'POST' ? { body: 'hello' } : {}) });
    expect(answer.status).toBe(status);
    if (body !== null) expect(answer.body).toBe(body);
    expect(answer.headers).toMatchObject({ ...limitHeaders, ratelimit: '"burst";r=9;t=1' });
    expect(replies[0]?.status).toBe(status);
    // As the client has it: also what the framework kept to itself until it wrote the head.
    if (answer.headers['content-type'] !== undefined) {
      expect(replies[0]?.headers['content-type']).toBe(answer.headers['content-type']);
    }
    expect(await ends[0]).toBeNull();
    expect(clock.pending).toBe(0);
  });

  it('a body that comes later is read in the context of its request all the same', async () => {
    const { port } = await setUp(adapter);
    const wire = await Wire.open(port);
    const lines = ['host: x', 'content-type: text/plain', 'content-length: 5', 'expect: 100-continue'];
    wire.say(`POST /echo HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`);
    await wire.hears('100 Continue');
    wire.say('hello');
    await wire.hears('HELLO /echo');
    wire.socket.destroy();
  });

  it.each([
    [
      'a limit',
      { 'x-refuse': 'limit' },
      429,
      { ...limitHeaders, ratelimit: '"burst";r=0;t=1', 'retry-after': '2' },
      { type: `${problem}quota-exceeded`, title: 'Quota exceeded', status: 429, 'violated-policies': ['burst'] },
    ],
    [
      'a lack of capacity',
      { 'x-refuse': 'concurrency' },
      503,
      { 'x-fairlead-nack': 'retryable', 'retry-after': expect.stringMatching(/^[123]$/) },
      { type: `${problem}temporary-reduced-capacity`, title: 'Temporarily reduced capacity', status: 503 },
    ],
    ['a deadline', { 'x-request-timeout-ms': '0' }, 504, {}, { title: 'Deadline exceeded', status: 504 }],
  ])('refused by %s, to the letter', async (_what, headers, status, added, body) => {
    const { clock, port, server } = await setUp(adapter);
    let connections = 0;
    server.on('connection', () => connections++);
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    for (const method of ['GET', 'POST', 'HEAD']) {
      const answer = await ask(port, {
        method,
        path: '/echo',
        agent,
        headers: { 'content-type': 'text/plain', ...headers } as Record<string, string>,
        ...(method === 'POST' ? { body: 'not read' } : {}),
      });
      expect(answer.status).toBe(status);
      expect(told(answer.headers)).toEqual({
        'content-type': 'application/problem+json',
        'content-length': String(JSON.stringify(body).length),
        connection: 'keep-alive',
        ...added,
      });
      expect(answer.body === '' ? null : JSON.parse(answer.body)).toEqual(method === 'HEAD' ? null : body);
    }
    // A body that nobody has read does not cost the connection.
    expect((await ask(port, { path: '/sync', agent })).body).toBe('sync');
    expect(connections).toBe(1);
    agent.destroy();
    expect(clock.pending).toBe(0);
  });

  it('probes, and what they say of a drain', async () => {
    const { drain, port } = await setUp(adapter);
    const probe = async (path: string) => {
      const { status, headers, body } = await ask(port, { path });
      return { status, body, headers: told(headers) };
    };
    const headers = {
      'content-type': 'application/json',
      'content-length': '15',
      'cache-control': 'no-store',
      connection: 'keep-alive',
    };
    expect(await probe('/readyz')).toEqual({ status: 200, body: '{"status":"ok"}', headers });
    void drain.start();
    expect(await probe('/livez')).toMatchObject({ status: 200, headers: { connection: 'close' } });
    expect(await probe('/readyz')).toMatchObject({ status: 503, body: '{"status":"draining"}' });
  });

  it('an answer that breaks in the middle is broken off', async () => {
    const { port, more, replies, ends } = await setUp(adapter);
    const wire = await Wire.open(port);
    wire.get('/broken');
    await wire.hears('first');
    expect(replies[0]?.status).toBe(200);
    more.open();
    await wire.closed;
    expect(wire.received).not.toContain('\r\n0\r\n\r\n');
    expect(await ends[0]).toMatchObject({ code: 'ERR_CANCELED' });
  });

  it('a client that goes away cancels the signal', async () => {
    const { clock, port, hanging, errors } = await setUp(adapter);
    const wire = await Wire.open(port);
    wire.get('/hang');
    const signal = await hanging.opened;
    expect(signal.aborted).toBe(false);
    expect(clock.pending).toBe(1);
    wire.socket.destroy();
    await new Promise((resolve) => signal.addEventListener('abort', resolve));
    expect(signal.reason).toMatchObject({ code: 'ERR_CANCELED' });
    await vi.waitFor(() => expect(errors).toHaveLength(1));
    expect(clock.pending).toBe(0);
  });

  it('an upload that is broken off cancels the signal', async () => {
    const { clock, port, hanging } = await setUp(adapter);
    const wire = await Wire.open(port);
    wire.say(
      'POST /hang HTTP/1.1\r\nhost: x\r\ncontent-type: application/upload\r\ncontent-length: 1000\r\n\r\nsome of it',
    );
    const signal = await hanging.opened;
    wire.socket.resetAndDestroy();
    await new Promise((resolve) => signal.addEventListener('abort', resolve));
    expect(clock.pending).toBe(0);
  });

  it('a handler that never answers is told when its time is up, and is cut in the end', async () => {
    const { clock, drain, port, hanging, errors } = await setUp(adapter, { maxTimeoutMs: 500 });
    const wire = await Wire.open(port);
    wire.get('/hang');
    const signal = await hanging.opened;
    await clock.advance(500);
    expect(signal.reason).toMatchObject({ code: 'ERR_TIMEOUT', ms: 500 });
    void drain.start();
    await clock.advance(10_000);
    expect(await drain.done).toBe(1);
    await wire.closed;
    await vi.waitFor(() => expect(errors).toHaveLength(1));
    expect(clock.pending).toBe(0);
  });

  it('requests that were sent ahead are answered in their order', async () => {
    const { port, more } = await setUp(adapter);
    const wire = await Wire.open(port);
    const paths = ['/stream', '/async', '/nowhere', '/sync'];
    wire.say(paths.map((path) => `GET ${path} HTTP/1.1\r\nhost: x\r\n\r\n`).join(''));
    more.open();
    const heard = await wire.hears('sync', 2);
    expect(heard.match(/HTTP\/1\.1 \d+|first |last|async|sync/g)).toEqual([
      'HTTP/1.1 200',
      'first ',
      'last',
      'HTTP/1.1 200',
      'async',
      'HTTP/1.1 404',
      'HTTP/1.1 200',
      'sync',
    ]);
    wire.socket.destroy();
  });

  it('a drain ends each connection with its answer, and loses none', async () => {
    const { clock, drain, port, more, server } = await setUp(adapter);
    const begun = await Wire.open(port);
    begun.get('/stream');
    await begun.hears('first');
    const before = await Wire.open(port);
    before.get('/sync');
    await before.hears('sync');
    void drain.start();
    before.get('/async');
    expect(await before.hears('async')).toMatch(/connection: close/i);
    await before.closed;
    await clock.advance(1_000);
    expect(server.listening).toBe(false);
    more.open();
    await begun.hears('last');
    await vi.waitFor(async () => {
      await clock.advance(100);
      expect(begun.socket.destroyed).toBe(true);
    });
    expect(await drain.done).toBe(0);
    expect(clock.pending).toBe(0);
  });

  it('1,000 at a time get their own answers, and leave nothing', async () => {
    const { clock, port, server, replies, ends } = await setUp(adapter);
    const agent = new Agent({ keepAlive: true, maxSockets: 200 });
    const headers = { 'content-type': 'text/plain' };
    const answers = await Promise.all(
      Array.from({ length: 1_000 }, (_, i) =>
        ask(port, { method: 'POST', path: '/echo', agent, headers, body: `n${i}` }),
      ),
    );
    expect(answers.map(({ body }) => body)).toEqual(answers.map((_, i) => `N${i} /echo`));
    expect(replies).toHaveLength(1_000);
    expect(new Set(await Promise.all(ends))).toEqual(new Set([null]));
    agent.destroy();
    await vi.waitFor(async () => {
      expect(await new Promise((resolve) => server.getConnections((_error, count) => resolve(count)))).toBe(0);
    });
    expect(clock.pending).toBe(0);
  });

  // Express 5 cannot: it gives requests the prototype of HTTP/1.1 ones.
  it.skipIf(adapter === 'express')('HTTP/2: the same, many at a time on one connection', async () => {
    const { clock, port, more, hanging, ends, replies } = await setUp(adapter, { http2: true });
    const session = connect(`http://127.0.0.1:${port}`);
    sessions.push(session);
    const get = (path: string, headers = {}): Promise<{ status: unknown; headers: object; body: string }> =>
      new Promise((resolve, reject) => {
        const stream = session.request({ ':path': path, ...headers });
        let head: Record<string, unknown> = {};
        let body = '';
        stream.on('response', (given) => {
          head = given;
        });
        stream.on('data', (chunk) => {
          body += chunk;
        });
        stream.on('end', () => resolve({ status: head[':status'], headers: head, body }));
        stream.on('error', reject);
      });
    more.open();
    const answers = await Promise.all([
      get('/sync'),
      get('/async'),
      get('/stream'),
      get('/nowhere'),
      get('/throw'),
      get('/sync', { 'x-refuse': 'limit' }),
      get('/sync', { 'x-refuse': 'concurrency' }),
      get('/sync', { 'x-request-timeout-ms': '0' }),
      get('/readyz'),
      ...Array.from({ length: 50 }, () => get('/async')),
    ]);
    expect(answers.map(({ status }) => status)).toEqual([
      ...[200, 200, 200, 404, 500, 429, 503, 504, 200],
      ...Array.from({ length: 50 }, () => 200),
    ]);
    expect(answers.slice(0, 3).map(({ body }) => body)).toEqual(['sync', 'async', 'first last']);
    expect(answers[5]?.headers).toMatchObject({ ...limitHeaders, 'retry-after': '2' });
    expect(answers[6]?.headers).toMatchObject({ 'x-fairlead-nack': 'retryable' });
    expect(replies.length).toBe(55);
    expect(new Set(await Promise.all(ends))).toEqual(new Set([null]));
    const stream = session.request({ ':path': '/hang' });
    stream.on('error', () => {});
    const signal = await hanging.opened;
    stream.close(8);
    await new Promise((resolve) => signal.addEventListener('abort', resolve));
    expect(clock.pending).toBe(0);
  });
});
