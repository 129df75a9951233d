/**
 * Catches: calls over HTTP/2 that wait for ever, or fail for nothing, because something happens meanwhile: the transport
 * closes, their connection retires, its stream ids run out, TLS cannot even begin; and half an answer that is taken for whole.
 */
import { channel } from 'node:diagnostics_channel';
import {
  type ClientHttp2Stream,
  createServer,
  type Http2Server,
  type ServerHttp2Session,
  type ServerHttp2Stream,
  type SessionOptions,
} from 'node:http2';
import { Server as NetServer } from 'node:net';
import { type Call, type CallInit, readText, Scope, systemClock } from '@fairlead/core';
import { VirtualClock } from '@fairlead/testing';
import { describe, expect, it } from 'vitest';
import { opened } from '../../test/opened.js';
import { call, gate, nextTurn, rejection, serve, type TestServer, until } from '../../test/servers.js';
import type { Transport, TransportOptions } from '../transport.js';

/** That of node:http2 says farewell to all connections, too. */
const closeListener = NetServer.prototype.close;

const { servers, make: open } = opened();
const make = (options: Partial<TransportOptions> = {}): Transport => open({ http2: true, ...options });

interface Site extends TestServer {
  readonly seen: string[];
  readonly sessions: ServerHttp2Session[];
  /** Takes no connections any more, and keeps those that there are. */
  refuse(): void;
}

async function site(
  onStream: (stream: ServerHttp2Stream, n: number, path: string) => void,
  options: SessionOptions = {},
): Promise<Site> {
  const server: Http2Server = createServer(options);
  const seen: string[] = [];
  const sessions: ServerHttp2Session[] = [];
  server.on('session', (session: ServerHttp2Session) => {
    sessions.push(session);
    session.on('error', () => {});
  });
  server.on('stream', (stream: ServerHttp2Stream, head) => {
    stream.on('error', () => {});
    seen.push(String(head[':path']));
    onStream(stream, seen.length, String(head[':path']));
  });
  const made = await serve(server as never);
  servers.push(made);
  return Object.assign(made, { seen, sessions, refuse: () => void closeListener.call(server) });
}

function answer(stream: ServerHttp2Stream, text = 'ok'): void {
  stream.respond({ ':status': 200 });
  stream.end(text);
}
const text = async (transport: Transport, to: Call): Promise<string> => readText(await transport.handler(to));
const post = (server: TestServer, init: Partial<CallInit> = {}): Call =>
  call(server, { method: 'POST', body: 'x', ...init });
const one = { settings: { maxConcurrentStreams: 1 } };

describe('close()', () => {
  it('lets those finish that wait for the first connection', async () => {
    const server = await site((stream) => answer(stream));
    const transport = make();
    const all = Promise.all([1, 2, 3].map(() => text(transport, post(server))));
    const closed = transport.close(60_000);
    expect(await all).toEqual(['ok', 'ok', 'ok']);
    await closed;
    expect(server.accepted).toBe(1);
  });

  it('lets those finish that wait for a stream', async () => {
    const go = gate();
    const server = await site((stream) => void go.promise.then(() => answer(stream)), one);
    const transport = make({ connections: 1 });
    const all = Promise.all([1, 2, 3].map(() => text(transport, post(server))));
    await until(() => server.seen.length === 1);
    const closed = transport.close(60_000);
    go.open();
    expect(await all).toEqual(['ok', 'ok', 'ok']);
    await closed;
    expect(server.accepted).toBe(1);
  });

  it('sends those again that the server did not look at', async () => {
    const go = gate();
    const server = await site((stream, n) => (n === 1 ? void go.promise.then(() => stream.close(7)) : answer(stream)));
    const transport = make();
    const first = text(transport, post(server));
    await until(() => server.seen.length === 1);
    const closed = transport.close(60_000);
    go.open();
    expect(await first).toBe('ok');
    await closed;
  });

  it('waits for nobody who has given up', async () => {
    const go = gate();
    const server = await site((stream) => void go.promise.then(() => answer(stream)), one);
    const transport = make({ connections: 1 });
    const first = text(transport, post(server));
    await until(() => server.seen.length === 1);
    const scope = new Scope(systemClock);
    const others = [1, 2, 3].map(() => rejection(transport.handler(post(server, { scope }))));
    const closed = transport.close(60_000);
    scope.cancel();
    await Promise.all(others);
    go.open();
    expect(await first).toBe('ok');
    await closed;
    expect(server.seen.length).toBe(1);
  });

  it('that is cut tells those who wait, and may come twice', async () => {
    const server = await site(() => {}, one);
    const transport = make({ connections: 1 });
    const all = [1, 2, 3].map(() => rejection(transport.handler(post(server))));
    await until(() => server.seen.length === 1);
    await Promise.all([transport.close(0), transport.close(0)]);
    const errors = await Promise.all(all);
    expect(errors.map(({ phase, sent }) => [phase, sent])).toEqual([
      ['closed', 'maybe'],
      ['closed', 'no'],
      ['closed', 'no'],
    ]);
  });
});

