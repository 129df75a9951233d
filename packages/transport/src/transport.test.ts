/**
 * Catches a transport that loses, mangles or duplicates a request, names the wrong phase or wrongly claims that nothing
 * was sent, does not let go when the call is canceled, or leaves sockets behind.
 */
import {
  type BodySink,
  CanceledError,
  ConfigError,
  type FairleadEvent,
  NoEndpointError,
  type Reply,
  readBytes,
  readText,
  Scope,
  systemClock,
  TimeoutError,
  TransportError,
} from '@fairlead/core';
import { checkLeaks, VirtualClock } from '@fairlead/testing';
import { describe, expect, it } from 'vitest';
import { opened } from '../test/opened.js';
import {
  bodyOf,
  call,
  closedPort,
  expiring,
  gate,
  httpServer,
  nextTurn,
  rawServer,
  rejection,
  type TestServer,
  until,
} from '../test/servers.js';
import { createTransport, type Transport, transportDefaults } from './transport.js';

const { servers, make } = opened();

async function http(...args: Parameters<typeof httpServer>): Promise<TestServer> {
  const server = await httpServer(...args);
  servers.push(server);
  return server;
}
async function raw(...args: Parameters<typeof rawServer>): Promise<TestServer> {
  const server = await rawServer(...args);
  servers.push(server);
  return server;
}
const inFlight = (transport: Transport): number => transport.stats().origins.reduce((sum, o) => sum + o.inFlight, 0);

class Recorder implements BodySink {
  readonly seen: string[] = [];
  bytes = 0;
  error: unknown = undefined;
  readonly over = gate();
  onData(chunk: Uint8Array): void {
    this.bytes += chunk.length;
    this.seen.push(Buffer.from(chunk).toString());
  }
  onEnd(): void {
    this.seen.push('end');
    this.over.open();
  }
  onError(error: unknown): void {
    this.error = error;
    this.seen.push('error');
    this.over.open();
  }
}

describe('a plain exchange', () => {
  it('sends method, path, headers and body, and gives the answer', async () => {
    const seen: unknown[] = [];
    const server = await http(async (request, response) => {
      seen.push(request.method, request.url, request.headers['x-a'], request.headers.host, await bodyOf(request));
      response.writeHead(201, 'Made', { 'X-B': 'b', 'Set-Cookie': ['a=1', 'b=2'] });
      response.end('done');
    });
    const transport = make();
    const ends: unknown[] = [];
    const reply = await transport.handler(
      call(server, { method: 'PUT', path: '/x?y=1', headers: ['x-a', '1'], body: 'hi' }),
    );
    reply.onEnd((error) => ends.push(error));
    expect(reply.status).toBe(201);
    expect((reply as Reply & { statusText: string }).statusText).toBe('Made');
    expect(reply.headers['x-b']).toBe('b');
    expect(reply.headers['set-cookie']).toEqual(['a=1', 'b=2']);
    expect(reply.endpoint).toBe(server.endpoint);
    expect(reply.at).toBeLessThanOrEqual(systemClock.now());
    expect(await readText(reply)).toBe('done');
    expect(ends).toEqual([null]);
    expect(seen).toEqual(['PUT', '/x?y=1', '1', `127.0.0.1:${server.port}`, 'hi']);
    expect(inFlight(transport)).toBe(0);
  });

  it.each([
    ['bytes', () => new TextEncoder().encode('häh'), 'häh', '4'],
    ['open', () => ({ open: () => pieces('a', 'b'), length: 2 }), 'ab', '2'],
    ['open without length', () => ({ open: () => pieces('a', 'b') }), 'ab', undefined],
    ['once', () => ({ once: pieces('a', '', 'b') }), 'ab', undefined],
    ['empty', () => '', '', '0'],
    ['none', () => null, '', '0'],
  ])('sends a body of the kind %s', async (_, body, text, length) => {
    const server = await http(async (request, response) => {
      response.end(JSON.stringify([await bodyOf(request), request.headers['content-length'] ?? null]));
    });
    const reply = await make().handler(call(server, { method: 'POST', body: body() }));
    expect(JSON.parse(await readText(reply))).toEqual([text, length ?? null]);
  });

  it("drops the headers of the caller's own hop, and those that connection names", async () => {
    const server = await http((request, response) => response.end(JSON.stringify(request.headers)));
    const headers = [
      'connection',
      'close, X-Hop',
      'x-hop',
      '1',
      'te',
      'trailers',
      'expect',
      '100-continue',
      'upgrade',
      'h2c',
    ];
    headers.push(
      'transfer-encoding',
      'chunked',
      'keep-alive',
      'timeout=1',
      'proxy-authorization',
      'secret',
      'x-keep',
      '1',
    );
    const reply = await make().handler(call(server, { headers }));
    expect(JSON.parse(await readText(reply))).toEqual({
      host: `127.0.0.1:${server.port}`,
      connection: 'keep-alive',
      'x-keep': '1',
    });
  });

  it.each([
    ['endpoint', [], null],
    ['service', [], 'payments'],
    ['pay.example', [], 'pay.example'],
    ['service', ['host', 'own.example'], 'own.example'],
  ])('sends host by the option %s and headers %j', async (host, headers, expected) => {
    const server = await http((request, response) => response.end(request.headers.host));
    const reply = await make({ host }).handler(call(server, { headers }));
    expect(await readText(reply)).toBe(expected ?? `127.0.0.1:${server.port}`);
  });

  it('ignores 1xx replies', async () => {
    const server = await raw((socket) => {
      socket.write('HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n');
      socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok');
    });
    const reply = await make().handler(call(server));
    expect([reply.status, reply.headers.link, await readText(reply)]).toEqual([200, undefined, 'ok']);
  });

  it('reads an answer that comes one byte at a time, trailers included', async () => {
    const text =
      'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\nx-sum: 6\r\n\r\n';
    const server = await raw((socket) => {
      socket.setNoDelay(true);
      let i = 0;
      const next = (): void => {
        if (i < text.length) socket.write(text[i++] as string, () => void nextTurn().then(next));
      };
      next();
    });
    const reply = await make().handler(call(server));
    const trailers = new Promise((resolve, reject) =>
      reply.body.attach({ onData: () => {}, onEnd: resolve, onError: reject }),
    );
    expect({ ...((await trailers) as object) }).toEqual({ 'x-sum': '6' });
  });

  it('takes a content-length on a reply to HEAD for what it is', async () => {
    const server = await http((_, response) => response.writeHead(200, { 'content-length': 100 }).end());
    const reply = await make().handler(call(server, { method: 'HEAD' }));
    expect([reply.headers['content-length'], await readText(reply)]).toEqual(['100', '']);
  });

  it('leaves no timer armed and nothing on the scope, in whatever way it ends', async () => {
    const server = await http((request, response) => {
      if (request.url === '/reset') request.socket.destroy();
      else if (request.url === '/large') response.end(Buffer.alloc(1_000_000));
      else if (request.url !== '/hang') response.end('ok');
    });
    const clock = new VirtualClock();
    const runtime = { clock };
    const scope = new Scope(clock);
    const transport = make();
    const send = (path: string) => transport.handler(call(server, { path, scope, runtime }));
    await readText(await send('/'));
    await send('/').then((reply) => reply.body.cancel());
    await rejection(send('/reset'));
    await rejection(send('/bad path'));
    await readText(await send('/large'));
    (await send('/large')).body.cancel();
    await until(() => inFlight(transport) === 0);
    // What is left is the pool's own sweep, and the age of each connection.
    expect(clock.pending).toBe(1 + (transport.stats().origins[0]?.connected ?? 0));
    checkLeaks({ scopes: [scope] });
    const hung = rejection(send('/hang'));
    scope.cancel();
    await hung;
    await transport.close();
    checkLeaks({ clock, scopes: [scope] });
  });

  it('uses a connection again', async () => {
    const server = await http((_, response) => response.end('ok'));
    const transport = make();
    for (let i = 0; i < 5; i++) await readText(await transport.handler(call(server)));
    // undici frees a connection one turn late, so the second request may find the first one busy.
    expect(server.accepted).toBeLessThanOrEqual(2);
  });
});

