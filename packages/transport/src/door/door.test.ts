/**
 * Catches a door through which a caller sees something else than through plain undici (status, headers, trailers, errors),
 * that loses the failover of the stack behind it, or that leaves load behind. Every scenario for each way of calling.
 */
import type { RequestListener } from 'node:http';
import type { Socket } from 'node:net';
import { Readable } from 'node:stream';
import { gzipSync } from 'node:zlib';
import { type Middleware, rejected, Scope, systemClock } from '@fairlead/core';
import { afterEach, describe, expect, it } from 'vitest';
import { type Ask, callers, type Seen, undici, type World, type WorldOptions, world } from '../../test/door.js';
import {
  bodyOf,
  closedPort,
  httpServer,
  nextTurn,
  rawServer,
  rejection,
  type TestServer,
  until,
} from '../../test/servers.js';
import { explanationOf } from './index.js';

const cleanups: (() => Promise<unknown>)[] = [];
const worlds: World[] = [];

afterEach(async () => {
  for (const each of worlds.splice(0)) {
    // Whatever happened: nothing is under way any more, nobody is thought to be busy.
    await until(() => each.busy === 0);
    await each.close();
  }
  for (const clean of cleanups.splice(0).reverse()) await clean();
});

async function http(listener: RequestListener): Promise<TestServer> {
  const server = await httpServer(listener);
  cleanups.push(() => server.close());
  return server;
}
async function raw(onRequest: (socket: Socket, head: string, n: number) => void): Promise<TestServer> {
  const server = await rawServer(onRequest);
  cleanups.push(() => server.close());
  return server;
}
function over(servers: readonly { endpoint: TestServer['endpoint'] }[], options?: WorldOptions): World {
  const made = world(
    servers.map(({ endpoint }) => endpoint),
    options,
  );
  worlds.push(made);
  return made;
}

/** Answers 503 twice, then what was sent. */
function failsTwice(): RequestListener {
  let n = 0;
  return async (request, response) => {
    const body = await bodyOf(request);
    response.statusCode = ++n < 3 ? 503 : 200;
    response.end(`${request.method} ${body}`);
  };
}

async function* pieces(...all: (string | Uint8Array)[]): AsyncGenerator<Uint8Array> {
  for (const each of all) yield Buffer.from(each);
}

function form(Type: typeof FormData): FormData {
  const made = new Type();
  made.append('name', 'wört');
  return made;
}

