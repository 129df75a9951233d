/**
 * Catches a fetch that differs from fetch: in what the server gets, in what the caller gets, in how it fails, and in what
 * it leaves behind. Where the built-in fetch can be asked, it is.
 */
import { getEventListeners } from 'node:events';
import { Readable } from 'node:stream';
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync } from 'node:zlib';
import {
  type Call,
  CanceledError,
  ConfigError,
  createEndpoint,
  createReply,
  type FairleadError,
  type Handler,
  NoEndpointError,
  RejectedError,
  type Runtime,
  Scope,
  systemClock,
  TimeoutError,
  TransportError,
} from '@fairlead/core';
import { countResources } from '@fairlead/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  bodyOf,
  closedPort,
  gate,
  httpServer,
  nextTurn,
  rawServer,
  rejection,
  type TestServer,
  until,
} from '../../test/servers.js';
import { createTransport, type Transport } from '../transport.js';
import { createFetch, type FairleadFetch, type FetchOptions, type Route } from './fetch.js';
import { type FetchInit, fetchCallOptions } from './fetch-init.js';

const servers: TestServer[] = [];
let transport: Transport;
let resources = countResources();
const runtime: Runtime = { clock: systemClock };
const scopes: Scope[] = [];

beforeEach(() => {
  resources = countResources();
  transport = createTransport();
});

afterEach(async () => {
  expect(transport.stats().origins.map((origin) => origin.inFlight)).toEqual(transport.stats().origins.map(() => 0));
  await transport.close(0);
  for (const server of servers.splice(0)) await server.close();
  for (const scope of scopes.splice(0)) expect([scope.armed, scope.canceled]).toEqual([false, scope.canceled]);
  await resources.check();
});

async function http(...args: Parameters<typeof httpServer>): Promise<TestServer> {
  const server = await httpServer(...args);
  servers.push(server);
  return server;
}

/** A route to one server. */
function routeTo(server: TestServer | Handler, more: Partial<Route> = {}): Route {
  const handler: Handler =
    typeof server === 'function' ? server : (call) => transport.handler(call.with({ endpoint: server.endpoint }));
  return { service: 'payments', handler, runtime, begin: (scope) => void scopes.push(scope), ...more };
}

/** A fetch that knows `payments`. */
function fetchTo(
  server: TestServer | Handler,
  more: Partial<FetchOptions> = {},
  route: Partial<Route> = {},
): FairleadFetch {
  const known = routeTo(server, route);
  return createFetch({ route: (host) => (host === 'payments' ? known : null), names: () => ['payments'], ...more });
}

const echo = (): Promise<TestServer> =>
  http(async (request, response) => {
    const body = await bodyOf(request);
    const { method, url, headers } = request;
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ method, url, headers, body }));
  });

/** What Node 22 has and its types do not tell. */
type Whole = Response & { bytes(): Promise<Uint8Array> };

interface Echo {
  method: string;
  url: string;
  headers: Record<string, string>;
  body: string;
}

/** What the server sees of the same request from the built-in fetch and from ours. */
async function both(server: TestServer, init: () => FetchInit): Promise<[Echo, Echo]> {
  const theirs = (await (await fetch(`${server.origin}/x?y`, init() as RequestInit)).json()) as Echo;
  const ours = (await (await fetchTo(server)('http://payments/x?y', init())).json()) as Echo;
  for (const seen of [theirs, ours]) {
    for (const name of ['accept-language', 'sec-fetch-mode', 'user-agent', 'accept-encoding'])
      delete seen.headers[name];
    const boundary = /boundary=(.+)$/.exec(seen.headers['content-type'] ?? '')?.[1];
    if (boundary !== undefined) {
      seen.headers['content-type'] = 'multipart';
      seen.headers['content-length'] = String(
        seen.body.length - boundary.length * (seen.body.split(boundary).length - 1),
      );
      seen.body = seen.body.replaceAll(boundary, 'BOUNDARY');
    }
  }
  return [theirs, ours];
}

async function readAll(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of response.body as ReadableStream<Uint8Array>) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

function form(): FormData {
  const data = new FormData();
  data.append('plain', 'a\nb\r\nc');
  data.append('odd "name"\n', 'ü');
  data.append('file', new Blob(['content'], { type: 'text/x' }), 'na"me.txt');
  data.append('untyped', new Blob([new Uint8Array([1, 2])]));
  return data;
}

