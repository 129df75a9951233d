/**
 * Catches: a request that a caller's text can turn into another; a body that comes before its head, or that is taken for whole
 * when it is not; more streams at a time than a server allows; connections that are kept too long, or kept although the
 * other side is gone; and instrumentation of undici that does not see requests that undici does not make.
 */
import { channel } from 'node:diagnostics_channel';
import {
  createServer,
  type Http2Server,
  type ServerHttp2Session,
  type ServerHttp2Stream,
  type SessionOptions,
} from 'node:http2';
import { type BodySink, type Call, type CallInit, type Reply, readText } from '@fairlead/core';
import { VirtualClock } from '@fairlead/testing';
import { describe, expect, it } from 'vitest';
import { opened } from '../../test/opened.js';
import { call, gate, nextTurn, rejection, serve, type TestServer, until } from '../../test/servers.js';
import type { Transport, TransportOptions } from '../transport.js';

const { servers, make: open } = opened();
const make = (options: Partial<TransportOptions> = {}): Transport => open({ http2: true, ...options });

type Heads = Record<string, string | string[] | undefined>;
interface Site extends TestServer {
  readonly seen: Heads[];
  readonly sessions: ServerHttp2Session[];
}

/** A server without TLS; `onStream` is told which stream it is, from 1. */
async function site(
  onStream: (stream: ServerHttp2Stream, n: number, head: Heads) => void,
  options: SessionOptions = {},
): Promise<Site> {
  const server: Http2Server = createServer(options);
  const seen: Heads[] = [];
  const sessions: ServerHttp2Session[] = [];
  server.on('session', (session: ServerHttp2Session) => {
    sessions.push(session);
    session.on('error', () => {});
  });
  server.on('stream', (stream: ServerHttp2Stream, head) => {
    stream.on('error', () => {});
    seen.push(head as Heads);
    onStream(stream, seen.length, head as Heads);
  });
  const made = await serve(server as never);
  servers.push(made);
  return Object.assign(made, { seen, sessions });
}

function answer(stream: ServerHttp2Stream, text = 'ok'): void {
  stream.respond({ ':status': 200 });
  stream.end(text);
}
const text = async (transport: Transport, to: Call): Promise<string> => readText(await transport.handler(to));
const post = (server: TestServer, init: Partial<CallInit> = {}): Call =>
  call(server, { method: 'POST', body: 'x', ...init });

class Everything implements BodySink {
  readonly done: Promise<unknown[]>;
  readonly #told: unknown[] = [];
  #settle!: (told: unknown[]) => void;
  constructor(reply: Reply) {
    this.done = new Promise((resolve) => {
      this.#settle = resolve;
    });
    reply.body.attach(this);
  }
  onData(chunk: Uint8Array): void {
    this.#told.push(Buffer.from(chunk).toString());
  }
  onEnd(trailers: unknown): void {
    this.#told.push({ ...(trailers as object) });
    this.#settle(this.#told);
  }
  onError(error: unknown): void {
    this.#told.push((error as { code?: unknown }).code);
    this.#settle(this.#told);
  }
}