async function* pieces(...texts: string[]): AsyncGenerator<Uint8Array> {
  for (const text of texts) yield new TextEncoder().encode(text);
}

describe('what cannot be sent', () => {
  it.each(['//evil.test/x', '/\\evil.test', 'evil', '@evil.test/', '', '\t/x', 'http://evil.test/'])(
    "refuses the path %j and does not call it the endpoint's fault",
    async (path) => {
      const server = await http((_, response) => response.end());
      const error = await rejection(make().handler(call(server, { path })));
      expect(error).toBeInstanceOf(ConfigError);
      expect([error.sent, server.accepted]).toEqual(['no', 0]);
    },
  );

  it.each([
    ['a header with a line break', { headers: ['x', 'a\r\nb: c'] }],
    ['a header without a name', { headers: ['', 'a'] }],
    ['a path with a blank', { path: '/a b' }],
    ["a content-length that is not the body's", { method: 'POST', headers: ['content-length', '5'], body: 'abc' }],
    ['a method that is none', { method: 'G T' }],
  ])('refuses %s, and the connection stays usable', async (_, init) => {
    const server = await http((_, response) => response.end('ok'));
    const transport = make({ connections: 1 });
    await readText(await transport.handler(call(server)));
    for (let i = 0; i < 3; i++) {
      const error = await rejection(transport.handler(call(server, init)));
      expect(error).toBeInstanceOf(ConfigError);
      expect(error.sent).toBe('no');
      expect(error.cause.code).toMatch(/^UND_ERR_/);
    }
    expect(await readText(await transport.handler(call(server)))).toBe('ok');
    expect(inFlight(transport)).toBe(0);
  });

  it('keeps the connection usable if a refused call was queued, or canceled meanwhile', async () => {
    const held = gate();
    const server = await http((request, response) => {
      if (request.url === '/held') void held.promise.then(() => response.end());
      else response.end('ok');
    });
    const transport = make({ connections: 1 });
    const first = transport.handler(call(server, { path: '/held' }));
    const scope = new Scope(systemClock);
    const refused = rejection(transport.handler(call(server, { headers: ['a b', 'c'] })));
    const canceled = rejection(transport.handler(call(server, { headers: ['a b', 'c'], scope })));
    const last = transport.handler(call(server));
    scope.cancel();
    expect(await canceled).toBeInstanceOf(CanceledError);
    held.open();
    await readText(await first);
    expect(await refused).toBeInstanceOf(ConfigError);
    expect(await readText(await last)).toBe('ok');
  });

  it('needs an endpoint', async () => {
    const server = await http((_, response) => response.end());
    const error = await rejection(make().handler(call(server).with({ endpoint: null })));
    expect(error).toBeInstanceOf(ConfigError);
    expect(error).not.toBeInstanceOf(NoEndpointError);
  });

  it('blames a body that fails on the caller, and does not read on', async () => {
    const server = await http((request, response) => {
      request.on('error', () => {});
      void bodyOf(request).then(
        () => response.end(),
        () => {},
      );
    });
    const broken = new Error('disk');
    const once = (async function* () {
      yield new Uint8Array(3);
      throw broken;
    })();
    const error = await rejection(make().handler(call(server, { method: 'PUT', body: { once } })));
    expect(error).toBeInstanceOf(CanceledError);
    expect(error.cause).toBe(broken);
  });

  it('refuses a one-shot body that somebody has begun', async () => {
    const server = await http((_, response) => response.end());
    const body = { once: pieces('a'), started: true };
    const error = await rejection(make().handler(call(server, { method: 'PUT', body })));
    expect(error).toBeInstanceOf(CanceledError);
    expect(error.cause.message).toMatch(/only once/);
  });
});