describe('what the server gets is what the built-in fetch sends', () => {
  const bytes = new TextEncoder().encode('häh');
  const kinds: [string, () => FetchInit][] = [
    ['nothing', () => ({})],
    ['null', () => ({ method: 'POST', body: null })],
    ['text', () => ({ method: 'POST', body: 'häh' })],
    ['empty text', () => ({ method: 'POST', body: '' })],
    ['broken text', () => ({ method: 'POST', body: '\ud800' })],
    ['bytes', () => ({ method: 'PUT', body: bytes })],
    ['a buffer', () => ({ method: 'PUT', body: bytes.slice().buffer })],
    ['a view', () => ({ method: 'PUT', body: new DataView(bytes.slice().buffer, 1, 2) })],
    ['parameters', () => ({ method: 'POST', body: new URLSearchParams({ a: 'b c', d: 'ü' }) })],
    ['a blob', () => ({ method: 'POST', body: new Blob(['abc'], { type: 'text/x' }) })],
    ['an untyped blob', () => ({ method: 'POST', body: new Blob(['abc']) })],
    ['a form', () => ({ method: 'POST', body: form() })],
    ['a stream', () => ({ method: 'POST', body: new Blob(['abc']).stream(), duplex: 'half' }) as FetchInit],
    ['an iterable', () => ({ method: 'POST', body: Readable.from([bytes, bytes]), duplex: 'half' }) as FetchInit],
    ['a number', () => ({ method: 'POST', body: 42 })],
    ['delete with a body', () => ({ method: 'delete', body: 'x' })],
    ['a method that is not put in upper case', () => ({ method: 'PATCH', body: 'x' })],
    ['HEAD-like get', () => ({ method: 'get' })],
    ['headers as an object', () => ({ headers: { 'X-A': ' 1 ', Accept: 'a/b', 'x-n': 1 as never } })],
    [
      'headers as pairs',
      () => ({
        headers: [
          ['X-A', '1'],
          ['x-a', '2'],
          ['cookie', 'a=b'],
          ['Cookie', 'c=d'],
        ],
      }),
    ],
    ['headers as Headers', () => ({ headers: new Headers({ 'X-A': '1' }) })],
    ['names that differ in case', () => ({ headers: { 'X-A': '1', 'x-a': '2' } })],
    [
      'a content type of its own',
      () => ({ method: 'POST', body: '{}', headers: { 'Content-Type': 'application/json' } }),
    ],
    ['its own content-length', () => ({ method: 'POST', body: 'abc', headers: { 'content-length': '3' } })],
    ['values beyond ASCII', () => ({ headers: { 'x-a': 'ü', 'x-b': '' } })],
  ];

  it.each(kinds)('%s', async (_, init) => {
    const server = await echo();
    const [theirs, ours] = await both(server, init);
    expect(ours).toEqual(theirs);
  });

  it('a Request, its body as a stream', async () => {
    const server = await echo();
    const make = (origin: string): Request =>
      new Request(`${origin}/x`, { method: 'POST', body: 'abc', headers: { 'x-a': '1', authorization: 'me' } });
    const theirs = (await (await fetch(make(server.origin))).json()) as Echo;
    const request = make('http://payments');
    const ours = (await (await fetchTo(server)(request)).json()) as Echo;
    expect(ours.headers).toMatchObject({ 'x-a': '1', authorization: 'me', 'content-type': 'text/plain;charset=UTF-8' });
    expect([ours.method, ours.url, ours.body]).toEqual([theirs.method, theirs.url, theirs.body]);
    expect(request.bodyUsed).toBe(true);
    expect((await rejection(fetchTo(server)(request))).message).toMatch(/already been used/);
  });

  it('a Request with an init over it, and a URL', async () => {
    const server = await echo();
    const request = new Request('http://payments/x', { method: 'POST', body: 'abc', headers: { 'x-a': '1' } });
    const ours = (await (
      await fetchTo(server)(request, { method: 'PUT', headers: { 'x-b': '2' }, body: 'd' })
    ).json()) as Echo;
    expect([ours.method, ours.body, ours.headers['x-a'], ours.headers['x-b']]).toEqual(['PUT', 'd', undefined, '2']);
    const viaUrl = (await (await fetchTo(server)(new URL('http://payments/a b?ü#f'))).json()) as Echo;
    expect(viaUrl.url).toBe('/a%20b?%C3%BC');
  });

  it('asks for what it can decode, unless told otherwise', async () => {
    const server = await echo();
    const get = async (init?: FetchInit): Promise<string | undefined> =>
      ((await (await fetchTo(server)('http://payments/', init)).json()) as Echo).headers['accept-encoding'];
    expect([await get(), await get({ headers: { 'accept-encoding': 'identity' } })]).toEqual([
      'gzip, deflate, br',
      'identity',
    ]);
  });

  it('the bytes at the time of the call', async () => {
    const server = await echo();
    const bytes = new TextEncoder().encode('abc');
    const pending = fetchTo(server)('http://payments/', { method: 'POST', body: bytes });
    bytes.fill(0);
    expect(((await (await pending).json()) as Echo).body).toBe('abc');
  });
});

