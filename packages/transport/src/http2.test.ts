/**
 * Catches: calls that do not share a connection, or a server that takes one that it had refused; a request lost or sent
 * twice when the server says farewell, refuses a stream or breaks off; and a wrong claim of whether it was sent.
 */
import {
  createSecureServer,
  createServer,
  type Http2Server,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import { createServer as createHttps1 } from 'node:https';
import { createServer as createNetServer } from 'node:net';
import { type Call, compose, createEndpoint, type Handler, readText, systemClock } from '@fairlead/core';
import { countResources } from '@fairlead/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { authority, server as identity } from '../test/certificates.js';
import { call, gate, httpServer, nextTurn, rejection, serve, type TestServer, until } from '../test/servers.js';
import { createTransport, type Transport, type TransportOptions } from './transport.js';

const REFUSED_STREAM = 7;
const INTERNAL_ERROR = 2;

const servers: TestServer[] = [];
const transports: Transport[] = [];
let resources = countResources();

beforeEach(() => {
  resources = countResources();
});

afterEach(async () => {
  for (const transport of transports.splice(0)) await transport.close(0);
  // A server that has said farewell waits for its own streams, not for us: it has to be told.
  for (const server of servers.splice(0)) await server.close();
  await resources.check();
});

function make(options: Partial<TransportOptions> = {}): Transport {
  const transport = createTransport({ http2: true, tls: { ca: authority, servername: 'payments.test' }, ...options });
  transports.push(transport);
  return transport;
}

/** What a server does with a stream: `n` counts them, the first is 1. */
type OnStream = (stream: ServerHttp2Stream, n: number, session: ServerHttp2Session, path: string) => void;

interface H2Server extends TestServer {
  readonly seen: readonly string[];
  /** Takes no connections any more, and keeps those that there are. */
  refuse(): void;
}

async function h2(onStream: OnStream, options: { secure?: boolean } = {}): Promise<H2Server> {
  const secure = options.secure ?? true;
  const server = secure ? createSecureServer({ ...identity, allowHTTP1: true }) : createServer();
  const seen: string[] = [];
  server.on('session', (session: ServerHttp2Session) => session.on('error', () => {}));
  server.on('stream', (stream: ServerHttp2Stream, headers) => {
    stream.on('error', () => {});
    seen.push(`${headers[':method']} ${headers[':path']}`);
    onStream(stream, seen.length, stream.session as ServerHttp2Session, String(headers[':path']));
  });
  const made = await serve(server as Http2Server, secure ? 'https' : 'http');
  servers.push(made);
  return Object.assign(made, { seen, refuse: () => void server.close() });
}

const answer = (stream: ServerHttp2Stream, text = 'ok'): void => {
  stream.respond({ ':status': 200 });
  stream.end(text);
};
const post = (server: TestServer, path = '/', body: Call['body'] = 'x'): Call =>
  call(server, { method: 'POST', path, body });
const text = async (transport: Transport, to: Call): Promise<string> => readText(await transport.handler(to));

describe.each([true, false])('HTTP/2, secure: %s', (secure) => {
  it('carries many calls over one connection, bodies and headers intact', async () => {
    const all = gate();
    const server = await h2(
      (stream, n, _, path) => {
        if (n === 50) all.open();
        let body = '';
        stream.on('data', (data) => (body += data));
        stream.on('end', () => {
          void all.promise.then(() => {
            stream.respond({ ':status': 201, 'x-a': 'b', 'set-cookie': ['c=1', 'd=2'] });
            stream.end(`${path} ${body}`);
          });
        });
      },
      { secure },
    );
    const transport = make();
    const replies = await Promise.all(
      Array.from({ length: 50 }, async (_, n) => {
        const reply = await transport.handler(
          post(server, `/${n}`, n % 2 === 0 ? `b${n}` : { open: () => pieces(`b${n}`) }),
        );
        expect([reply.status, reply.headers['x-a'], reply.headers['set-cookie']]).toEqual([201, 'b', ['c=1', 'd=2']]);
        expect(Object.keys(reply.headers).filter((name) => name.startsWith(':'))).toEqual([]);
        return readText(reply);
      }),
    );
    expect(replies).toEqual(Array.from({ length: 50 }, (_, n) => `/${n} b${n}`));
    expect(server.accepted).toBe(1);
  });

  it('holds back a sender whose reader pauses', async () => {
    let written = 0;
    const server = await h2(
      (stream) => {
        stream.respond({ ':status': 200 });
        const chunk = Buffer.alloc(65_536);
        const write = (): void => {
          while (written < 64 * 1024 * 1024) {
            written += chunk.length;
            if (!stream.write(chunk)) return void stream.once('drain', write);
          }
          stream.end();
        };
        write();
      },
      { secure },
    );
    const transport = make();
    const reply = await transport.handler(call(server));
    let got = 0;
    const over = gate();
    reply.body.attach({
      onData(chunk) {
        got += chunk.length;
        if (got === chunk.length) reply.body.pause();
      },
      onEnd: () => over.open(),
      onError: () => over.open(),
    });
    for (let n = 0; n < 200; n++) await nextTurn();
    expect(written).toBeLessThan(8 * 1024 * 1024);
    reply.body.resume();
    await over.promise;
    expect(got).toBe(64 * 1024 * 1024);
  });

  it('ends one stream and no other when a call is canceled', async () => {
    const server = await h2(
      (stream, _, __, path) => {
        if (path === '/b') void until(() => server.seen.length === 3).then(() => answer(stream));
        else if (path === '/c') answer(stream);
      },
      { secure },
    );
    const transport = make();
    const canceled = post(server, '/a');
    const first = rejection(transport.handler(canceled));
    const second = text(transport, post(server, '/b'));
    await until(() => server.seen.length === 2);
    canceled.scope.cancel();
    expect((await first).code).toBe('ERR_CANCELED');
    expect(await text(transport, post(server, '/c'))).toBe('ok');
    expect(await second).toBe('ok');
    expect(server.accepted).toBe(1);
  });
});

async function* pieces(...texts: string[]): AsyncGenerator<Uint8Array> {
  for (const each of texts) yield Buffer.from(each);
}

describe('negotiation', () => {
  it('offers HTTP/2 first', async () => {
    const offered: string[][] = [];
    const own = createHttps1({
      ...identity,
      ALPNCallback: ({ protocols }) => {
        offered.push(protocols);
        return 'http/1.1';
      },
    });
    own.on('request', (_, response) => response.end('ok'));
    const server = await serve(own, 'https');
    servers.push(server);
    expect(await text(make(), call(server))).toBe('ok');
    expect(await text(make({ http2: false }), call(server))).toBe('ok');
    expect(offered).toEqual([['h2', 'http/1.1'], ['http/1.1']]);
  });

  it('of HTTP/1.1 leaves one request at a time to a connection', async () => {
    let most = 0;
    let underWay = 0;
    const own = createHttps1(identity, (_, response) => {
      most = Math.max(most, ++underWay);
      void nextTurn().then(() => {
        underWay--;
        response.end('ok');
      });
    });
    const server = await serve(own, 'https');
    servers.push(server);
    const transport = make({ connections: 1 });
    await Promise.all(Array.from({ length: 10 }, () => text(transport, call(server))));
    expect(most).toBe(1);
  });

  it('falls back to HTTP/1.1 where TLS says so', async () => {
    const server = await serve(
      createHttps1(identity, (request, response) => response.end(request.httpVersion)),
      'https',
    );
    servers.push(server);
    const transport = make();
    const texts = await Promise.all(Array.from({ length: 5 }, () => text(transport, call(server))));
    expect(texts).toEqual(Array.from({ length: 5 }, () => '1.1'));
  });

  it('does not take place unless asked for', async () => {
    const both = createSecureServer({ ...identity, allowHTTP1: true }, (request, response) => {
      response.end(request.httpVersion);
    });
    const server = await serve(both as unknown as Http2Server, 'https');
    servers.push(server);
    expect(await text(make({ http2: false }), call(server))).toBe('1.1');
    expect(await text(make(), call(server))).toBe('2.0');
  });

  it('cannot take place without TLS: a server of HTTP/1 is an error, and soon', async () => {
    const server = await httpServer((_, response) => response.end('ok'));
    servers.push(server);
    const error = await rejection(make().handler(post(server)));
    expect([error.code, error.service]).toEqual(['ERR_TRANSPORT', 'payments']);
  });
});

describe('a stream that is refused', () => {
  it('is sent again at once, a POST included', async () => {
    const server = await h2((stream, n) => (n === 1 ? stream.close(REFUSED_STREAM) : answer(stream)));
    expect(await text(make(), post(server))).toBe('ok');
    expect([server.seen.length, server.accepted]).toEqual([2, 1]);
  });

  it('twice: is known not to have been sent', async () => {
    const server = await h2((stream) => stream.close(REFUSED_STREAM));
    const error = await rejection(make().handler(post(server)));
    expect([error.code, error.sent, error.staleSocket]).toEqual(['ERR_TRANSPORT', 'no', false]);
    expect(server.seen.length).toBe(2);
  });

  it('with a body that is read piece by piece: is known not to have been sent', async () => {
    const server = await h2((stream) => stream.close(REFUSED_STREAM));
    const error = await rejection(make().handler(post(server, '/', { open: () => pieces('a', 'b') })));
    expect([error.code, error.sent]).toEqual(['ERR_TRANSPORT', 'no']);
  });

  it('for another reason may have been sent', async () => {
    const server = await h2((stream) => stream.close(INTERNAL_ERROR));
    const error = await rejection(make().handler(post(server)));
    expect([error.code, error.sent, error.phase]).toEqual(['ERR_TRANSPORT', 'maybe', 'wait']);
    expect(server.seen.length).toBe(1);
  });

  it('after its answer began is broken off, and nothing else', async () => {
    const server = await h2((stream) => {
      stream.respond({ ':status': 200, 'content-length': 10 });
      stream.write('a', () => stream.close(REFUSED_STREAM));
    });
    const reply = await make().handler(post(server));
    const error = await rejection(readText(reply));
    expect([error.code, error.phase, error.sent]).toEqual(['ERR_TRANSPORT', 'body', 'maybe']);
    expect(server.seen.length).toBe(1);
  });
});

/** Repeats what is known not to have been sent, as the retry layer does whatever the method. */
function repeating(transport: Transport, others: (call: Call) => Call = (same) => same): Handler {
  return compose(
    [
      async function again(to, next) {
        let last: unknown;
        for (let n = 0; n < 3; n++) {
          try {
            return await next(n === 0 ? to : others(to));
          } catch (error) {
            last = error;
            if ((error as { sent?: string }).sent !== 'no') throw error;
          }
        }
        throw last;
      },
    ],
    transport.handler,
  );
}

describe('a farewell (GOAWAY)', () => {
  it.each([0, INTERNAL_ERROR])(
    'with code %i in the middle of a burst loses no request above its last stream',
    async (code) => {
      // Every stream but the first few of the first connection is above the last one.
      const done: string[] = [];
      const server = await h2((stream, n, session, path) => {
        if (n === 20) session.goaway(code, 9);
        const old = server.accepted === 1;
        if (old && (stream.id as number) > 9) return;
        done.push(path);
        answer(stream);
      });
      const transport = make();
      const handler = repeating(transport);
      const results = await Promise.allSettled(
        Array.from({ length: 100 }, async (_, n) => readText(await handler(post(server, `/${n}`)))),
      );
      const failed = results.flatMap((result, n) => (result.status === 'rejected' ? [[n, result.reason.sent]] : []));
      // With an error code the server has given up on what it had accepted, too.
      if (code === 0) expect(failed).toEqual([]);
      for (const [, sent] of failed) expect(sent).toBe('maybe');
      expect(failed.length).toBeLessThanOrEqual(5);
      expect(new Set(done).size).toBe(done.length);
      expect(server.accepted).toBeLessThan(5);
      await until(() => transport.stats().origins[0]?.connected === 1);
    },
  );

  it('lets what was accepted finish, and sends nothing new that way', async () => {
    const finish = gate();
    const server = await h2((stream, n, session) => {
      if (n === 1) {
        void finish.promise.then(() => answer(stream, 'late'));
        session.close();
      } else answer(stream);
    });
    const transport = make();
    const first = text(transport, post(server, '/first'));
    await until(() => server.seen.length === 1);
    for (let n = 0; n < 20; n++) await nextTurn();
    expect(await text(transport, post(server, '/second'))).toBe('ok');
    expect(server.accepted).toBe(2);
    finish.open();
    expect(await first).toBe('late');
  });

  it('sends again what was not accepted, without waiting for the long answer of what was', async () => {
    const finish = gate();
    const server = await h2((stream, n, session) => {
      if (n === 1) void finish.promise.then(() => answer(stream, 'late'));
      else if (n === 3) session.goaway(0, 1);
      else if (n > 3) answer(stream);
    });
    const transport = make();
    const first = text(transport, post(server, '/first'));
    await until(() => server.seen.length === 1);
    const others = await Promise.all([text(transport, post(server, '/a')), text(transport, post(server, '/b'))]);
    expect([others, server.accepted]).toEqual([['ok', 'ok'], 2]);
    finish.open();
    expect(await first).toBe('late');
  });

  it('of a server that is gone then: what it had not accepted goes elsewhere, a POST included', async () => {
    const other = await h2((stream) => answer(stream, 'other'));
    const server = await h2((stream, n, session) => {
      if (n < 10) return void (n === 1 && answer(stream, 'first'));
      server.refuse();
      session.goaway(0, 1);
    });
    const transport = make();
    const handler = repeating(transport, (to) => to.with({ endpoint: other.endpoint }));
    const texts = await Promise.all(
      Array.from({ length: 10 }, async (_, n) => readText(await handler(post(server, `/${n}`)))),
    );
    expect(texts.sort()).toEqual(['first', ...Array.from({ length: 9 }, () => 'other')]);
  });

  it('with a body that is read piece by piece: known not to have been sent', async () => {
    const server = await h2((_, n, session) => {
      if (n === 2) session.goaway(0, 1);
    });
    const transport = make();
    const first = rejection(transport.handler(post(server, '/a')));
    await until(() => server.seen.length === 1);
    const error = await rejection(transport.handler(post(server, '/b', { open: () => pieces('a', 'b') })));
    expect([error.code, error.sent]).toEqual(['ERR_TRANSPORT', 'no']);
    expect(error.message).toContain('GOAWAY');
    for (const socket of server.sockets) socket.destroy();
    expect((await first).sent).toBe('maybe');
  });
});

describe('a connection that breaks', () => {
  it.each(['POST', 'GET'])('is not a reason to send a %s twice that may have been read', async (method) => {
    const server = await h2((stream, n) => {
      if (n === 1 || n > 6) return answer(stream);
      if (n === 6) for (const socket of server.sockets) socket.destroy();
    });
    const transport = make();
    await text(transport, call(server));
    const errors = await Promise.all(
      Array.from({ length: 5 }, () =>
        rejection(transport.handler(call(server, { method, body: method === 'POST' ? 'x' : null }))),
      ),
    );
    expect(errors.map((error) => [error.code, error.sent])).toEqual(
      Array.from({ length: 5 }, () => ['ERR_TRANSPORT', 'maybe']),
    );
    for (let n = 0; n < 50; n++) await nextTurn();
    expect(server.seen.length).toBe(6);
    expect(await text(transport, call(server))).toBe('ok');
  });

  it('while a body has not begun: the head may have been acted upon', async () => {
    const act: OnStream = () => {
      for (const socket of server.sockets) socket.destroy();
    };
    const server = await h2(act, { secure: false });
    const silent = { open: () => ({ [Symbol.asyncIterator]: () => ({ next: () => new Promise<never>(() => {}) }) }) };
    const error = await rejection(make().handler(post(server, '/', silent)));
    expect([error.code, error.phase, error.sent]).toEqual(['ERR_TRANSPORT', 'send', 'maybe']);
  });

  it('before a burst reaches it: every call is told, soon', async () => {
    const server = await h2(() => {});
    await server.close();
    const transport = make();
    const errors = await Promise.all(Array.from({ length: 20 }, () => rejection(transport.handler(post(server)))));
    for (const error of errors)
      expect([error.phase, error.sent, error.cause.code]).toEqual(['connect', 'no', 'ECONNREFUSED']);
  });
});

describe('a connection that does not come about', () => {
  it('fails all calls that wait for it, and the next one tries again', async () => {
    const server = await serve(
      createNetServer((socket) => void socket.on('error', () => {}).resume()),
      'https',
    );
    servers.push(server);
    const transport = make({ connectTimeoutMs: 30 });
    const bodies = [null, 'x', { open: () => pieces('a') }, 'x', { open: () => pieces('a') }];
    for (const dials of [1, 2]) {
      const errors = await Promise.all(bodies.map((body) => rejection(transport.handler(post(server, '/', body)))));
      for (const error of errors) {
        expect([error.phase, error.sent, error.cause.code]).toEqual(['connect', 'no', 'UND_ERR_CONNECT_TIMEOUT']);
      }
      expect(server.accepted).toBe(dials);
    }
  });
});

describe('the age of a connection', () => {
  it('moves new calls to a new one while those under way finish', async () => {
    const finish = gate();
    const server = await h2((stream, n) =>
      n === 1 ? void finish.promise.then(() => answer(stream, 'late')) : answer(stream),
    );
    const transport = make({ maxConnectionAgeMs: 20 });
    const first = text(transport, post(server));
    const began = systemClock.now();
    await until(() => server.seen.length === 1);
    while (server.accepted === 1 && systemClock.now() - began < 3_000) await text(transport, post(server));
    expect(server.accepted).toBe(2);
    finish.open();
    expect(await first).toBe('late');
  });
});

describe('an endpoint', () => {
  it('is spoken to by the name it was found by', async () => {
    const server = await h2((stream) => answer(stream));
    const hosts: unknown[] = [];
    const own = createSecureServer(identity, (request, response) => {
      hosts.push(request.authority);
      response.end('ok');
    });
    const made = await serve(own as unknown as Http2Server, 'https');
    servers.push(made);
    const endpoint = createEndpoint(made.origin, { attributes: { serverName: 'ledger.test' } });
    expect(await text(make({ tls: { ca: authority } }), call(endpoint))).toBe('ok');
    expect(hosts).toEqual([`ledger.test:${made.port}`]);
    expect(server.seen).toEqual([]);
  });
});