describe('who waits for a stream of a connection that retires', () => {
  it.each([
    ['says farewell', (server: Site) => server.sessions[0]?.goaway(0), {}],
    ['grows old', (_: Site, clock: VirtualClock) => clock.advance(1_200), { maxConnectionAgeMs: 1_000 }],
  ])('is sent over another as soon as it %s', async (_, retire, options) => {
    const clock = new VirtualClock();
    const runtime = { clock };
    const go = gate();
    const server = await site(
      (stream, n) => (n === 1 ? void go.promise.then(() => answer(stream)) : answer(stream)),
      one,
    );
    const transport = make({ connections: 1, maxConnectionAgeMs: false, unusedMs: 1e9, ...options });
    const first = text(transport, post(server, { runtime }));
    await until(() => server.seen.length === 1);
    const others = [1, 2].map(() => text(transport, post(server, { runtime })));
    for (let n = 0; n < 20; n++) await nextTurn();
    expect(server.accepted).toBe(1);
    await retire(server, clock);
    expect(await Promise.all(others)).toEqual(['ok', 'ok']);
    expect(server.accepted).toBe(2);
    go.open();
    expect(await first).toBe('ok');
  });
});

it('a connection whose stream ids have run out is replaced', async () => {
  const server = await site((stream) => answer(stream));
  const transport = make({ maxConnectionAgeMs: false });
  const last = (message: unknown): void => {
    const { session } = (message as { stream: ClientHttp2Stream }).stream;
    (session as unknown as { setNextStreamID(id: number): void }).setNextStreamID(2 ** 31 - 1);
  };
  channel('http2.client.stream.start').subscribe(last);
  expect(await text(transport, post(server))).toBe('ok');
  channel('http2.client.stream.start').unsubscribe(last);
  for (let n = 0; n < 5; n++) expect(await text(transport, post(server))).toBe('ok');
  expect(server.accepted).toBe(2);
});

describe('TLS that cannot begin', () => {
  it.each([true, false])('is an error of the call (HTTP/2: %s)', async (http2) => {
    const server = await site(() => {});
    const transport = open({ http2, tls: { cert: 'no certificate', key: 'no key' } });
    const endpoint = { ...server.endpoint, origin: server.origin.replace('http:', 'https:') };
    for (let n = 0; n < 2; n++) {
      const error = await rejection(transport.handler(call(endpoint as never)));
      expect([error.code, error.sent]).toEqual(['ERR_TRANSPORT', 'no']);
    }
  });
});

describe('an answer of unknown length is not whole', () => {
  it.each([
    ['the server breaks it off', (stream: ServerHttp2Stream) => stream.destroy(new Error('no'))],
    ['the connection breaks', (stream: ServerHttp2Stream) => stream.session?.socket.destroy()],
    ['the session is ended', (stream: ServerHttp2Stream) => stream.session?.destroy()],
  ])('if %s', async (_, stop) => {
    const server = await site((stream) => {
      stream.respond({ ':status': 200 });
      stream.write('half', () => void nextTurn().then(() => stop(stream)));
    });
    const error = await rejection(text(make(), call(server)));
    expect([error.code, error.phase]).toEqual(['ERR_TRANSPORT', 'body']);
  });
});