describe('what goes wrong on the way', () => {
  it('connection refused: nothing was sent', async () => {
    const endpoint = await closedPort();
    const error = await rejection(make().handler(call(endpoint, { method: 'POST', body: 'x' })));
    expect(error).toBeInstanceOf(TransportError);
    expect([error.phase, error.sent, error.cause.code, error.endpoint]).toEqual([
      'connect',
      'no',
      'ECONNREFUSED',
      endpoint.id,
    ]);
    expect(error.message).toContain(`payments: connect failed at ${endpoint.id}: ECONNREFUSED`);
  });

  it('more calls than connections to a port that refuses: every one is told', async () => {
    const endpoint = await closedPort();
    const transport = make({ connections: 3 });
    const errors = await Promise.all(Array.from({ length: 50 }, () => rejection(transport.handler(call(endpoint)))));
    expect(errors.every((error) => error.phase === 'connect' && error.sent === 'no')).toBe(true);
    expect(inFlight(transport)).toBe(0);
  });

  it('reset before the head: it may have been sent', async () => {
    const server = await raw((socket) => socket.resetAndDestroy());
    const error = await rejection(make().handler(call(server)));
    expect(error).toBeInstanceOf(TransportError);
    expect([error.phase, error.sent, error.staleSocket]).toEqual(['wait', 'maybe', false]);
    expect(server.accepted).toBe(1);
  });

  it('closed while the body is sent', async () => {
    const server = await raw((socket) => socket.destroy());
    const more = gate();
    const once = (async function* () {
      yield new Uint8Array(3);
      await more.promise;
    })();
    const error = await rejection(make().handler(call(server, { method: 'POST', body: { once } })));
    expect([error.phase, error.sent]).toEqual(['send', 'maybe']);
    more.open();
  });

  it.each([
    ['by content-length', 'content-length: 10'],
    ['in chunks', 'transfer-encoding: chunked'],
  ])('reset in the middle of a body sent %s', async (_, framing) => {
    const cut = gate();
    const server = await raw((socket) => {
      socket.write(`HTTP/1.1 200 OK\r\n${framing}\r\n\r\n${framing.startsWith('t') ? '3\r\n' : ''}abc`);
      void cut.promise.then(() => socket.resetAndDestroy());
    });
    const transport = make();
    const reply = await transport.handler(call(server));
    const sink = new Recorder();
    const ends: unknown[] = [];
    reply.onEnd((error) => ends.push(error));
    reply.onEnd((error) => ends.push(error));
    reply.onEnd((error) => ends.push(error));
    reply.body.attach(sink);
    await until(() => sink.bytes === 3);
    cut.open();
    await sink.over.promise;
    expect(sink.seen).toEqual(['abc', 'error']);
    expect(sink.error).toBeInstanceOf(TransportError);
    expect([(sink.error as TransportError).phase, (sink.error as TransportError).sent]).toEqual(['body', 'maybe']);
    expect(ends).toEqual([sink.error, sink.error, sink.error]);
    expect(inFlight(transport)).toBe(0);
    const late: unknown[] = [];
    reply.onEnd((error) => late.push(error));
    expect(late).toEqual([sink.error]);
  });

  it('delivers what came before a reset to a reader that comes after it', async () => {
    const server = await raw((socket) => {
      socket.write('HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc', () => socket.destroy());
    });
    const reply = await make().handler(call(server));
    await new Promise((resolve) => reply.onEnd(resolve));
    const sink = new Recorder();
    reply.body.attach(sink);
    expect(sink.seen).toEqual(['abc', 'error']);
  });

  it.each(['this is not HTTP\r\n\r\n', '\0\0\0\0\0\0', 'HTTP/1.1 abc\r\n\r\n'])('garbage: %j', async (text) => {
    const server = await raw((socket) => socket.end(text));
    const error = await rejection(make().handler(call(server)));
    expect(error).toBeInstanceOf(TransportError);
    expect([error.phase, error.sent, error.staleSocket]).toEqual(['wait', 'maybe', false]);
  });

  it('a head that is too large: this endpoint is to blame, and another one may be better', async () => {
    const server = await raw((socket) => socket.end(`HTTP/1.1 200 OK\r\nx: ${'y'.repeat(3000)}\r\n\r\n`));
    const error = await rejection(make({ maxHeaderBytes: 2048 }).handler(call(server)));
    expect(error).toBeInstanceOf(TransportError);
    expect([error.phase, error.sent]).toEqual(['wait', 'maybe']);
  });

  it('a content-length that is too small: the first bytes are the answer, the rest is never the next answer', async () => {
    const server = await raw((socket) =>
      socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 500 No\r\n\r\n'),
    );
    const transport = make({ connections: 1 });
    for (let i = 0; i < 3; i++) {
      const reply = await transport.handler(call(server));
      expect([reply.status, await readText(reply)]).toEqual([200, 'ok']);
    }
  });

  it('a TLS client at a plain port', async () => {
    const server = await raw(() => {});
    const endpoint = { ...server.endpoint, origin: server.origin.replace('http:', 'https:') };
    const scope = new Scope(systemClock);
    const pending = rejection(make().handler(call(endpoint, { scope })));
    await until(() => server.sockets.size === 1);
    for (const socket of server.sockets) socket.end('HTTP/1.1 400 Bad Request\r\n\r\n');
    const error = await pending;
    expect([error.phase, error.sent]).toEqual(['connect', 'no']);
  });
});