describe('what cannot be asked', () => {
  const wrong: [string, string, FetchInit][] = [
    ['no URL', 'payments', {}],
    ['a path alone', '/x', {}],
    ['an authority alone', '//evil.test/x', {}],
    ['credentials', 'http://payments@evil.test/', {}],
    ['credentials with a port', 'http://payments:80@evil.test/', {}],
    ['a GET with a body', 'http://payments/', { body: 'x' }],
    ['a HEAD with a body', 'http://payments/', { method: 'HEAD', body: 'x' }],
    ['CONNECT', 'http://payments/', { method: 'connect' }],
    ['a method that is none', 'http://payments/', { method: 'a b' }],
    ['a header name that is none', 'http://payments/', { headers: { 'a b': 'c' } }],
    ['a header with a line break', 'http://payments/', { headers: { a: 'b\r\nc: d' } }],
    ['a header with NUL', 'http://payments/', { headers: { a: 'b\0' } }],
    ['a header beyond Latin-1', 'http://payments/', { headers: { a: '€' } }],
    ['an unknown redirect mode', 'http://payments/', { redirect: 'maybe' as never }],
    ['a signal that is none', 'http://payments/', { signal: {} as never }],
  ];
  it.each(wrong)('%s is a TypeError, here as there', async (_, url, init) => {
    const server = await http((_, response) => response.end());
    expect(await rejection(fetchTo(server)(url, init))).toBeInstanceOf(TypeError);
    expect(await rejection(fetch(url, init as RequestInit))).toBeInstanceOf(TypeError);
    expect(server.accepted).toBe(0);
  });

  it.each<[string, string, FetchInit]>([
    ['a path that looks like an authority', 'http://payments//evil.test/x', {}],
    ['the same with a backslash', 'http://payments/\\evil.test', {}],
    ['the same behind a tab', 'http://payments/\t/evil.test', {}],
    ['the same behind dot segments', 'http://payments/..//evil.test', {}],
    ['integrity', 'http://payments/', { integrity: 'sha256-x' }],
    ['a negative timeout', 'http://payments/', { fairlead: { timeoutMs: -1 } }],
  ])('%s is refused', async (_, url, init) => {
    const server = await http((_, response) => response.end());
    expect(await rejection(fetchTo(server)(url, init))).toBeInstanceOf(TypeError);
    expect(server.accepted).toBe(0);
  });

  it('a host that is no service, with the one that was meant', async () => {
    const server = await http((_, response) => response.end());
    const error = await rejection(fetchTo(server)('http://payment/'));
    expect(error).toBeInstanceOf(TypeError);
    expect(error.message).toBe('payment is not a service of this client; did you mean payments?');
    expect(error.cause).toBeInstanceOf(ConfigError);
    expect((await rejection(fetchTo(server)('http://other.example/'))).message).not.toMatch(/did you mean/);
    expect((await rejection(fetchTo(server)('data:text/plain,x'))).message).toMatch(/only http/);
  });

  it('goes to the external fetch if there is one, untouched', async () => {
    const server = await http((_, response) => response.end());
    const asked: unknown[] = [];
    const external = ((...args: unknown[]) => {
      asked.push(...args);
      return Promise.resolve(new Response('x'));
    }) as typeof fetch;
    const init = { headers: { a: 'b' } };
    expect(
      await (await fetchTo(server, { external })('http://u:p@other.example//x', init).catch(() => null))?.text(),
    ).toBe(undefined);
    expect(await (await fetchTo(server, { external })('http://other.example//x', init)).text()).toBe('x');
    expect(await (await fetchTo(server, { external })('data:,y', init)).text()).toBe('x');
    expect(asked).toEqual(['http://other.example//x', init, 'data:,y', init]);
  });

  it('goes to the external fetch if it is neither http nor https', async () => {
    const server = await http((_, response) => response.end());
    const blob = URL.createObjectURL(new Blob(['z']));
    const get = async (url: string): Promise<string> => (await fetchTo(server, { external: fetch })(url)).text();
    expect([await get('data:text/plain,y'), await get(blob)]).toEqual(['y', 'z']);
    URL.revokeObjectURL(blob);
    expect(server.accepted).toBe(0);
  });

  it('goes to the exotic fetch if that does more with it than to ignore it, and nothing else does', async () => {
    const server = await http((_, response) => response.end('ours'));
    const exotic: typeof fetch = () => Promise.resolve(new Response('theirs'));
    const get = async (init: object): Promise<string> =>
      (await fetchTo(server, { exotic })('http://payments/', init as FetchInit)).text();
    for (const init of [{ integrity: 'x' }, { cache: 'reload' }, { mode: 'no-cors' }, { referrer: 'http://a.test/' }]) {
      expect(await get(init)).toBe('theirs');
      expect(
        await (await fetchTo(server, { exotic })(new Request('http://payments/', init as RequestInit))).text(),
      ).toBe('theirs');
    }
    for (const init of [{ credentials: 'maybe' }, { window: 1 }, { cache: 'maybe' }])
      expect(await get(init)).toBe('theirs');
    for (const init of [
      { integrity: '', cache: 'no-store', mode: 'cors', credentials: 'include', referrer: '', window: null },
      { cache: 'default', mode: 'same-origin', credentials: 'omit', referrer: 'about:client' },
      { keepalive: true, priority: 'high', referrerPolicy: 'no-referrer' },
    ]) {
      expect(await get(init)).toBe('ours');
    }
    expect(await (await fetchTo(server, { exotic })(new Request('http://payments/'))).text()).toBe('ours');
    const both = { integrity: 'x', fairlead: { timeoutMs: 1 } };
    expect(await rejection(get(both))).toBeInstanceOf(TypeError);
  });

  it('a stream that is locked or was read', async () => {
    const server = await http((_, response) => response.end());
    const locked = new Blob(['x']).stream();
    locked.getReader();
    const read = new Blob(['x']).stream();
    const reader = read.getReader();
    await reader.read();
    reader.releaseLock();
    for (const body of [locked, read]) {
      expect(await rejection(fetchTo(server)('http://payments/', { method: 'POST', body }))).toBeInstanceOf(TypeError);
    }
  });
});