describe('what is sent', () => {
  it.each([
    ['a value', { headers: ['x-a', 'b\0\0x-admin\0true'] }],
    ['a value that would be cut to something else', { headers: ['x-a', 'b\u010a'] }],
    ['a line break', { headers: ['x-a', 'b\r\nx-c: d'] }],
    ['a pseudo-header', { headers: [':path', '/admin'] }],
    ['an empty name', { headers: ['', 'a'] }],
    ['a name', { headers: ['x a', 'b'] }],
    ['a host', { headers: ['host', 'a\0b'] }],
    ['a length', { headers: ['content-length', 'one'] }],
    ['another length than that of the body', { headers: ['content-length', '2'], body: 'x' }],
    ['a length without a body', { headers: ['content-length', '2'] }],
    ['a path', { path: '/a b' }],
    ['a path with a NUL', { path: '/a\0b' }],
    ['a method', { method: 'GET\0' }],
    ['what belongs to a connection', { headers: ['http2-settings', 'a'] }],
  ])('is refused if it cannot be: %s', async (_, init) => {
    const server = await site((stream) => answer(stream));
    const transport = make();
    const error = await rejection(transport.handler(call(server, init)));
    expect([error.code, server.seen]).toEqual(['ERR_CONFIG', []]);
    // And costs nobody else anything.
    expect(await text(transport, call(server))).toBe('ok');
  });

  it('is what was given, a name twice and in upper case included', async () => {
    const server = await site((stream) => answer(stream));
    const headers = ['x-a', '1', 'X-B', 'ü', 'x-a', '2', 'user-agent', 'me', 'user-agent', 'you', 'host', 'other:80'];
    expect(await text(make(), post(server, { headers, path: '/a?b=ü' }))).toBe('ok');
    expect(server.seen[0]).toMatchObject({
      ':authority': 'other:80',
      ':method': 'POST',
      ':path': '/a?b=ü',
      ':scheme': 'http',
      'content-length': '1',
      'x-a': '1, 2',
      'x-b': 'ü',
    });
  });

  it.each([
    ['POST', null, '0'],
    ['POST', '', '0'],
    ['GET', null, undefined],
    ['PUT', 'ü', '2'],
    ['PUT', Buffer.from('abc'), '3'],
  ])('says how long it is: %s of %s', async (method, body, length) => {
    const server = await site((stream) => answer(stream));
    expect(await text(make(), call(server, { method, body }))).toBe('ok');
    expect(server.seen[0]?.['content-length']).toBe(length);
  });

  it.each([2, 4])('is broken off if it is not as long as it says: %i instead of 3', async (length) => {
    const server = await site((stream) => void stream.resume());
    const body = { open: () => pieces('ab', 'cd'.slice(0, length - 2)), length: 3 };
    const error = await rejection(make().handler(post(server, { body })));
    expect([error.code, error.cause.code]).toEqual(['ERR_CONFIG', 'UND_ERR_REQ_CONTENT_LENGTH_MISMATCH']);
  });

  it('waits for a server that takes no more, and goes on', async () => {
    const go = gate();
    const server = await site((stream) => {
      let got = 0;
      void go.promise.then(() => {
        stream.on('data', (chunk: Buffer) => {
          got += chunk.length;
        });
        stream.on('end', () => answer(stream, `${got}`));
      });
    });
    let made = 0;
    const piece = Buffer.alloc(65_536);
    const body = {
      async *open(): AsyncGenerator<Uint8Array> {
        for (; made < 64; made++) yield piece;
      },
    };
    const reply = text(make(), post(server, { body }));
    await until(() => server.seen.length === 1);
    for (let n = 0; n < 100; n++) await nextTurn();
    expect(made).toBeLessThan(16);
    go.open();
    expect(await reply).toBe(`${64 * 65_536}`);
  });

  it('is not read any further once it has been answered', async () => {
    const server = await site((stream) => answer(stream));
    let returned = 0;
    const endless = {
      open: () => ({
        [Symbol.asyncIterator]: () => ({
          next: () => nextTurn().then(() => ({ done: false, value: Buffer.from('a') }) as const),
          return: () => Promise.resolve({ done: true, value: ++returned } as never),
        }),
      }),
    };
    const transport = make();
    expect(await text(transport, post(server, { body: endless }))).toBe('ok');
    await until(() => returned === 1);
    expect(await text(transport, call(server))).toBe('ok');
    expect(server.accepted).toBe(1);
  });
});

async function* pieces(...texts: string[]): AsyncGenerator<Uint8Array> {
  for (const each of texts) if (each !== '') yield Buffer.from(each);
}

