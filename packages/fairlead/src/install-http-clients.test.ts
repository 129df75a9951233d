// Catches: features of the clients that people have (node:http in its many forms, axios, got) that work without the bridge and
// not with it: streams both ways, aborts, timeouts, redirects, keep-alive agents, URL objects.
import { once } from 'node:events';
import http, { type IncomingMessage } from 'node:http';
import net from 'node:net';
import { Readable } from 'node:stream';
import { buffer, text } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import axios from 'axios';
import got from 'got';
import { describe, expect, it } from 'vitest';
import { bridged } from '../test/bridged.js';
import { loads, type Site, type Told, until, worlds } from '../test/world.js';

const world = worlds();
const install = bridged();

/** Brings a service onto the bridge that answers with method, path and body; `/big` with a megabyte, `/to/x` by a redirect. */
async function service(): Promise<[Told, Site]> {
  const site = await world.http(async (request, response) => {
    const { method, url = '' } = request;
    if (url === '/big') response.end(big);
    else if (url === '/slow') response.write('first');
    else if (url === '/silent') request.resume();
    else if (url.startsWith('/to/')) response.writeHead(307, { location: url.slice(3) }).end();
    else if (url === '/away') response.writeHead(302, { location: 'http://other/landed' }).end();
    else response.end(`${method} ${url} ${await text(request)}`);
  });
  return [install(world.service([await world.refusing(), site.origin], { picker: 'roundRobin' })), site];
}
const big = Buffer.alloc(1_000_000, 'abcdefg');
const idle = (client: Told): Promise<void> => until(() => loads(client).every((load) => load === 0), 'no load');

// biome-ignore lint/suspicious/noExplicitAny: tests look at whatever an error has
function failure(promise: Promise<unknown>): Promise<any> {
  return promise.then(
    () => expect.unreachable('did not fail'),
    (error) => error,
  );
}

describe('node:http', () => {
  const answer = async (request: http.ClientRequest): Promise<string> =>
    text((await once(request, 'response'))[0] as IncomingMessage);

  it.each<[string, () => http.ClientRequest]>([
    ['a URL object', () => http.get(new URL('http://svc/a'))],
    ['a URL object and options', () => http.get(new URL('http://svc/b'), { path: '/a' })],
    ['text and options', () => http.get('http://svc/a', { agent: false })],
    ['options alone', () => http.get({ hostname: 'svc', path: '/a' })],
    ['the default port', () => http.get('http://svc:80/a')],
    ['new ClientRequest', () => new http.ClientRequest('http://svc/a').end()],
  ])('takes %s', async (_, ask) => {
    await service();
    expect(await answer(ask())).toBe('GET /a ');
  });

  it('tells of its own timeout, set before and after there is a socket', async () => {
    const [client] = await service();
    const early = http.get('http://svc/silent').setTimeout(20);
    await once(early, 'timeout');
    early.on('error', () => {}).destroy();
    const late = http.get('http://svc/slow');
    const [reply] = (await once(late, 'response')) as [IncomingMessage];
    const told = once(late, 'timeout');
    reply.on('error', () => {}).setTimeout(20);
    late.setTimeout(20);
    await told;
    late.destroy();
    await idle(client);
  });

  it('keeps one connection with an agent that keeps connections, however many calls go where', async () => {
    const [, site] = await service();
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    const sockets = new Set<unknown>();
    for (let n = 0; n < 5; n++) {
      const request = http.get('http://svc/a', { agent });
      request.once('socket', (socket) => sockets.add(socket));
      expect(await answer(request)).toBe('GET /a ');
      expect(request.reusedSocket).toBe(n > 0);
    }
    expect([sockets.size, site.requests]).toEqual([1, 5]);
    agent.destroy();
  });

  it('queues as its agent says', async () => {
    await service();
    const agent = new http.Agent({ keepAlive: true, maxSockets: 2 });
    const all = Array.from({ length: 10 }, () => answer(http.get('http://svc/a', { agent })));
    expect(new Set(await Promise.all(all))).toEqual(new Set(['GET /a ']));
    agent.destroy();
  });

  it('goes past us with an agent or an option that connects by itself', async () => {
    const [, site] = await service();
    const direct = await world.http((_, response) => response.end('direct'));
    const connect = (): net.Socket => net.connect(Number(new URL(direct.origin).port), '127.0.0.1');
    class Own extends http.Agent {
      override createConnection(): net.Socket {
        return connect();
      }
    }
    expect(await answer(http.get('http://svc/a', { agent: new Own() }))).toBe('direct');
    expect(await answer(http.get('http://svc/a', { createConnection: connect }))).toBe('direct');
    expect(site.requests).toBe(0);
  });
});