describe('the response', () => {
  const answer = (status = 200, headers: Record<string, string | string[]> = {}, body: string | Buffer = '{"a":"ü"}') =>
    http((_, response) => {
      response.writeHead(status, headers);
      response.end(body);
    });
  const get = async (server: TestServer, init?: FetchInit): Promise<Response> =>
    fetchTo(server)('http://payments/p?q#f', init);

  it('is a Response', async () => {
    const server = await answer(201, { 'X-B': '1', 'Set-Cookie': ['a=1', 'b=2'], 'content-type': 'application/json' });
    const response = await get(server);
    expect(response).toBeInstanceOf(Response);
    expect(Object.prototype.toString.call(response)).toBe('[object Response]');
    expect(response.headers).toBeInstanceOf(Headers);
    expect(response.headers).toBe(response.headers);
    expect([response.status, response.ok, response.statusText, response.type]).toEqual([201, true, 'Created', 'basic']);
    expect([response.url, response.redirected, response.bodyUsed]).toEqual(['http://payments/p?q', false, false]);
    expect([response.headers.get('x-b'), response.headers.getSetCookie()]).toEqual(['1', ['a=1', 'b=2']]);
    expect(await response.json()).toEqual({ a: 'ü' });
    expect(response.bodyUsed).toBe(true);
  });

  it.each<[string, (response: Response) => Promise<unknown>, unknown]>([
    ['json', (r) => r.json(), { a: 'ü' }],
    ['text', (r) => r.text(), '{"a":"ü"}'],
    ['bytes', async (r) => [...(await (r as Whole).bytes())], [...Buffer.from('{"a":"ü"}')]],
    ['arrayBuffer', async (r) => [...new Uint8Array(await r.arrayBuffer())], [...Buffer.from('{"a":"ü"}')]],
    [
      'blob',
      async (r) => [(await r.clone().blob()).type, await (await r.blob()).text()],
      ['application/x', '{"a":"ü"}'],
    ],
    ['body', async (r) => await readAll(r), '{"a":"ü"}'],
    ['clone', async (r) => [await r.clone().text(), await r.text()], ['{"a":"ü"}', '{"a":"ü"}']],
    ['a Response of it', (r) => new Response(r.body, r).text(), '{"a":"ü"}'],
    [
      'Readable.fromWeb',
      async (r) => Buffer.concat(await Readable.fromWeb(r.body as never).toArray()).toString(),
      '{"a":"ü"}',
    ],
  ])('gives its body once, as %s', async (_, read, expected) => {
    const server = await answer(200, { 'content-type': 'application/x' });
    const response = await get(server);
    expect(await read(response)).toEqual(expected);
    expect(response.bodyUsed).toBe(true);
    for (const again of ['json', 'text', 'arrayBuffer', 'blob', 'formData', 'bytes'] as const) {
      expect(await rejection((response as Whole)[again]())).toBeInstanceOf(TypeError);
    }
    expect(() => response.clone()).toThrow(TypeError);
  });

  it('gives a real one to whoever insists', async () => {
    const response = await get(await answer());
    expect(await rejection((async () => Response.prototype.text.call(response))())).toBeInstanceOf(TypeError);
    const real = (response as Response & { toResponse(): Response }).toResponse();
    expect([await Response.prototype.text.call(real), real.url, response.bodyUsed]).toEqual([
      '{"a":"ü"}',
      'http://payments/p?q',
      true,
    ]);
    expect(() => (response as Response & { toResponse(): Response }).toResponse().clone()).toThrow(TypeError);
  });

  it('decodes a form', async () => {
    const sent = new Response(form());
    const body = Buffer.from(await sent.arrayBuffer());
    const server = await answer(200, { 'content-type': sent.headers.get('content-type') as string }, body);
    const data = await (await get(server)).formData();
    expect([data.get('plain'), (data.get('file') as File).name]).toEqual(['a\r\nb\r\nc', 'na"me.txt']);
  });

  it.each([
    [204, 'GET'],
    [205, 'GET'],
    [304, 'GET'],
    [200, 'HEAD'],
  ])('has no body with %d to %s', async (status, method) => {
    const server = await http((_, response) => response.writeHead(status, { 'x-a': '1' }).end());
    const response = await get(server, { method });
    expect([response.status, response.body, response.headers.get('x-a')]).toEqual([status, null, '1']);
    expect([await response.text(), response.bodyUsed, await response.clone().text()]).toEqual(['', false, '']);
    expect(await rejection(response.json())).toBeInstanceOf(SyntaxError);
  });

  it('has an empty body where there is none to be had', async () => {
    const response = await get(await answer(200, {}, ''));
    expect([response.body instanceof ReadableStream, await response.text()]).toEqual([true, '']);
  });

  it.each([
    ['a byte order mark', Buffer.from('\ufeff{}'), {}],
    ['bytes that are no UTF-8', Buffer.from([0x22, 0xff, 0x22]), '\ufffd'],
  ])('reads %s as fetch does', async (_, body, expected) => {
    const server = await answer(200, {}, body);
    expect(await (await get(server)).json()).toEqual(expected);
    expect(await (await fetch(server.origin)).json()).toEqual(expected);
  });

  it('says what is wrong with JSON', async () => {
    expect(await rejection((await get(await answer(200, {}, '{'))).json())).toBeInstanceOf(SyntaxError);
  });

  it('keeps the reason phrase, and not one that no Response can have', async () => {
    const raw = await rawServer((socket, _, n) => {
      socket.write(`HTTP/1.1 200 ${n === 1 ? 'Fine by me' : ''}\r\ncontent-length: 0\r\n\r\n`);
    });
    servers.push(raw);
    expect([(await get(raw)).statusText, (await get(raw)).statusText]).toEqual(['Fine by me', '']);
  });

  it('reads a large body, and in pieces', async () => {
    const body = Buffer.alloc(10 * 1024 * 1024, 'abcdefg');
    const server = await answer(200, {}, body);
    expect(Buffer.from(await (await get(server)).arrayBuffer()).equals(body)).toBe(true);
    let size = 0;
    for await (const chunk of (await get(server)).body as ReadableStream<Uint8Array>) size += chunk.length;
    expect(size).toBe(body.length);
  });

  it("reads into memory of the reader's own", async () => {
    const reader = ((await get(await answer())).body as ReadableStream<Uint8Array>).getReader({ mode: 'byob' });
    const first = await reader.read(new Uint8Array(4));
    expect(Buffer.from(first.value as Uint8Array).toString()).toBe('{"a"');
    let end = await reader.read(new Uint8Array(100));
    while (!end.done) end = await reader.read(new Uint8Array(100));
    expect(end.value?.length).toBe(0);
  });

  it.each([
    ['with a length', {}],
    ['in chunks', { 'transfer-encoding': 'chunked' }],
    ['up to the end of the connection', { connection: 'close' }],
  ])('brings every byte %s, read slowly and fast, and lets the reader have the memory', async (_, headers) => {
    const sent = Buffer.alloc(3_000_000);
    for (let i = 0; i < sent.length; i++) sent[i] = (i * 31 + (i >> 8)) & 255;
    const server = await http((_, response) => {
      response.writeHead(200, headers);
      // Pieces that make readings of the socket with one, with several, and with a part of them.
      for (let at = 0, n = 1; at < sent.length; at += n, n = (n * 3) % 200_003)
        response.write(sent.subarray(at, at + n));
      response.end();
    });
    // More than once: connections are used again.
    for (const slow of [0, 1, 2]) {
      const read: Uint8Array[] = [];
      let n = 0;
      for await (const chunk of (await get(server)).body as ReadableStream<Uint8Array<ArrayBuffer>>) {
        if (slow > 0 && n++ % slow === 0) for (let turns = 0; turns < 3; turns++) await nextTurn();
        read.push(new Uint8Array(structuredClone(chunk.buffer, { transfer: [chunk.buffer] })));
      }
      expect(Buffer.compare(Buffer.concat(read), sent)).toBe(0);
    }
  });

  it('holds the sender back while nobody reads', async () => {
    let written = 0;
    const server = await http((_, response) => {
      const chunk = Buffer.alloc(65_536);
      const more = (): void => {
        do written += chunk.length;
        while (written < 200 * 1024 * 1024 && response.write(chunk));
        response.once('drain', more);
      };
      more();
    });
    const response = await get(server);
    const reader = (response.body as ReadableStream<Uint8Array>).getReader();
    await reader.read();
    let before = -1;
    for (let quiet = 0; quiet < 200; quiet = written === before ? quiet + 1 : 0) {
      before = written;
      await nextTurn();
    }
    expect(written).toBeLessThan(16 * 1024 * 1024);
    await reader.cancel();
    await server.quiet();
  });

  it.each([
    ['gzip', gzipSync],
    ['x-gzip', gzipSync],
    ['deflate', deflateSync],
    ['deflate', deflateRawSync],
    ['br', brotliCompressSync],
    ['gzip, br', (b: Buffer) => brotliCompressSync(gzipSync(b))],
    ['identity', (b: Buffer) => b],
  ])('undoes %s', async (coding, encode) => {
    const text = JSON.stringify({ a: 'x'.repeat(100_000) });
    const server = await answer(200, { 'content-encoding': coding }, encode(Buffer.from(text)) as Buffer);
    const response = await get(server);
    expect([response.headers.get('content-encoding'), await response.text()]).toEqual([coding, text]);
    let size = 0;
    for await (const chunk of (await get(server)).body as ReadableStream<Uint8Array>) size += chunk.length;
    expect(size).toBe(text.length);
  });

  it('leaves a coding alone that it does not know, and an empty body', async () => {
    expect(await (await get(await answer(200, { 'content-encoding': 'x-y' }, 'abc'))).text()).toBe('abc');
    expect(await (await get(await answer(200, { 'content-encoding': 'gzip' }, ''))).text()).toBe('');
    expect(await (await get(await answer(200, { 'content-encoding': 'gzip' }, 'x'), { method: 'HEAD' })).text()).toBe(
      '',
    );
  });

  it('is a TypeError if the coding is a lie', async () => {
    const response = await get(await answer(200, { 'content-encoding': 'gzip' }, 'not gzip at all'));
    const error = await rejection(response.text());
    expect([error.constructor, error.message, error.cause.code]).toEqual([TypeError, 'terminated', 'Z_DATA_ERROR']);
  });
});