describe('a stale connection', () => {
  /** Answers a request, and at the next one on the same connection hangs up; what then comes on a new one is answered. */
  async function hangsUp(how: 'destroy' | 'resetAndDestroy'): Promise<TestServer & { heads: string[] }> {
    const heads: string[] = [];
    const served = new WeakSet<object>();
    const server = await raw((socket, head) => {
      heads.push(head);
      if (served.has(socket)) return void socket[how]();
      served.add(socket);
      socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok');
    });
    return Object.assign(Object.create(server), { heads }) as TestServer & { heads: string[] };
  }

  it.each(['destroy', 'resetAndDestroy'] as const)(
    'a request that dies by %s is sent once more, on a new one',
    async (how) => {
      const server = await hangsUp(how);
      const transport = make({ connections: 1 });
      const events: FairleadEvent[] = [];
      const runtime = { clock: systemClock, on: (event: FairleadEvent) => void events.push(event) };
      await readText(await transport.handler(call(server, { runtime })));
      const reply = await transport.handler(call(server, { runtime }));
      expect(await readText(reply)).toBe('ok');
      expect(events).toEqual([{ type: 'socket.replayed', service: 'payments', endpoint: server.endpoint.id }]);
      expect(server.accepted).toBe(2);
      expect(server.heads[2]).toMatch(/connection: close/i);
    },
  );

  it('sends a body again that can be sent again, for an idempotent call', async () => {
    const server = await hangsUp('destroy');
    const transport = make({ connections: 1 });
    await readText(await transport.handler(call(server)));
    let opened = 0;
    const open = (): AsyncIterable<Uint8Array> => {
      opened++;
      return pieces('abc');
    };
    const reply = await transport.handler(call(server, { method: 'PUT', body: { open, length: 3 } }));
    expect([await readText(reply), opened]).toEqual(['ok', 2]);
  });

  it.each([
    ['a POST', { method: 'POST', body: 'abc' }],
    ['a POST without a body', { method: 'POST' }],
    ['a one-shot body that was begun', { method: 'PUT', body: { once: pieces('abc') } }],
  ])('does not send %s again', async (_, init) => {
    const server = await hangsUp('destroy');
    const transport = make({ connections: 1 });
    await readText(await transport.handler(call(server)));
    const error = await rejection(transport.handler(call(server, init)));
    expect(error).toBeInstanceOf(TransportError);
    expect([error.staleSocket, error.sent, server.heads.length]).toEqual([true, 'maybe', 2]);
  });

  it('sends a POST again whose body had not begun', async () => {
    const server = await http((_, response) => response.end('ok'));
    const transport = make({ connections: 1 });
    await readText(await transport.handler(call(server)));
    const [socket] = server.sockets;
    const body = {
      once: (async function* () {
        // The head goes out with the first chunk, so at this point nothing has been written.
        yield new Uint8Array(1);
      })(),
    };
    let opened = 0;
    const open = async function* (): AsyncGenerator<Uint8Array> {
      if (opened++ === 0) {
        socket?.destroy();
        await new Promise(() => {});
      }
      yield* body.once;
    };
    const reply = await transport.handler(call(server, { method: 'POST', body: { open } }));
    expect([await readText(reply), opened]).toEqual(['ok', 2]);
  });

  it('gives up after the second time', async () => {
    let n = 0;
    const server = await raw((socket) => {
      if (++n === 1) socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok');
      else socket.destroy();
    });
    const transport = make({ connections: 1 });
    await readText(await transport.handler(call(server)));
    const error = await rejection(transport.handler(call(server)));
    expect([error.phase, error.sent, error.staleSocket, n]).toEqual(['wait', 'maybe', false, 3]);
    expect(inFlight(transport)).toBe(0);
  });

  it('does not take a new connection for a stale one', async () => {
    let n = 0;
    const server = await raw((socket) => {
      n++;
      socket.destroy();
    });
    const error = await rejection(make().handler(call(server)));
    expect([error.staleSocket, n]).toEqual([false, 1]);
  });

  it('takes a blank line for no answer, and is not led on by it', async () => {
    let n = 0;
    const server = await raw((socket) => {
      n++;
      socket.write('\r\n', () => socket.destroy());
    });
    const error = await rejection(make().handler(call(server)));
    expect([error.phase, n <= 2]).toEqual(['wait', true]);
  });

  it('is cut off by a close in the middle of the second try', async () => {
    let n = 0;
    const again = gate();
    const server = await raw((socket) => {
      n++;
      if (n === 1) socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok');
      else if (n === 2) socket.destroy();
      else again.open();
    });
    const transport = make({ connections: 1 });
    await readText(await transport.handler(call(server)));
    const pending = rejection(transport.handler(call(server)));
    await again.promise;
    await transport.close(5);
    expect((await pending).phase).toBe('closed');
  });

  it('does not send again once a byte of an answer has come', async () => {
    let n = 0;
    const server = await raw((socket) => {
      if (++n === 1) socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok');
      else socket.write('HTTP/1.1 1', () => socket.destroy());
    });
    const transport = make({ connections: 1 });
    await readText(await transport.handler(call(server)));
    const error = await rejection(transport.handler(call(server)));
    expect([error.staleSocket, n]).toEqual([false, 2]);
  });

  it('is canceled in the middle of the second try', async () => {
    let n = 0;
    const again = gate();
    const server = await raw((socket) => {
      n++;
      if (n === 1) socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok');
      else if (n === 2) socket.destroy();
      else again.open();
    });
    const transport = make({ connections: 1 });
    await readText(await transport.handler(call(server)));
    const scope = new Scope(systemClock);
    const pending = rejection(transport.handler(call(server, { scope })));
    await again.promise;
    scope.cancel();
    expect(await pending).toBe(scope.reason);
    expect(inFlight(transport)).toBe(0);
  });
});