it('a head that is too long to be sent fails alone, and is not taken for one that may be sent elsewhere', async () => {
  const go = gate();
  const server = await site((stream, n) => (n === 1 ? void go.promise.then(() => answer(stream)) : answer(stream)));
  const transport = make();
  const first = text(transport, post(server));
  await until(() => server.seen.length === 1);
  for (let n = 0; n < 20; n++) await nextTurn();
  const error = await rejection(transport.handler(post(server, { headers: ['x-long', 'a'.repeat(200_000)] })));
  expect(error.code).toBe('ERR_CONFIG');
  go.open();
  expect(await first).toBe('ok');
  // To node:http2, the connection takes no more after that.
  expect(await text(transport, post(server))).toBe('ok');
});

describe('whenever that happens', () => {
  it.each([false, true])(
    'a call is canceled, or its transport closed, nobody waits and nothing is left (body in pieces: %s)',
    async (piecewise) => {
      const server = await site((stream, _, path) => path === '/' && answer(stream));
      async function* pieces(): AsyncGenerator<Uint8Array> {
        yield Buffer.alloc(100_000);
      }
      const body = piecewise ? { open: pieces } : 'x';
      for (const path of ['/', '/mute']) {
        for (let turns = 0; turns < 12; turns++) {
          for (const close of [false, true]) {
            const transport = make({ connections: 1 });
            const scope = new Scope(systemClock);
            const settled = text(transport, post(server, { path, scope, body })).catch((error) => error.code);
            for (let n = 0; n < turns; n++) await nextTurn();
            if (close) await transport.close(0);
            else scope.cancel();
            const end = await settled;
            expect(['ok', close ? 'ERR_TRANSPORT' : 'ERR_CANCELED']).toContain(end);
            expect(transport.stats().origins[0]?.inFlight ?? 0).toBe(0);
            if (!close) expect(await text(transport, post(server))).toBe('ok');
            await transport.close(0);
          }
        }
      }
    },
  );
});

it('what a connection says of itself: no pushes, and room for much at a time', async () => {
  const server = await site((stream) => answer(stream));
  const transport = make({ maxHeaderBytes: 9_999 });
  for (let n = 0; n < 2; n++) await text(transport, call(server));
  const [session] = server.sessions;
  expect(session?.remoteSettings).toMatchObject({
    enablePush: false,
    initialWindowSize: 262_144,
    maxHeaderListSize: 9_999,
  });
  expect(session?.state.remoteWindowSize).toBeGreaterThan(500_000);
});

it('a connection has a hundred streams at most, whatever more is allowed', async () => {
  const open = new Map<unknown, number>();
  const server = await site((stream) => void open.set(stream.session, (open.get(stream.session) ?? 0) + 1));
  const transport = make({ connections: 2 });
  const all = Array.from({ length: 250 }, () => rejection(transport.handler(post(server))));
  await until(() => server.seen.length === 200);
  for (let n = 0; n < 20; n++) await nextTurn();
  expect([...open.values()]).toEqual([100, 100]);
  await transport.close(0);
  await Promise.all(all);
});

describe('a connection without requests', () => {
  it('keeps no process alive; one with requests does', async () => {
    const sockets = (): number => process.getActiveResourcesInfo().filter((name) => name === 'TCPSocketWrap').length;
    let go = gate();
    const server = await site((stream) => void go.promise.then(() => answer(stream)));
    const transport = make();
    for (let n = 0; n < 2; n++) {
      go = gate();
      const ok = text(transport, post(server));
      await until(() => server.seen.length === n + 1);
      const busy = sockets();
      go.open();
      expect(await ok).toBe('ok');
      expect(sockets()).toBe(busy - 1);
    }
  });

  it('has one timer for that, and ends at once when it is too old', async () => {
    const clock = new VirtualClock();
    const runtime = { clock };
    const server = await site((stream) => answer(stream));
    const transport = make({ maxConnectionAgeMs: 10_000, keepAliveMs: 1e8, unusedMs: 1e9 });
    for (let n = 0; n < 3; n++) {
      expect(await text(transport, post(server, { runtime }))).toBe('ok');
      // Beside those of its age and of the transport.
      expect(clock.pending).toBe(3);
    }
    await clock.advance(8_999);
    expect(server.sockets.size).toBe(1);
    await clock.advance(2_001);
    await server.quiet();
    expect(await text(transport, post(server, { runtime }))).toBe('ok');
  });
});