describe('failures', () => {
  it.each<[string, FairleadError]>([
    ['refused', new RejectedError({ by: 'breaker' })],
    ['nobody there', new NoEndpointError({ service: 'payments', state: 'empty' })],
    ['out of time', new TimeoutError({ of: 'call', ms: 5 })],
  ])('%s: a TypeError with ours as its cause', async (_, cause) => {
    const error = await rejection(fetchTo(() => Promise.reject(cause))('http://payments/'));
    expect([error.constructor, error.message, error.cause]).toEqual([TypeError, 'fetch failed', cause]);
  });

  it('nobody listens', async () => {
    const endpoint = await closedPort();
    const error = await rejection(fetchTo((call) => transport.handler(call.with({ endpoint })))('http://payments/'));
    expect([error.constructor, error.cause.constructor, error.cause.cause.code]).toEqual([
      TypeError,
      TransportError,
      'ECONNREFUSED',
    ]);
  });

  it.each(['text', 'body'] as const)('a reset in the middle, read as %s', async (how) => {
    const cut = gate();
    const server = await http((_, response) => {
      response.write('abc');
      void cut.promise.then(() => response.destroy());
    });
    const response = await fetchTo(server)('http://payments/');
    const read = how === 'text' ? response.text() : readAll(response);
    cut.open();
    const error = await rejection(read as Promise<unknown>);
    expect([error.constructor, error.message, error.cause.constructor]).toEqual([
      TypeError,
      'terminated',
      TransportError,
    ]);
    expect((await rejection(fetch(server.origin).then((r) => r.text()))).message).toBe('terminated');
  });

  it('a body that fails while it is sent: a TypeError, since nobody aborted', async () => {
    const server = await http(() => {});
    const broken = new Error('disk');
    const body = (async function* () {
      yield new Uint8Array(1);
      throw broken;
    })();
    const error = await rejection(fetchTo(server)('http://payments/', { method: 'POST', body }));
    expect([error.constructor, error.message, error.cause.cause]).toEqual([TypeError, 'fetch failed', broken]);
  });

  // Node fills a stream that was made of a form to its end, also when it has been canceled, and the error ends the process.
  it('a Request with a form that nobody takes: a TypeError, and nothing behind the back of the caller', async () => {
    const behind: unknown[] = [];
    const listen = (error: unknown): void => void behind.push(error);
    process.on('unhandledRejection', listen);
    try {
      const refuse = fetchTo(() => Promise.reject(new RejectedError({ by: 'limit' })));
      const request = new Request('http://payments/', { method: 'POST', body: form() });
      expect((await rejection(refuse(request))).cause).toBeInstanceOf(RejectedError);
      const signal = AbortSignal.abort(new RangeError('mine'));
      const aborted = new Request('http://payments/', { method: 'POST', body: form() });
      expect(await rejection(refuse(aborted, { signal }))).toBe(signal.reason);
      for (let turns = 0; turns < 20; turns++) await nextTurn();
    } finally {
      process.off('unhandledRejection', listen);
    }
    expect(behind).toEqual([]);
  });

  it('a stack that throws', async () => {
    const bug = new RangeError('bug');
    const error = await rejection(
      fetchTo(() => {
        throw bug;
      })('http://payments/'),
    );
    expect([error.message, error.cause]).toEqual(['fetch failed', bug]);
  });

  it.each([undefined, null, {}, { status: 200 }])('a layer that answers %j', async (nonsense) => {
    const parent = new Scope(systemClock);
    const error = await rejection(
      fetchTo(
        () => Promise.resolve(nonsense as never),
        {},
        { parentScope: () => parent },
      )('http://payments/', {
        method: 'HEAD',
      }),
    );
    expect([error.constructor, error.cause instanceof TypeError]).toEqual([TypeError, true]);
  });

  it('is not a reason to stop: a fetch within a scope lets go of it', async () => {
    const parent = new Scope(systemClock);
    const server = await echo();
    const { busy } = parent as Scope & { busy?: boolean };
    await (await fetchTo(server, {}, { parentScope: () => parent })('http://payments/')).text();
    await rejection(
      fetchTo(() => Promise.reject(new CanceledError()), {}, { parentScope: () => parent })('http://payments/'),
    );
    expect((parent as Scope & { busy?: boolean }).busy).toBe(busy);
  });
});