describe('canceling', () => {
  it('before: nothing is sent', async () => {
    const server = await http((_, response) => response.end());
    const scope = new Scope(systemClock);
    scope.cancel();
    expect(await rejection(make().handler(call(server, { scope })))).toBe(scope.reason);
    expect(server.accepted).toBe(0);
  });

  it('while queued: no connection is made for it, and those behind it have theirs', async () => {
    const held = gate();
    const server = await http(async (_, response) => {
      await held.promise;
      response.writeHead(200, { connection: 'close' });
      response.end('ok');
    });
    const transport = make({ connections: 1 });
    const first = transport.handler(call(server));
    const scope = new Scope(systemClock);
    const canceled = Array.from({ length: 3 }, () => rejection(transport.handler(call(server, { scope }))));
    scope.cancel();
    for (const error of await Promise.all(canceled)) expect(error).toBeInstanceOf(CanceledError);
    held.open();
    expect(await readText(await first)).toBe('ok');
    await server.quiet();
    for (let turns = 0; turns < 20; turns++) await nextTurn();
    expect(server.accepted).toBe(1);
    expect(await readText(await transport.handler(call(server)))).toBe('ok');
    expect(server.accepted).toBe(2);
  });

  it('while queued: rejects at once, never reaches the wire, and the connection is not harmed', async () => {
    const held = gate();
    const urls: string[] = [];
    const server = await http((request, response) => {
      urls.push(request.url as string);
      if (request.url === '/held') void held.promise.then(() => response.end());
      else response.end('ok');
    });
    const transport = make({ connections: 1 });
    const first = transport.handler(call(server, { path: '/held' }));
    await until(() => urls.length === 1);
    const scope = new Scope(systemClock);
    const errors = Array.from({ length: 1000 }, () =>
      rejection(transport.handler(call(server, { path: '/no', scope }))),
    );
    expect(inFlight(transport)).toBe(1001);
    scope.cancel();
    expect(inFlight(transport)).toBe(1);
    expect(new Set(await Promise.all(errors))).toEqual(new Set([scope.reason]));
    held.open();
    await readText(await first);
    expect(await readText(await transport.handler(call(server)))).toBe('ok');
    expect(urls).toEqual(['/held', '/']);
    expect(server.accepted).toBe(1);
  });

  it('while connecting: rejects at once, and says that nothing was sent', async () => {
    const server = await http((_, response) => response.end());
    const scope = expiring(10_000);
    const pending = rejection(make().handler(call(server, { scope })));
    scope.fire();
    const error = await pending;
    expect(error).toBeInstanceOf(TimeoutError);
    expect([error.of, error.ms, error.sent, error.endpoint]).toEqual(['attempt', 10_000, 'no', server.endpoint.id]);
    expect((scope.reason as TimeoutError).sent).toBe('maybe');
  });

  it('while waiting for the head: by an attempt that runs out of time', async () => {
    const server = await http(() => {});
    const started = systemClock.now();
    const scope = expiring(40);
    const error = await rejection(make().handler(call(server, { scope })));
    expect(systemClock.now() - started).toBeGreaterThanOrEqual(40);
    expect([error.code, error.of, error.sent]).toEqual(['ERR_TIMEOUT', 'attempt', 'maybe']);
    await server.quiet();
  });

  it('while the body is sent: stops reading its source', async () => {
    const server = await http(() => {});
    const scope = new Scope(systemClock);
    const waiting = gate();
    let returned = 0;
    const source = {
      n: 0,
      next: (): Promise<IteratorResult<Uint8Array>> => {
        if (source.n++ === 0) return Promise.resolve({ done: false, value: new Uint8Array(1) });
        waiting.open();
        return new Promise(() => {});
      },
      return: () => {
        returned++;
        return Promise.resolve({ done: true as const, value: undefined });
      },
    };
    const body = { once: { [Symbol.asyncIterator]: () => source } };
    const pending = rejection(make().handler(call(server, { method: 'POST', scope, body })));
    await waiting.promise;
    scope.cancel();
    expect(await pending).toBe(scope.reason);
    expect(returned).toBe(1);
  });

  it('while the body flows: the sink gets the reason, the connection is cut', async () => {
    const server = await http((_, response) => void response.write('abc'));
    const transport = make();
    const scope = new Scope(systemClock);
    const reply = await transport.handler(call(server, { scope }));
    const sink = new Recorder();
    reply.body.attach(sink);
    await until(() => sink.bytes === 3);
    scope.cancel();
    expect(sink.error).toBe(scope.reason);
    expect(inFlight(transport)).toBe(0);
    await server.quiet();
  });

  it('while nobody has come for the body: a later sink gets the reason and nothing else', async () => {
    const server = await http((_, response) => void response.write('abc'));
    const scope = new Scope(systemClock);
    const reply = await make().handler(call(server, { scope }));
    scope.cancel();
    const sink = new Recorder();
    reply.body.attach(sink);
    expect([sink.seen, sink.error]).toEqual([['error'], scope.reason]);
  });

  it('after the end: changes nothing', async () => {
    const server = await http((_, response) => response.end('ok'));
    const scope = new Scope(systemClock);
    const reply = await make().handler(call(server, { scope }));
    await new Promise((resolve) => reply.onEnd(resolve));
    scope.cancel();
    expect(await readText(reply)).toBe('ok');
  });

  it('a thousand calls at once', async () => {
    const server = await http(() => {});
    const transport = make({ connections: 50 });
    const scope = new Scope(systemClock);
    const errors = Array.from({ length: 1000 }, () =>
      rejection(transport.handler(call(server, { scope: scope.child() }))),
    );
    await until(() => server.sockets.size === 50);
    scope.cancel();
    expect((await Promise.all(errors)).every((error) => error === scope.reason)).toBe(true);
    expect(inFlight(transport)).toBe(0);
  });
});