describe.each(callers)('$name', (caller) => {
  const textOf = async (seen: Promise<Seen>): Promise<string> => (await seen).text();
  const Form = (caller.name === 'the built-in fetch' ? FormData : undici.FormData) as typeof FormData;

  it('sends and receives', async () => {
    const server = await http(async (request, response) => {
      const { method, url, headers } = request;
      response.writeHead(201, [
        ['x-two', '1'],
        ['x-two', '2'],
        ['set-cookie', 'a=1'],
        ['set-cookie', 'b=2'],
      ] as never);
      response.end(`${method} ${url} ${headers['x-mine']} ${await bodyOf(request)}`);
    });
    const { door } = over([server]);
    const seen = await caller.call(door, { path: '/a?b=c', method: 'POST', headers: { 'X-Mine': 'm' }, body: 'hi' });
    expect([seen.status, seen.header('x-two'), seen.header('set-cookie')]).toEqual([201, '1, 2', 'a=1, b=2']);
    expect(await seen.text()).toBe('POST /a?b=c m hi');
  });

  it.each<[string, () => unknown]>([
    ['nothing', () => undefined],
    ['a string', () => 'body'],
    ['bytes', () => Buffer.from('body')],
    ['a view', () => new DataView(new Uint8Array([98, 111, 100, 121]).buffer)],
    ['a blob', () => new Blob(['body'])],
    ['a form', () => form(Form)],
    [
      'a short stream',
      () => (caller.name === 'undici.request' ? Readable.from(['bo', 'dy']) : ReadableStream.from(pieces('bo', 'dy'))),
    ],
    ['a generator', () => pieces('bo', 'dy')],
  ])('repeats a PUT of %s that was answered with 503', async (kind, body) => {
    const server = await http(failsTwice());
    const { door, sent } = over([server]);
    const seen = await caller.call(door, { method: 'PUT', body: body() });
    expect(seen.status).toBe(200);
    const text = await seen.text();
    if (kind === 'a form') expect(text).toMatch(/^PUT -+[\s\S]+name="name"\r\n\r\nwört\r\n/);
    else expect(text).toBe(kind === 'nothing' ? 'PUT ' : 'PUT body');
    expect(sent).toHaveLength(3);
  });

  it('hands on the last 503 with its body, and a 503 to what must not be repeated', async () => {
    const server = await http((_, response) => response.writeHead(503).end('no'));
    const { door, sent } = over([server]);
    expect(await textOf(caller.call(door))).toBe('no');
    expect(sent).toHaveLength(3);
    expect(await textOf(caller.call(door, { method: 'POST', body: 'x' }))).toBe('no');
    expect(sent).toHaveLength(4);
  });

  it('sends a one-shot body that is too long to be kept once', async () => {
    const server = await http(async (request, response) => {
      const { length } = await bodyOf(request);
      response.writeHead(503).end(`${length}`);
    });
    const { door, sent } = over([server]);
    const long = pieces(new Uint8Array(70_000), new Uint8Array(70_000));
    const seen = await caller.call(door, { method: 'PUT', body: long });
    expect([seen.status, await seen.text(), sent.length]).toEqual([503, '140000', 1]);
  });

  it('goes on with an upload that was answered early, without losing a piece', async () => {
    let asked = 0;
    const server = await raw((socket, head) => {
      if (!head.startsWith('PUT')) return;
      asked++;
      if (asked === 1) socket.write('HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n');
    });
    const good = await http(async (request, response) => response.end(await bodyOf(request)));
    const { door, sent } = over([server, good]);
    async function* slow(): AsyncGenerator<Uint8Array> {
      for (let n = 0; n < 9; n++) {
        yield Buffer.from(`${n}`);
        // The 503 arrives while the upload goes on.
        if (n === 3) await until(() => sent.length === 2);
      }
    }
    expect(await textOf(caller.call(door, { method: 'PUT', body: slow() }))).toBe('012345678');
  });

  it.each(['GET', 'POST'])('moves a %s off an endpoint that refuses connections', async (method) => {
    const server = await http((_, response) => response.end('here'));
    const { door, sent } = over([{ endpoint: await closedPort() }, server]);
    expect(await textOf(caller.call(door, method === 'POST' ? { method, body: 'x' } : {}))).toBe('here');
    expect(sent).toHaveLength(2);
  });

  it('gives the error of the system when nobody listens, with ours on it', async () => {
    const { door, sent } = over([{ endpoint: await closedPort() }]);
    const error = await rejection(caller.call(door));
    expect(caller.code(error)).toBe('ECONNREFUSED');
    expect(sent).toHaveLength(3);
    const ours = explanationOf(error.cause ?? error);
    expect(ours).toMatchObject({ code: 'ERR_TRANSPORT', phase: 'connect', service: 'svc', sent: 'no' });
  });

  it('repeats a GET that was reset before its answer, and not a POST', async () => {
    const dead = await raw((socket) => socket.resetAndDestroy());
    const good = await http((_, response) => response.end('here'));
    const { door, sent } = over([dead, good]);
    expect(await textOf(caller.call(door))).toBe('here');
    const error = await rejection(caller.call(door, { method: 'POST', body: 'x' }));
    expect(['ECONNRESET', 'UND_ERR_SOCKET']).toContain(caller.code(error));
    expect(sent).toHaveLength(3);
  });

  it.each(['content-length: 100', 'transfer-encoding: chunked'])(
    'fails a body that breaks off (%s), once',
    async (how) => {
      const server = await raw((socket) => {
        socket.write(`HTTP/1.1 200 OK\r\n${how}\r\n\r\n${how.includes('chunked') ? '5\r\nhello\r\n' : 'hello'}`);
        void nextTurn().then(() => socket.end());
      });
      const { door, sent } = over([server]);
      const seen = await caller.call(door);
      const error = await rejection(seen.text());
      expect(caller.code(error)).toBe('UND_ERR_SOCKET');
      if (caller.name !== 'undici.request') expect(error.message).toBe('terminated');
      expect(sent).toHaveLength(1);
    },
  );

  it.each([
    ['HEAD', 200],
    ['GET', 204],
    ['GET', 304],
  ])('takes an answer without a body: %s %i', async (method, status) => {
    const server = await http((_, response) => response.writeHead(status, { 'x-a': '1' }).end());
    const seen = await caller.call(over([server]).door, { method });
    expect([seen.status, seen.header('x-a'), await seen.text()]).toEqual([status, '1', '']);
  });

  it('hands on what is compressed as it is; fetch decodes it', async () => {
    const server = await http((_, response) => response.setHeader('content-encoding', 'gzip').end(gzipSync('plain')));
    const seen = await caller.call(over([server]).door);
    if (caller.name === 'undici.request') expect(seen.header('content-encoding')).toBe('gzip');
    else expect(await seen.text()).toBe('plain');
    await seen.text().catch(() => {});
  });

  it('survives interim answers', async () => {
    const server = await http((_, response) => {
      response.writeEarlyHints({ link: '</a>; rel=preload' });
      response.end('after');
    });
    expect(await textOf(caller.call(over([server]).door))).toBe('after');
  });

  it('takes a content-length of its caller, once', async () => {
    const server = await http(async (request, response) =>
      response.end(`${request.headers['content-length']} ${await bodyOf(request)}`),
    );
    const ask: Ask = { method: 'PUT', body: 'abc', headers: { 'content-length': '3' } };
    expect(await textOf(caller.call(over([server]).door, ask))).toBe('3 abc');
  });

  it('has refusals of our own as they are', async () => {
    const no = rejected('breaker', 'svc', 'svc: the breaker is open');
    const { door } = over([], { layers: [() => Promise.reject(no)] });
    const error = await rejection(caller.call(door));
    expect(error.cause ?? error).toBe(no);
  });

  it('has a timeout of the call in the words of undici', async () => {
    const server = await raw(() => {});
    const deadline: Middleware = (call, next) => {
      call.scope.expireAt(call.at + 20, 'call', 20, 'svc');
      return next(call);
    };
    const { door } = over([server], { layers: [deadline] });
    const error = await rejection(caller.call(door));
    expect(caller.code(error)).toBe('UND_ERR_HEADERS_TIMEOUT');
    expect(explanationOf(error.cause ?? error)).toMatchObject({ code: 'ERR_TIMEOUT', of: 'call', ms: 20 });
  });

  it('does not send what undici refuses, nor repeat it', async () => {
    const server = await http((_, response) => response.end());
    const { door, sent } = over([server]);
    const error = await rejection(caller.call(door, { headers: { 'content-length': 'x' } }));
    expect(['UND_ERR_INVALID_ARG', 'UND_ERR_REQ_CONTENT_LENGTH_MISMATCH']).toContain(caller.code(error));
    expect(sent.length).toBeLessThan(2);
  });

  it('gives the error of a body that fails, and sends it once', async () => {
    const server = await http(() => {});
    const { door, sent } = over([server]);
    const broken = new RangeError('no more');
    async function* body(): AsyncGenerator<Uint8Array> {
      yield Buffer.from('a');
      throw broken;
    }
    const error = await rejection(caller.call(door, { method: 'PUT', body: body() }));
    expect(error === broken || error.cause === broken).toBe(true);
    expect(sent).toHaveLength(1);
  });

  it('ends with what it was made for', async () => {
    const server = await raw(() => {});
    const parent = new Scope(systemClock);
    const { door, sent } = over([server], { parentScope: () => parent });
    const failed = rejection(caller.call(door));
    await until(() => sent.length === 1);
    parent.cancel();
    const error = await failed;
    // What fetch makes of an abort that is not its caller's depends on its version, but it says what it was.
    const causes = [error, error.cause, error.cause?.cause];
    expect(causes.map((each) => each?.code)).toContain('UND_ERR_ABORTED');
    expect(parent.busy).toBe(false);
  });

  it('sends a host that is no service to the fallback', async () => {
    const server = await http((_, response) => response.end('outside'));
    const { door } = over([], { fallback: undici.getGlobalDispatcher() });
    expect(await textOf(caller.call(door, { origin: server.origin }))).toBe('outside');
  });

  it('refuses it without one, and says which there are', async () => {
    const { door } = over([], { names: () => ['payments'] });
    const error = await rejection(caller.call(door, { origin: 'http://payment' }));
    expect((error.cause ?? error).message).toMatch(
      /host = "payment": expected one of payments; did you mean payments\?/,
    );
  });
});