describe('abort', () => {
  const never: Handler = () => new Promise(() => {});

  it('before: nothing is sent', async () => {
    const server = await echo();
    const reason = new Error('mine');
    expect(await rejection(fetchTo(server)('http://payments/', { signal: AbortSignal.abort(reason) }))).toBe(reason);
    expect(server.accepted).toBe(0);
  });

  it('settles at once, even if no layer below listens, with the reason of the signal', async () => {
    const controller = new AbortController();
    const pending = rejection(fetchTo(never)('http://payments/', { signal: controller.signal }));
    controller.abort();
    const error = await pending;
    expect(error).toBe(controller.signal.reason);
    expect([error.name, error.constructor]).toEqual(['AbortError', DOMException]);
  });

  it('while waiting: the connection is cut', async () => {
    const arrived = gate();
    const server = await http(() => arrived.open());
    const controller = new AbortController();
    const pending = rejection(fetchTo(server)('http://payments/', { signal: controller.signal }));
    await arrived.promise;
    controller.abort('reason');
    expect(await pending).toBe('reason');
    await server.quiet();
  });

  it.each(['text', 'body'] as const)('in the middle of the body, read as %s', async (how) => {
    const server = await http((_, response) => void response.write('abc'));
    const controller = new AbortController();
    const response = await fetchTo(server)('http://payments/', { signal: controller.signal });
    const read = how === 'text' ? response.text() : readAll(response);
    await nextTurn();
    controller.abort();
    expect(await rejection(read as Promise<unknown>)).toBe(controller.signal.reason);
    await server.quiet();
  });

  it('after the head, before anybody reads', async () => {
    const server = await http((_, response) => void response.write('abc'));
    const controller = new AbortController();
    const response = await fetchTo(server)('http://payments/', { signal: controller.signal });
    controller.abort();
    expect(await rejection(response.text())).toBe(controller.signal.reason);
  });

  it('after the end: nothing', async () => {
    const server = await echo();
    const controller = new AbortController();
    const response = await fetchTo(server)('http://payments/', { signal: controller.signal });
    await until(() => transport.stats().origins[0]?.inFlight === 0);
    controller.abort();
    expect(((await response.json()) as Echo).method).toBe('GET');
  });

  it('a thousand at once', async () => {
    const server = await http(() => {});
    const controller = new AbortController();
    const { signal } = controller;
    const errors = Array.from({ length: 1000 }, () => rejection(fetchTo(server)('http://payments/', { signal })));
    await until(() => server.sockets.size > 100);
    controller.abort();
    expect((await Promise.all(errors)).every((error) => error === signal.reason)).toBe(true);
  });

  it('a reply that comes after the abort is let go', async () => {
    const late = gate<Awaited<ReturnType<Handler>>>();
    const controller = new AbortController();
    const pending = rejection(fetchTo(() => late.promise)('http://payments/', { signal: controller.signal }));
    controller.abort();
    await pending;
    const reply = createReply({ body: 'x' });
    let canceled = 0;
    reply.body.cancel = (): void => void canceled++;
    late.open(reply);
    await nextTurn();
    expect(canceled).toBe(1);
  });

  it('tells a stream that it will not be read', async () => {
    let reason: unknown;
    const body = new ReadableStream({
      cancel: (why) => {
        reason = why;
      },
    });
    const controller = new AbortController();
    const pending = rejection(fetchTo(never)('http://payments/', { method: 'POST', body, signal: controller.signal }));
    controller.abort();
    await pending;
    await nextTurn();
    expect(reason).toBe(controller.signal.reason);
  });

  it.each<[string, () => unknown]>([
    ['fails', () => Promise.reject(new Error('mine'))],
    [
      'throws',
      () => {
        throw new Error('mine');
      },
    ],
  ])('a body that %s when it is told so is heard by nobody', async (_, mine) => {
    const unhandled: unknown[] = [];
    const listener = (reason: unknown): void => void unhandled.push(reason);
    process.on('unhandledRejection', listener);
    const refused: Handler = () => Promise.reject(new RejectedError({ by: 'limit' }));
    const iterable = { [Symbol.asyncIterator]: () => ({ next: never, return: mine }) };
    for (const body of [new ReadableStream({ cancel: mine as never }), iterable]) {
      const error = await rejection(fetchTo(refused)('http://payments/', { method: 'POST', body }));
      expect(error.cause).toBeInstanceOf(RejectedError);
    }
    // Told in the turn after.
    await nextTurn();
    await nextTurn();
    process.off('unhandledRejection', listener);
    expect(unhandled).toEqual([]);
  });

  it('by the call that it is part of', async () => {
    const parent = new Scope(systemClock);
    const pending = rejection(fetchTo(never, {}, { parentScope: () => parent })('http://payments/'));
    const reason = new CanceledError();
    parent.cancel(reason);
    const error = await pending;
    expect([error.name, error.cause]).toEqual(['AbortError', reason]);
    const after = await rejection(fetchTo(never, {}, { parentScope: () => parent })('http://payments/'));
    expect([after.name, after.cause]).toEqual(['AbortError', reason]);
  });

  it("does not keep the signal's listener", async () => {
    const server = await echo();
    const { signal } = new AbortController();
    await (await fetchTo(server)('http://payments/', { signal })).text();
    expect(getEventListeners(signal, 'abort')).toHaveLength(0);
    await rejection(fetchTo(() => Promise.reject(new CanceledError()))('http://payments/', { signal }));
    expect(getEventListeners(signal, 'abort')).toHaveLength(0);
  });
});