describe('the body', () => {
  const big = 4 * 1024 * 1024;

  it('holds back a sender whose reader pauses, and loses nothing', async () => {
    let drained = 0;
    const server = await http((_, response) => {
      const chunk = Buffer.alloc(16_384, 'x');
      const more = (): void => {
        while (drained < 64 * big) {
          drained += chunk.length;
          if (!response.write(chunk)) return void response.once('drain', more);
        }
        response.end();
      };
      more();
    });
    const reply = await make().handler(call(server));
    const sink = new Recorder();
    sink.onData = (chunk): void => {
      sink.bytes += chunk.length;
      reply.body.pause();
    };
    reply.body.attach(sink);
    await until(() => sink.bytes > 0);
    let before = -1;
    for (let quiet = 0; quiet < 200; quiet = drained === before ? quiet + 1 : 0) {
      before = drained;
      await nextTurn();
    }
    // What is under way is in socket buffers, the kernel's on both sides.
    expect(drained).toBeLessThan(16 * 1024 * 1024);
    const seen = sink.bytes;
    sink.onData = (chunk): void => void (sink.bytes += chunk.length);
    reply.body.resume();
    await sink.over.promise;
    expect(seen).toBeLessThanOrEqual(65_536);
    expect([sink.error, sink.bytes === drained]).toEqual([undefined, true]);
  });

  const inChunks = (): Promise<TestServer> =>
    raw((socket) => {
      socket.write('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n1\r\nb\r\n1\r\nc\r\n0\r\n\r\n');
    });

  it('delivers one piece at a time to a sink that pauses after each', async () => {
    const server = await inChunks();
    const reply = await make().handler(call(server));
    await new Promise((resolve) => reply.onEnd(resolve));
    const sink = new Recorder();
    const onData = sink.onData.bind(sink);
    sink.onData = (chunk): void => {
      reply.body.pause();
      onData(chunk);
    };
    reply.body.attach(sink);
    expect(sink.seen).toEqual(['a']);
    reply.body.resume();
    expect(sink.seen).toEqual(['a', 'b']);
    reply.body.resume();
    reply.body.resume();
    expect(sink.seen).toEqual(['a', 'b', 'c', 'end']);
  });

  it('lets a sink resume from within', async () => {
    const server = await inChunks();
    const reply = await make().handler(call(server));
    await new Promise((resolve) => reply.onEnd(resolve));
    const sink = new Recorder();
    const onData = sink.onData.bind(sink);
    sink.onData = (chunk): void => {
      reply.body.pause();
      reply.body.resume();
      onData(chunk);
    };
    reply.body.attach(sink);
    expect(sink.seen).toEqual(['a', 'b', 'c', 'end']);
  });

  it('goes to one sink', async () => {
    const server = await http((_, response) => response.end('ok'));
    const reply = await make().handler(call(server));
    await readText(reply);
    expect(() => reply.body.attach(new Recorder())).toThrow(TypeError);
  });

  it.each(['arrives', 'is held'])(
    'cuts the connection of a sink that throws when a piece %s, and tells it',
    async (when) => {
      const first = gate();
      const server = await http((_, response) => {
        response.writeHead(200, { 'content-length': 1_000_000 }).flushHeaders();
        void first.promise.then(() => response.write('abc'));
      });
      const transport = make();
      if (when === 'is held') first.open();
      const reply = await transport.handler(call(server));
      const sink = new Recorder();
      const bug = new Error('bug');
      sink.onData = (): void => {
        throw bug;
      };
      if (when === 'is held') await nextTurn();
      reply.body.attach(sink);
      first.open();
      await sink.over.promise;
      const { error } = sink as { error: { cause?: unknown } };
      expect(error === bug || error.cause === bug).toBe(true);
      await server.quiet();
    },
  );

  it('lets the sink of one body resume another', async () => {
    const server = await http((_, response) => response.end(Buffer.alloc(big)));
    const transport = make();
    const [a, b] = await Promise.all([transport.handler(call(server)), transport.handler(call(server))]);
    const [first, second] = [new Recorder(), new Recorder()];
    first.onData = (chunk): void => {
      first.bytes += chunk.length;
      a.body.pause();
      b.body.resume();
    };
    second.onData = (chunk): void => {
      second.bytes += chunk.length;
      b.body.pause();
      a.body.resume();
    };
    first.onEnd = (): void => {
      first.over.open();
      b.body.resume();
      second.onData = (chunk): void => void (second.bytes += chunk.length);
    };
    second.onEnd = (): void => {
      second.over.open();
      a.body.resume();
      first.onData = (chunk): void => void (first.bytes += chunk.length);
    };
    a.body.attach(first);
    b.body.attach(second);
    await Promise.all([first.over.promise, second.over.promise]);
    expect([first.bytes, second.bytes]).toEqual([big, big]);
  });

  it('drops a short rest that nobody wants, and keeps the connection', async () => {
    const rest = gate();
    const server = await http((request, response) => {
      if (request.url === '/short') {
        response.writeHead(503, { 'content-length': 2000 });
        response.write('x'.repeat(1000));
        void rest.promise.then(() => response.end('x'.repeat(1000)));
      } else response.end('ok');
    });
    const transport = make({ connections: 1 });
    const reply = await transport.handler(call(server, { path: '/short' }));
    const ends: unknown[] = [];
    reply.onEnd((error) => ends.push(error));
    reply.body.cancel();
    expect(ends).toEqual([]);
    rest.open();
    expect(await readText(await transport.handler(call(server)))).toBe('ok');
    expect([ends, server.accepted]).toEqual([[null], 1]);
  });

  it.each([
    ['a long rest', { 'content-length': big }, 0],
    ['a rest that turns out to be long', {}, 400_000],
  ])('cuts off %s', async (_, headers, bytes) => {
    const server = await http((_, response) => {
      response.writeHead(200, headers as Record<string, number>);
      response.write('x');
      response.write(Buffer.alloc(bytes));
    });
    const transport = make();
    const reply = await transport.handler(call(server));
    const ended = new Promise((resolve) => reply.onEnd(resolve));
    reply.body.cancel();
    expect(await ended).toBeInstanceOf(CanceledError);
    await server.quiet();
    expect(inFlight(transport)).toBe(0);
  });

  it('cuts off a rest that does not come', async () => {
    const server = await http((_, response) => void response.write('x'));
    const reply = await make({ dropBodyMs: 20 }).handler(call(server));
    const ended = new Promise((resolve) => reply.onEnd(resolve));
    reply.body.cancel();
    expect(String(await ended)).toMatch(/did not come within 20 ms/);
    await server.quiet();
  });

  it('tells a paused sink at once that it is over, and only what is held comes before it', async () => {
    const server = await http((_, response) => void response.write('abc'));
    const transport = make();
    for (const held of [false, true]) {
      const scope = new Scope(systemClock);
      const reply = await transport.handler(call(server, { scope }));
      const sink = new Recorder();
      if (held) reply.body.pause();
      reply.body.attach(sink);
      await nextTurn();
      if (!held) await until(() => sink.bytes === 3);
      reply.body.pause();
      scope.cancel();
      expect(sink.seen.at(-1)).toBe('error');
    }
    const broken = await http((_, response) => void response.write('abc', () => response.destroy()));
    const reply = await transport.handler(call(broken));
    const sink = new Recorder();
    reply.body.pause();
    reply.body.attach(sink);
    await new Promise((resolve) => reply.onEnd(resolve));
    expect(sink.seen).toEqual([]);
    reply.body.resume();
    expect(sink.seen).toEqual(['abc', 'error']);
  });

  it('tells an attached sink why it was canceled, and stops an endless body at once', async () => {
    const server = await http((_, response) => void response.write('x'));
    const reply = await make({ dropBodyMs: 60_000 }).handler(call(server));
    const sink = new Recorder();
    reply.body.attach(sink);
    const reason = new Error('enough');
    reply.body.cancel(reason);
    expect([sink.error, sink.seen.filter((s) => s === 'error').length]).toEqual([reason, 1]);
    await server.quiet();
  });

  it('stops reading in the middle when the sink cancels from within', async () => {
    const server = await http((_, response) => response.end(Buffer.alloc(big)));
    const reply = await make().handler(call(server));
    await expect(readBytes(reply, 1000)).rejects.toThrow(RangeError);
    await server.quiet();
  });

  it('gives the connection of a body back that nobody reads', async () => {
    const server = await http((_, response) => response.end(Buffer.alloc(big)));
    const transport = make({ connections: 1, unreadBodyMs: 30 });
    const reply = await transport.handler(call(server));
    const ended = new Promise((resolve) => reply.onEnd(resolve));
    expect(String(await ended)).toMatch(/nobody read the body within 30 ms/);
    const sink = new Recorder();
    reply.body.attach(sink);
    expect(sink.seen).toEqual(['error']);
    expect((await transport.handler(call(server))).status).toBe(200);
  });

  it('leaves a body alone that was taken in time', async () => {
    const finish = gate();
    const server = await http((_, response) => {
      response.write('a');
      void finish.promise.then(() => response.end('b'));
    });
    const reply = await make({ unreadBodyMs: 20 }).handler(call(server));
    const text = readText(reply);
    await rejection(make().handler(call(await raw(() => {}), { scope: expiring(60) })));
    finish.open();
    expect(await text).toBe('ab');
  });
});