describe('axios', () => {
  it('reads and writes streams', async () => {
    await service();
    const { data } = await axios.get('http://svc/big', { responseType: 'stream' });
    expect(big.equals(await buffer(data))).toBe(true);
    const sent = await axios.put('http://svc/a', Readable.from(['ab', 'c']));
    expect(sent.data).toBe('PUT /a abc');
  });

  it('aborts while it waits, and in the middle of a stream', async () => {
    const [client] = await service();
    const controller = new AbortController();
    const waiting = failure(axios.get('http://svc/silent', { signal: controller.signal }));
    await until(() => loads(client).includes(1), 'a call');
    controller.abort();
    expect(await waiting).toMatchObject({ code: 'ERR_CANCELED' });
    await idle(client);
    const middle = new AbortController();
    const { data } = await axios.get('http://svc/slow', { responseType: 'stream', signal: middle.signal });
    await once(data, 'data');
    const broken = once(data, 'error');
    middle.abort();
    expect((await broken)[0]).toMatchObject({ code: 'ERR_CANCELED' });
    await idle(client);
  });

  it('follows redirects within a service, with its body, and to another one', async () => {
    const [, site] = await service();
    expect((await axios.put('http://svc/to/a', 'abc')).data).toBe('PUT /a abc');
    const other = await world.http((request, response) => response.end(`other ${request.url}`));
    install(world.client({ services: { other: [other.origin] } }));
    expect((await axios.get('http://svc/away')).data).toBe('other /landed');
    expect(site.requests).toBe(3);
  });

  it('has too large an answer cut', async () => {
    const [client] = await service();
    const error = await failure(axios.get('http://svc/big', { maxContentLength: 1_000 }));
    expect(error.message).toContain('maxContentLength');
    await idle(client);
  });

  it('uses an agent of its own', async () => {
    const [, site] = await service();
    const own = axios.create({ baseURL: 'http://svc', httpAgent: new http.Agent({ keepAlive: true }) });
    for (let n = 0; n < 3; n++) expect((await own.get('/a')).data).toBe('GET /a ');
    expect(site.requests).toBe(3);
    own.defaults.httpAgent.destroy();
  });
});

describe('got', () => {
  it('reads and writes streams', async () => {
    await service();
    expect(big.equals(await buffer(got.stream('http://svc/big')))).toBe(true);
    const through = got.stream.put('http://svc/a');
    const [, answer] = await Promise.all([pipeline(Readable.from(['ab', 'c']), through), text(through)]);
    expect(answer).toBe('PUT /a abc');
  });

  it('aborts, and gives up in each phase that it knows', async () => {
    const [client] = await service();
    const controller = new AbortController();
    const waiting = failure(got('http://svc/silent', { signal: controller.signal }));
    await until(() => loads(client).includes(1), 'a call');
    controller.abort();
    expect(await waiting).toMatchObject({ code: 'ERR_ABORTED' });
    const timeout = { lookup: 2_000, connect: 2_000, secureConnect: 2_000, socket: 30, send: 2_000, response: 2_000 };
    const late = got('http://svc/silent', { timeout, retry: { limit: 0 } });
    expect(await failure(late)).toMatchObject({ code: 'ETIMEDOUT', event: 'socket' });
    const enough = got('http://svc/a', { timeout: { ...timeout, lookup: 1, connect: 1 }, retry: { limit: 0 } });
    expect(await enough.text()).toBe('GET /a ');
    const slow = got('http://svc/slow', { timeout: { request: 50 }, retry: { limit: 0 } });
    expect(await failure(slow)).toMatchObject({ code: 'ETIMEDOUT', event: 'request' });
    await idle(client);
  });

  it('follows redirects, and knows how long the phases took', async () => {
    await service();
    const reply = await got('http://svc/to/a');
    expect([reply.body, reply.url]).toEqual(['GET /a ', 'http://svc/a']);
    expect(reply.timings?.phases.total).toBeGreaterThanOrEqual(0);
  });

  it('uses an agent of its own', async () => {
    await service();
    const agent = { http: new http.Agent({ keepAlive: true, maxSockets: 1 }) };
    for (let n = 0; n < 3; n++) expect(await got('http://svc/a', { agent }).text()).toBe('GET /a ');
    agent.http.destroy();
  });
});