describe('what one call may ask', () => {
  it('reaches the layers', async () => {
    const seen: Call[] = [];
    const handler: Handler = (call) => {
      seen.push(call);
      return Promise.resolve(createReply());
    };
    const mine = Symbol('mine');
    const options = { idempotent: true, timeoutMs: 1000, attributes: { [mine]: 1 } };
    await fetchTo(handler)('http://payments/', { method: 'POST', fairlead: options });
    const [call] = seen as [Call];
    expect([call.idempotent, call.attributes[mine], call.attributes[fetchCallOptions]]).toEqual([true, 1, options]);
    expect(call.scope.deadlineAt).toBeLessThanOrEqual(systemClock.now() + 1000);
    await fetchTo(handler)('http://payments/');
    expect([seen[1]?.idempotent, Reflect.ownKeys(seen[1]?.attributes as object)]).toEqual([true, []]);
  });

  it('a time of its own, that ends it', async () => {
    const server = await http(() => {});
    const started = systemClock.now();
    const error = await rejection(fetchTo(server)('http://payments/', { fairlead: { timeoutMs: 30 } }));
    expect([error.constructor, error.cause.constructor, error.cause.of]).toEqual([TypeError, TimeoutError, 'call']);
    expect(systemClock.now() - started).toBeGreaterThanOrEqual(30);
  });

  it('and when that is up, what the layers make of it is the answer', async () => {
    const handler: Handler = (call) =>
      new Promise((resolve) =>
        call.scope.watch({ onCancel: () => resolve(Promise.resolve(createReply({ body: 'stale' }))) }),
      );
    const response = await fetchTo(handler)('http://payments/', { fairlead: { timeoutMs: 5 } });
    expect(await response.text()).toBe('stale');
    const tired: Handler = (call) =>
      new Promise((_, reject) => call.scope.watch({ onCancel: () => reject(new NoEndpointError(pending)) }));
    const pending = { service: 'payments', state: 'pending' } as const;
    const error = await rejection(fetchTo(tired)('http://payments/', { fairlead: { timeoutMs: 5 } }));
    expect(error.cause).toMatchObject({ code: 'ERR_NO_ENDPOINT', state: 'pending' });
  });
});