describe('closing', () => {
  it('waits for what is under way', async () => {
    const finish = gate();
    const server = await http((_, response) => void finish.promise.then(() => response.end('ok')));
    const transport = make();
    const pending = transport.handler(call(server));
    await until(() => server.sockets.size === 1);
    const closed = transport.close();
    const refused = await rejection(transport.handler(call(server)));
    expect([refused.code, refused.phase, refused.sent]).toEqual(['ERR_TRANSPORT', 'closed', 'no']);
    finish.open();
    expect(await readText(await pending)).toBe('ok');
    await closed;
    await server.quiet();
  });

  it('cuts off what takes too long, bodies that nobody reads included', async () => {
    const server = await http((request, response) => {
      if (request.url === '/body') response.end(Buffer.alloc(4 * 1024 * 1024));
    });
    const transport = make();
    const reply = await transport.handler(call(server, { path: '/body' }));
    const waiting = rejection(transport.handler(call(server)));
    await until(() => server.sockets.size === 2);
    await transport.close(20);
    expect((await waiting).phase).toBe('closed');
    const ended = await new Promise((resolve) => reply.onEnd(resolve));
    expect(ended).toBeInstanceOf(TransportError);
  });

  it('fails what is queued when it destroys', async () => {
    const server = await http(() => {});
    const transport = make({ connections: 1 });
    const errors = Array.from({ length: 5 }, () => rejection(transport.handler(call(server))));
    await until(() => server.sockets.size === 1);
    await transport.close(10);
    expect((await Promise.all(errors)).map((error) => [error.code, error.phase])).toEqual(
      Array.from({ length: 5 }, () => ['ERR_TRANSPORT', 'closed']),
    );
  });

  it('can be asked twice, and without ever having been used', async () => {
    const transport = createTransport();
    await Promise.all([transport.close(), transport.close()]);
  });

  it('releases an endpoint without harming its requests, and takes it again', async () => {
    const finish = gate();
    const server = await http((request, response) => {
      if (request.url === '/slow') void finish.promise.then(() => response.end('slow'));
      else response.end('ok');
    });
    const transport = make();
    const slow = transport.handler(call(server, { path: '/slow' }));
    await until(() => server.sockets.size === 1);
    transport.release(server.endpoint);
    transport.release(server.endpoint);
    expect(transport.stats().origins).toEqual([]);
    expect(await readText(await transport.handler(call(server)))).toBe('ok');
    finish.open();
    expect(await readText(await slow)).toBe('slow');
    expect(transport.stats().origins).toMatchObject([{ origin: server.origin, inFlight: 0 }]);
  });

  it('does not cut the request of an endpoint that was released, until everything is closed', async () => {
    const finish = gate();
    const server = await http((request, response) => {
      response.write('a');
      if (request.url === '/slow') void finish.promise.then(() => response.end('b'));
    });
    const transport = createTransport({ closeMs: 1 });
    const slow = await transport.handler(call(server, { path: '/slow' }));
    const stuck = await transport.handler(call(server, { path: '/stuck' }));
    const text = readText(slow);
    const cut = rejection(readText(stuck));
    transport.release(server.endpoint);
    // Long after closeMs.
    await rejection(make().handler(call(await raw(() => {}), { scope: expiring(50) })));
    finish.open();
    expect(await text).toBe('ab');
    await transport.close();
    expect(await cut).toBeInstanceOf(TransportError);
  });

  it('closes connections that were not used for a whole period, and no others', async () => {
    const server = await http((_, response) => response.end('ok'));
    const transport = make({ unusedMs: 60_000 });
    const runtime = { clock: new VirtualClock() };
    const send = async (): Promise<string> => readText(await transport.handler(call(server, { runtime })));
    await send();
    for (let i = 0; i < 3; i++) {
      await runtime.clock.advance(60_000);
      expect(transport.stats().origins).toMatchObject([{ inFlight: 0 }]);
      await send();
    }
    await runtime.clock.advance(120_000);
    expect(transport.stats().origins).toEqual([]);
    await server.quiet();
    expect(await send()).toBe('ok');
  });
});