it('a connection that says nothing for a minute has 5 s to answer', async () => {
  const clock = new VirtualClock();
  const server = await site(() => {});
  const transport = make({ unusedMs: 1e9, maxConnectionAgeMs: false });
  let over = false;
  const error = rejection(transport.handler(post(server, { runtime: { clock } }))).finally(() => {
    over = true;
  });
  await until(() => server.seen.length === 1);
  for (let n = 0; n < 20; n++) await nextTurn();
  for (const socket of server.sockets) socket.pause();
  // What came before counts for the first minute.
  await clock.advance(60_000 + 60_000 + 4_999);
  expect(over).toBe(false);
  await clock.advance(1);
  expect((await error).cause.message).toContain('silent');
});

describe('who waits', () => {
  it('waits on where there is a connection, although no other can be made', async () => {
    const go = gate();
    const server = await site((stream) => void go.promise.then(() => answer(stream)), one);
    const transport = make({ connections: 2 });
    const first = text(transport, post(server));
    await until(() => server.seen.length === 1);
    for (let n = 0; n < 20; n++) await nextTurn();
    server.refuse();
    const second = text(transport, post(server));
    for (let n = 0; n < 50; n++) await nextTurn();
    go.open();
    expect(await Promise.all([first, second])).toEqual(['ok', 'ok']);
    expect(server.accepted).toBe(1);
  });

  it('again, since it was not looked at, comes before all others', async () => {
    const go = gate();
    const server = await site(
      (stream, n) => (n === 1 ? void go.promise.then(() => stream.close(7)) : answer(stream)),
      one,
    );
    const transport = make({ connections: 1 });
    const first = text(transport, post(server, { path: '/a' }));
    await until(() => server.seen.length === 1);
    const others = ['/b', '/c', '/d'].map((path) => text(transport, post(server, { path })));
    go.open();
    await Promise.all([first, ...others]);
    // What was next is under way by then.
    expect(server.seen).toEqual(['/a', '/b', '/a', '/c', '/d']);
  });

  it('and has given up is forgotten, however many come and go', async () => {
    const server = await site(() => {}, one);
    const transport = make({ connections: 1 });
    let failed = 0;
    const listener = (): void => void failed++;
    channel('undici:request:error').subscribe(listener);
    const first = rejection(transport.handler(post(server)));
    await until(() => server.seen.length === 1);
    for (let n = 0; n < 40; n++) {
      const scope = new Scope(systemClock);
      const some = Array.from({ length: 25 }, () => rejection(transport.handler(post(server, { scope }))));
      scope.cancel();
      await Promise.all(some);
    }
    expect(failed).toBeGreaterThanOrEqual(1_000 - 64);
    channel('undici:request:error').unsubscribe(listener);
    await transport.close(0);
    await first;
  });
});

describe('a request that is sent again', () => {
  it('and then fails for another reason says that one', async () => {
    const server = await site((stream, n) => stream.close(n === 1 ? 7 : 2));
    const error = await rejection(make().handler(post(server)));
    expect([error.sent, server.seen.length]).toEqual(['maybe', 2]);
    expect(error.cause.message).toContain('INTERNAL_ERROR');
  });

  it('is none if its answer had begun, whatever the server says', async () => {
    const server = await site((stream, n) => {
      if (n === 1) return answer(stream);
      stream.respond({ ':status': 200 });
      stream.write('half', () => stream.session?.goaway(0, 1));
    });
    const transport = make();
    expect(await text(transport, post(server))).toBe('ok');
    const error = await rejection(text(transport, post(server)));
    expect([error.sent, error.phase]).toEqual(['maybe', 'body']);
    for (let n = 0; n < 20; n++) await nextTurn();
    expect(server.seen.length).toBe(2);
    // It waits for its own stream, not for us.
    for (const socket of server.sockets) socket.destroy();
  });
});

it('a stream that the server cancels is said to be', async () => {
  const server = await site((stream) => stream.close(8));
  const error = await rejection(make().handler(post(server)));
  expect([error.sent, error.message]).toEqual(['maybe', expect.stringContaining('canceled the stream')]);
});

it('a body that waits for its next piece is let go of when its answer is there', async () => {
  const server = await site((stream) => answer(stream));
  let returned = 0;
  const mute = {
    open: () => ({
      [Symbol.asyncIterator]: () => ({
        next: () => new Promise<never>(() => {}),
        return: () => Promise.resolve({ done: true, value: ++returned } as never),
      }),
    }),
  };
  expect(await text(make(), post(server, { body: mute }))).toBe('ok');
  await until(() => returned === 1);
});
