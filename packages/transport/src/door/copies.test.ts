/**
 * Catches a door that another copy or version of undici cannot use: its handlers, streams, forms and errors are none of
 * ours. Given by hand and as the global dispatcher; requests, every fetch, WebSocket, EventSource.
 */
import { once } from 'node:events';
import { Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { copies } from '../../test/copies.js';
import { callersOf, undici } from '../../test/door.js';
import { doorSite } from '../../test/door-site.js';
import { bodyOf, closedPort, rejection, until } from '../../test/servers.js';
import { acceptWebSocket } from '../../test/web-socket.js';
import { explanationOf, installDoor } from './index.js';

const { over, http, raw } = doorSite();

describe.each(copies)('%s', (_, copy) => {
  const echo = () =>
    http(async (request, response) => {
      const { 'content-length': length = 'chunked' } = request.headers;
      response.end(`${request.method} ${length} ${await bodyOf(request)}`);
    });

  it('is another copy', () => {
    expect(copy.Agent).not.toBe(undici.Agent);
    expect(copy.fetch).not.toBe(undici.fetch);
  });

  it.each(callersOf(copy))('sends with $name', async (caller) => {
    let n = 0;
    const busy = await http((_, response) => response.writeHead(503).end(`${++n}`));
    const { door, sent } = over([{ endpoint: await closedPort() }, busy, await echo()]);
    const seen = await caller.call(door, { method: 'PUT', body: 'abc' });
    expect([seen.status, await seen.text()]).toEqual([200, 'PUT 3 abc']);
    expect([sent.length, n]).toEqual([3, 1]);
  });

  it.each(callersOf(copy))('sends the bodies of $name', async (caller) => {
    const { door } = over([await echo()]);
    const textOf = async (body: unknown): Promise<string> => (await caller.call(door, { method: 'PUT', body })).text();
    const form = new copy.FormData();
    form.append('name', 'value');
    expect(await textOf(new Blob(['abc']))).toBe('PUT 3 abc');
    expect(await textOf(form)).toMatch(/^PUT \d+ -[\s\S]+\r\n\r\nvalue\r\n-/);
    const stream = caller.name === 'request' ? Readable.from(['ab', 'c']) : ReadableStream.from([Buffer.from('abc')]);
    expect(await textOf(stream)).toBe('PUT chunked abc');
  });

  it.each(callersOf(copy))('tells $name what went wrong, and lets it abort', async (caller) => {
    const refused = await rejection(caller.call(over([{ endpoint: await closedPort() }]).door));
    expect(caller.code(refused)).toBe('ECONNREFUSED');
    expect(explanationOf(refused.cause ?? refused)).toMatchObject({ service: 'svc', phase: 'connect' });
    const controller = new AbortController();
    const made = over([await http(() => controller.abort())]);
    expect((await rejection(caller.call(made.door, { signal: controller.signal }))).name).toBe('AbortError');
    const cut = await raw((socket) => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf'));
    const error = await rejection((await caller.call(over([cut]).door)).text());
    expect(caller.code(error)).toBe('UND_ERR_SOCKET');
  });

  it('finds the installed door', async () => {
    const server = await echo();
    const { route, sent } = over([{ endpoint: await closedPort() }, server]);
    const restore = installDoor({ route });
    try {
      expect(await (await copy.request('http://svc/')).body.text()).toBe('GET chunked ');
      expect(await (await copy.fetch('http://svc/')).text()).toBe('GET chunked ');
      expect(sent.length).toBeGreaterThan(2);
      const { length } = sent;
      expect(await (await copy.request(server.origin)).body.text()).toBe('GET chunked ');
      expect(await (await copy.fetch(server.origin)).text()).toBe('GET chunked ');
      expect(sent).toHaveLength(length);
    } finally {
      restore();
    }
  });

  it('opens WebSockets, balanced, whose load is held until they close', async () => {
    const server = await raw(acceptWebSocket);
    const made = over([{ endpoint: await closedPort() }, server]);
    const socket = new copy.WebSocket('ws://svc/room', { dispatcher: made.door });
    const [message] = (await once(socket as never, 'message')) as [MessageEvent];
    expect([message.data, made.sent.length, made.load.get(server.endpoint.id)]).toEqual(['hi', 2, 1]);
    socket.close();
    for (const each of server.sockets) each.destroy();
    await until(() => made.busy === 0);
  });

  it('listens to events, with the load held until it no longer does', async () => {
    const server = await http((_, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: one\n\n');
    });
    const made = over([{ endpoint: await closedPort() }, server]);
    // Version 6 knows the first place, version 8 the second.
    const given = { dispatcher: made.door, node: { dispatcher: made.door } };
    const source = new copy.EventSource('http://svc/', given as never);
    const [message] = (await once(source as never, 'message')) as [MessageEvent];
    expect([message.data, made.load.get(server.endpoint.id)]).toEqual(['one', 1]);
    source.close();
    await until(() => made.busy === 0);
  });
});