describe('options', () => {
  it('gives up on a connection that does not come about', async () => {
    const server = await raw(() => {});
    const endpoint = { ...server.endpoint, origin: server.origin.replace('http:', 'https:') };
    const error = await rejection(make({ connectTimeoutMs: 30 }).handler(call(endpoint)));
    expect([error.phase, error.sent, error.cause.code]).toEqual(['connect', 'no', 'UND_ERR_CONNECT_TIMEOUT']);
  });

  it('does not keep a connection as long as its server does', async () => {
    const answer = (head: string) =>
      raw((socket) => void socket.write(`HTTP/1.1 200 OK\r\n${head}content-length: 0\r\n\r\n`));
    const [brief, silent] = [await answer('keep-alive: timeout=1\r\n'), await answer('')];
    const transport = make({ keepAliveMs: 20 });
    for (const server of [brief, silent]) {
      await readText(await transport.handler(call(server)));
      await server.quiet();
    }
  });

  it('are checked all at once', () => {
    const wrong = { connections: 0, connectTimeoutMs: -1, host: 'a b', conections: 3 };
    expect(() => createTransport(wrong)).toThrow(/4 problems[\s\S]*did you mean connections/);
    expect(Object.isFrozen(transportDefaults)).toBe(true);
  });

  it('bounds the connections to one endpoint', async () => {
    let most = 0;
    const server = await http((_, response) => {
      most = Math.max(most, server.sockets.size);
      void nextTurn().then(() => response.end('ok'));
    });
    const transport = make({ connections: 4 });
    const texts = Array.from({ length: 100 }, async () => readText(await transport.handler(call(server))));
    expect(new Set(await Promise.all(texts))).toEqual(new Set(['ok']));
    expect([server.accepted <= 4, most <= 4]).toEqual([true, true]);
  });
});