describe('what comes', () => {
  it('is whole, and after its head, on a connection that is in use', async () => {
    const server = await site((stream, n) => answer(stream, `${n}`));
    const transport = make();
    for (let round = 0; round < 50; round++) {
      const all = Array.from({ length: 20 }, () => text(transport, call(server)));
      for (const got of await Promise.all(all)) expect(got).not.toBe('');
    }
  });

  it('may end in trailers', async () => {
    const server = await site((stream) => {
      stream.respond({ ':status': 200 }, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers({ 'x-sum': '6' }));
      stream.end('body');
    });
    const reply = await make().handler(call(server));
    expect(await new Everything(reply).done).toMatchObject(['body', { 'x-sum': '6' }]);
  });

  it('may have no body', async () => {
    const server = await site((stream, _, head) => {
      const status = head[':path'] === '/204' ? 204 : head[':path'] === '/304' ? 304 : 200;
      stream.respond({ ':status': status, ...(status === 204 ? {} : { 'content-length': 5 }) }, { endStream: true });
    });
    const transport = make();
    for (const [method, path, status] of [
      ['HEAD', '/', 200],
      ['GET', '/204', 204],
      ['GET', '/304', 304],
    ] as const) {
      const reply = await transport.handler(call(server, { method, path }));
      expect([reply.status, await readText(reply)]).toEqual([status, '']);
    }
  });

  it('may begin with something interim', async () => {
    const server = await site((stream) => {
      stream.additionalHeaders({ ':status': 103, link: '</a>' });
      answer(stream);
    });
    const reply = await make().handler(call(server));
    expect([reply.status, await readText(reply)]).toEqual([200, 'ok']);
  });

  it.each([
    ['resets with no error', (stream: ServerHttp2Stream) => stream.destroy()],
    ['cancels', (stream: ServerHttp2Stream) => stream.close(8)],
  ])('is no whole answer if the server %s before its end', async (_, stop) => {
    const server = await site((stream) => {
      stream.respond({ ':status': 200, 'content-length': 10 });
      stream.write('a', () => stop(stream));
    });
    const reply = await make().handler(call(server));
    expect((await new Everything(reply).done).at(-1)).toBe('ERR_TRANSPORT');
  });

  it('has a head of limited size', async () => {
    const server = await site((stream) => {
      stream.respond({ ':status': 200, 'x-long': 'a'.repeat(3_000) });
      stream.end();
    });
    const transport = make({ maxHeaderBytes: 2_000 });
    // The server has to know of the limit first.
    expect(await text(transport, call(server))).toBe('');
    const error = await rejection(transport.handler(call(server)));
    expect([error.code, server.seen.length]).toEqual(['ERR_TRANSPORT', 2]);
    const reply = await make().handler(call(server));
    expect(reply.headers['x-long']).toHaveLength(3_000);
    reply.body.cancel();
  });

  it('that somebody throws at is broken off, and nothing else', async () => {
    const server = await site((stream) => {
      stream.respond({ ':status': 200 });
      stream.write('a');
    });
    const transport = make();
    const reply = await transport.handler(call(server));
    const over = new Promise((resolve) => reply.onEnd(resolve));
    reply.body.attach({
      onData() {
        throw new Error('no');
      },
      onEnd() {},
      onError() {},
    });
    expect(await over).toMatchObject({ cause: { message: 'no' } });
    expect(transport.stats().origins[0]?.inFlight).toBe(0);
  });
});

describe('the streams of a connection', () => {
  it('are as many as the server allows; beyond that, other connections are made, and then calls wait', async () => {
    let most = 0;
    const open = new Map<unknown, number>();
    const server = await site(
      (stream) => {
        const { session } = stream;
        open.set(session, (open.get(session) ?? 0) + 1);
        most = Math.max(most, open.get(session) as number);
        void nextTurn().then(() => {
          open.set(session, (open.get(session) as number) - 1);
          answer(stream);
        });
      },
      { settings: { maxConcurrentStreams: 3 } },
    );
    const transport = make({ connections: 2 });
    const all = await Promise.all(Array.from({ length: 50 }, () => text(transport, post(server))));
    expect(new Set(all)).toEqual(new Set(['ok']));
    expect([most, server.accepted]).toEqual([3, 2]);
  });

  it('that a server allows none of make nobody dial', async () => {
    const server = await site((stream) => answer(stream), { settings: { maxConcurrentStreams: 0 } });
    const transport = make();
    // The first is sent before the server has said anything, and is turned away.
    const all = Promise.all(Array.from({ length: 5 }, () => text(transport, post(server))));
    await until(() => server.sessions.length === 1);
    for (let n = 0; n < 50; n++) await nextTurn();
    expect(server.accepted).toBe(1);
    // It changes its mind.
    server.sessions[0]?.settings({ maxConcurrentStreams: 10 });
    expect(new Set(await all)).toEqual(new Set(['ok']));
    expect(server.accepted).toBe(1);
  });

  it('that were canceled while they waited are never begun', async () => {
    const go = gate();
    const server = await site((stream) => void go.promise.then(() => answer(stream)), {
      settings: { maxConcurrentStreams: 1 },
    });
    const transport = make({ connections: 1 });
    const first = text(transport, post(server));
    await until(() => server.seen.length === 1);
    const waiting = Array.from({ length: 200 }, () => post(server));
    const errors = waiting.map((each) => rejection(transport.handler(each)));
    for (const each of waiting) each.scope.cancel();
    for (const error of await Promise.all(errors)) expect(error.code).toBe('ERR_CANCELED');
    const last = text(transport, post(server));
    go.open();
    expect([await first, await last, server.seen.length]).toEqual(['ok', 'ok', 2]);
  });
});