describe('redirects', () => {
  /** Answers `/s/<status>?<location>` with a redirect, everything else with what it got. */
  const redirecting = (): Promise<TestServer> =>
    http(async (request, response) => {
      const match = /^\/s\/(\d+)\?(.*)$/.exec(request.url as string);
      if (match !== null) {
        await bodyOf(request);
        response.writeHead(Number(match[1]), { location: decodeURIComponent(match[2] as string) }).end('moved');
        return;
      }
      const { method, url, headers } = request;
      response.end(JSON.stringify({ method, url, headers, body: await bodyOf(request) }));
    });

  const matrix = [301, 302, 303, 307, 308].flatMap((status) =>
    ['GET', 'POST', 'PUT', 'HEAD'].map((method) => [status, method] as const),
  );
  it.each(matrix)('%d after %s, as the built-in fetch follows it', async (status, method) => {
    const server = await redirecting();
    const init = (): FetchInit => ({
      method,
      ...(method === 'POST' || method === 'PUT' ? { body: 'abc' } : undefined),
      headers: { authorization: 'me', cookie: 'a=b', 'x-a': '1' },
    });
    const theirs = await fetch(`${server.origin}/s/${status}?%2Fthere`, init() as RequestInit);
    const ours = await fetchTo(server)(`http://payments/s/${status}?%2Fthere`, init());
    expect([ours.status, ours.redirected, ours.url]).toEqual([theirs.status, true, 'http://payments/there']);
    if (method === 'HEAD') return;
    const [a, b] = [(await ours.json()) as Echo, (await theirs.json()) as Echo];
    for (const seen of [a, b]) {
      for (const name of ['accept-language', 'sec-fetch-mode', 'user-agent', 'accept-encoding'])
        delete seen.headers[name];
    }
    expect(a).toEqual(b);
  });

  it('manual: the reply as it is; error: a TypeError', async () => {
    const server = await redirecting();
    const response = await fetchTo(server)('http://payments/s/302?%2Fthere', { redirect: 'manual' });
    expect([response.status, response.headers.get('location'), await response.text()]).toEqual([
      302,
      '/there',
      'moved',
    ]);
    const error = await rejection(fetchTo(server)('http://payments/s/302?%2Fthere', { redirect: 'error' }));
    expect([error.constructor, error.cause.message]).toEqual([TypeError, 'unexpected redirect']);
  });

  it('not more than twenty', async () => {
    let n = 0;
    const server = await http((_, response) => {
      n++;
      response.writeHead(302, { location: '/again' }).end();
    });
    const error = await rejection(fetchTo(server)('http://payments/'));
    expect([error.cause.message, n]).toEqual(['redirect count exceeded', 21]);
  });

  it('to an endpoint of the service itself stays with the service', async () => {
    const server = await redirecting();
    const there = encodeURIComponent(`${server.origin}/there`);
    const response = await fetchTo(server)(`http://payments/s/302?${there}`, { headers: { authorization: 'me' } });
    expect([response.url, ((await response.json()) as Echo).headers.authorization]).toEqual([
      'http://payments/there',
      'me',
    ]);
  });

  it('to an endpoint by the name that discovery found it by stays with the service, too', async () => {
    const server = await redirecting();
    const { port } = new URL(server.origin);
    const found = createEndpoint(server.origin, { attributes: { serverName: 'payments.prod.example' } });
    const transport = createTransport();
    const route = routeTo(server);
    const handler: Handler = (call) => transport.handler(call.with({ endpoint: found }));
    const lead = createFetch({ route: (host) => (host === 'payments' ? { ...route, handler } : null) });
    const there = encodeURIComponent(`http://payments.prod.example:${port}/there`);
    const response = await lead(`http://payments/s/302?${there}`);
    expect([response.status, response.url]).toEqual([200, 'http://payments/there']);
    await response.text();
    await transport.close();
  });

  it('to another service, without what identifies the caller', async () => {
    const server = await redirecting();
    const other = await redirecting();
    const routes = new Map([
      ['payments', routeTo(server)],
      ['ledger', routeTo(other, { service: 'ledger' })],
    ]);
    const lead = createFetch({ route: (host) => routes.get(host) ?? null });
    const headers = { authorization: 'me', cookie: 'a=b', 'x-a': '1' };
    const response = await lead(`http://payments/s/307?${encodeURIComponent('http://ledger/there')}`, {
      method: 'PUT',
      body: 'abc',
      headers,
    });
    const seen = (await response.json()) as Echo;
    expect([response.url, seen.method, seen.body]).toEqual(['http://ledger/there', 'PUT', 'abc']);
    expect([seen.headers.authorization, seen.headers.cookie, seen.headers['x-a']]).toEqual([undefined, undefined, '1']);
  });

  it('to a host that is no service ends with the time of the call, also if the external fetch does not listen', async () => {
    const external = (() => new Promise(() => {})) as typeof fetch;
    const away: Handler = async () => createReply({ status: 302, headers: { location: 'http://other.example/' } });
    const error = await rejection(fetchTo(away, { external })('http://payments/', { fairlead: { timeoutMs: 20 } }));
    expect(error.cause).toMatchObject({ code: 'ERR_TIMEOUT', of: 'call', ms: 20 });
  });

  it('to a host that is no service: refused, or down the external fetch', async () => {
    const server = await redirecting();
    const elsewhere = await echo();
    const url = `http://payments/s/307?${encodeURIComponent(`${elsewhere.origin}/out`)}`;
    const init = { method: 'POST', body: 'abc', headers: { authorization: 'me' } };
    const error = await rejection(fetchTo(server)(url, init));
    expect(error.cause.message).toContain('is not a service of this client');
    const seen = (await (await fetchTo(server, { external: fetch })(url, init)).json()) as Echo;
    expect([seen.method, seen.url, seen.body, seen.headers.authorization]).toEqual(['POST', '/out', 'abc', undefined]);
  });

  it.each([
    ['credentials', 'http://a:b@payments/'],
    ['another scheme', 'ftp://payments/'],
    ['no URL', 'http://'],
    ['a path that looks like an authority', '/..//evil.test'],
  ])('to %s is refused', async (_, location) => {
    const server = await redirecting();
    const error = await rejection(fetchTo(server)(`http://payments/s/302?${encodeURIComponent(location)}`));
    expect([error.constructor, error.message, error.cause instanceof Error]).toEqual([TypeError, 'fetch failed', true]);
  });

  it('with a body that can be read once is refused, unless it is dropped anyway', async () => {
    const server = await redirecting();
    const init = (): FetchInit => ({ method: 'POST', body: new Blob(['abc']).stream() });
    const error = await rejection(fetchTo(server)('http://payments/s/307?%2Fthere', init()));
    expect(error.cause.message).toMatch(/only once/);
    expect(((await (await fetchTo(server)('http://payments/s/303?%2Fthere', init())).json()) as Echo).method).toBe(
      'GET',
    );
  });

  it('without a location is a reply like any other', async () => {
    const server = await http((_, response) => response.writeHead(302).end('x'));
    const response = await fetchTo(server)('http://payments/');
    expect([response.status, await response.text()]).toEqual([302, 'x']);
  });
});