describe('a connection', () => {
  it('is kept for as long as it may be idle, and no longer', async () => {
    const clock = new VirtualClock();
    const server = await site((stream) => answer(stream));
    const transport = make({ keepAliveMs: 1_000, unusedMs: 1e6 });
    const runtime = { clock };
    expect(await text(transport, call(server, { runtime }))).toBe('ok');
    await clock.advance(999);
    expect(await text(transport, call(server, { runtime }))).toBe('ok');
    await clock.advance(999);
    expect([server.sockets.size, server.accepted]).toEqual([1, 1]);
    await clock.advance(1);
    await server.quiet();
    expect(await text(transport, call(server, { runtime }))).toBe('ok');
    expect(server.accepted).toBe(2);
    await transport.close();
    expect(clock.pending).toBe(0);
  });

  it('that has fallen silent is given up, and what hangs on it fails', async () => {
    const clock = new VirtualClock();
    const server = await site((stream, n) => void (n > 1 && answer(stream)));
    const transport = make({ unusedMs: 1e9, maxConnectionAgeMs: false });
    const runtime = { clock };
    const error = rejection(transport.handler(post(server, { runtime })));
    await until(() => server.seen.length === 1);
    // Asked every minute, and there: it stays.
    for (let minute = 0; minute < 5; minute++) {
      await clock.advance(60_000);
      for (let n = 0; n < 20; n++) await nextTurn();
    }
    for (const socket of server.sockets) socket.pause();
    await clock.advance(130_000);
    expect(await error).toMatchObject({ code: 'ERR_TRANSPORT', sent: 'maybe', phase: 'wait' });
    expect(await text(transport, call(server, { runtime }))).toBe('ok');
    expect(server.accepted).toBe(2);
  });

  it('waits for nobody when it is closed', async () => {
    const server = await site(() => {});
    const transport = make();
    const error = rejection(transport.handler(post(server)));
    await until(() => server.seen.length === 1);
    await transport.close(0);
    expect(await error).toMatchObject({ code: 'ERR_TRANSPORT', phase: 'closed' });
  });

  it('that closes lets what is under way finish', async () => {
    const go = gate();
    const server = await site((stream) => void go.promise.then(() => answer(stream)));
    const transport = make();
    const first = text(transport, post(server));
    await until(() => server.seen.length === 1);
    const closed = transport.close(60_000);
    go.open();
    expect(await first).toBe('ok');
    await closed;
    await server.quiet();
  });
});

describe('what instrumentation of undici sees', () => {
  it('has an end for a request that is given up, on its way or before it began', async () => {
    const server = await site(() => {}, { settings: { maxConcurrentStreams: 1 } });
    const failed: string[] = [];
    const listener = (message: unknown): void => {
      failed.push((message as { request: { path: string } }).request.path);
    };
    channel('undici:request:error').subscribe(listener);
    try {
      const transport = make({ connections: 1 });
      const calls = [post(server, { path: '/a' }), post(server, { path: '/b' })];
      const errors = calls.map((each) => rejection(transport.handler(each)));
      await until(() => server.seen.length === 1);
      for (const each of calls.reverse()) each.scope.cancel();
      await Promise.all(errors);
    } finally {
      channel('undici:request:error').unsubscribe(listener);
    }
    expect(failed.sort()).toEqual(['/a', '/b']);
  });

  it('is every request, and it may add headers', async () => {
    const server = await site((stream, n) => (n === 2 ? stream.close(2) : answer(stream)));
    const told: unknown[] = [];
    const names = ['create', 'bodySent', 'headers', 'trailers', 'error'].map((name) => `undici:request:${name}`);
    const listeners = [...names, 'undici:client:sendHeaders'].map((name) => {
      const listener = (message: unknown): void => {
        const { request } = message as { request: { path: string; addHeader(name: string, value: string): void } };
        if (name.endsWith('create')) request.addHeader('traceparent', 'theirs');
        told.push(`${name.split(':').at(-1)} ${request.path}`);
      };
      channel(name).subscribe(listener);
      return () => channel(name).unsubscribe(listener);
    });
    try {
      const transport = make();
      expect(await text(transport, post(server, { path: '/a' }))).toBe('ok');
      await rejection(transport.handler(post(server, { path: '/b' })));
    } finally {
      for (const stop of listeners) stop();
    }
    expect(server.seen.map((head) => head.traceparent)).toEqual(['theirs', 'theirs']);
    expect(told).toEqual([
      ...['create /a', 'sendHeaders /a', 'bodySent /a', 'headers /a', 'trailers /a'],
      ...['create /b', 'sendHeaders /b', 'bodySent /b', 'error /b'],
    ]);
  });
});
