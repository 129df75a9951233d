/**
 * Catches upgrades that are not passed through whole, that are tried again after they succeeded, that free their endpoint's
 * load while the connection lasts, or that a deadline cuts: plain upgrades, CONNECT, WebSocket, EventSource.
 */
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createSecureServer } from 'node:http2';
import type { Duplex } from 'node:stream';
import { type Middleware, Scope } from '@fairlead/core';
import { VirtualClock } from '@fairlead/testing';
import { describe, expect, it } from 'vitest';
import { authority, server as identity } from '../../test/certificates.js';
import { undici } from '../../test/door.js';
import { doorSite } from '../../test/door-site.js';
import { closedPort, rejection, serve, until } from '../../test/servers.js';
import { acceptWebSocket } from '../../test/web-socket.js';
import { installDoor } from './index.js';

const { over, http, raw } = doorSite();

/** Gives every call so little time that only what has none any more survives it. */
const soon: Middleware = (call, next) => {
  call.scope.expireAt(call.at + 30, 'call', 30);
  return next(call);
};

describe('an upgrade', () => {
  it('moves off a dead endpoint, comes with what was in the packet of its head, and holds its load', async () => {
    const server = await raw((socket) => {
      socket.end('HTTP/1.1 101 Switching Protocols\r\nupgrade: chat\r\nconnection: upgrade\r\nx-a: 1\r\n\r\nhello');
    });
    const clock = new VirtualClock();
    const parent = new Scope(clock);
    const made = over([{ endpoint: await closedPort() }, server], {
      layers: [soon],
      parentScope: () => parent,
      transport: { unreadBodyMs: 20 },
      clock,
    });
    const { headers, socket } = await undici.upgrade('http://svc/room', { dispatcher: made.door, protocol: 'chat' });
    expect(headers['x-a']).toBe('1');
    expect(made.load.get(server.endpoint.id)).toBe(1);
    // It is nobody's call any more: neither its deadline nor the end of its caller's request reaches it.
    parent.cancel();
    await clock.advance(60);
    expect(made.load.get(server.endpoint.id)).toBe(1);
    expect(socket.destroyed).toBe(false);
    const [first] = await once(socket, 'data');
    expect(String(first)).toBe('hello');
    socket.destroy();
    await until(() => made.busy === 0);
    expect(made.sent).toHaveLength(2);
  });

  it('takes its connection with it, and leaves the place to the next request', async () => {
    const server = await raw((socket, head) => {
      const upgraded = 'HTTP/1.1 101 Switching Protocols\r\nupgrade: chat\r\nconnection: upgrade\r\n\r\n';
      socket.write(head.includes('/room') ? upgraded : 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok');
    });
    const made = over([server], { transport: { connections: 1 } });
    const rooms = await Promise.all(
      [1, 2, 3].map(() => undici.upgrade('http://svc/room', { dispatcher: made.door, protocol: 'chat' })),
    );
    const { body } = await undici.request('http://svc/', { dispatcher: made.door });
    expect(await body.text()).toBe('ok');
    for (const { socket } of rooms) socket.destroy();
    await until(() => made.busy === 0);
  });

  it('that is answered otherwise is told as undici tells it', async () => {
    const server = await raw((socket) => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nno'));
    const made = over([server]);
    const error = await rejection(undici.upgrade('http://svc/', { dispatcher: made.door }));
    expect([error.code, error.message]).toEqual(['UND_ERR_SOCKET', 'bad upgrade']);
    expect(made.sent).toHaveLength(1);
  });

  it('whose caller has gone closes its connection', async () => {
    const server = await raw((socket) => {
      socket.write('HTTP/1.1 101 Switching Protocols\r\nupgrade: chat\r\nconnection: upgrade\r\n\r\n');
    });
    const made = over([server]);
    const errors: string[] = [];
    const handler = {
      onRequestStart() {},
      onRequestUpgrade(_: unknown, __: number, ___: unknown, socket: Duplex) {
        socket.on('error', (error) => errors.push(`socket: ${error.message}`));
        throw new Error('not wanted');
      },
      onResponseError: (_: unknown, error: Error) => errors.push(error.message),
    };
    made.door.dispatch({ origin: 'http://svc', path: '/', method: 'GET', upgrade: 'chat' } as never, handler);
    await until(() => errors.length > 0 && server.sockets.size === 0);
    expect(errors.sort()).toEqual(['not wanted', 'socket: not wanted']);
  });

  it('needs HTTP/1, and gets it where the service has HTTP/2', async () => {
    const server = createSecureServer({ ...identity, allowHTTP1: true, settings: { enableConnectProtocol: true } });
    const seen: string[] = [];
    server.on('request', (request, response) => {
      seen.push(request.httpVersion);
      response.end();
    });
    server.on('upgrade', (request: IncomingMessage, socket: Duplex) => {
      seen.push(`upgrade ${request.httpVersion}`);
      socket.write('HTTP/1.1 101 Switching Protocols\r\nupgrade: chat\r\nconnection: upgrade\r\n\r\nhi');
    });
    const site = await serve(server as never, 'https');
    const tls = { ca: authority, servername: 'payments.test' };
    const made = over([site], { transport: { http2: true, tls } });
    for (const protocol of ['chat', 'websocket']) {
      await (await undici.request('http://svc/', { dispatcher: made.door })).body.dump();
      const { socket } = await undici.upgrade('http://svc/', { dispatcher: made.door, protocol });
      expect(String((await once(socket, 'data'))[0])).toBe('hi');
      expect(made.transport.stats().origins.map(({ inFlight }) => inFlight)).toEqual([0, 1]);
      socket.destroy();
      await until(() => made.busy === 0);
    }
    expect(seen).toEqual(['2.0', 'upgrade 1.1', '2.0', 'upgrade 1.1']);
    await made.close();
    await site.quiet();
    await site.close();
  });

  it('goes through CONNECT', async () => {
    const server = await raw((socket, head) => {
      socket.write(head.startsWith('CONNECT') ? 'HTTP/1.1 200 Connected\r\n\r\ntunnel' : 'HTTP/1.1 400 No\r\n\r\n');
    });
    const made = over([server]);
    const { statusCode, socket } = await undici.connect('http://svc/', { dispatcher: made.door });
    expect([statusCode, made.load.get(server.endpoint.id)]).toEqual([200, 1]);
    expect(String((await once(socket, 'data'))[0])).toBe('tunnel');
    socket.destroy();
  });
});

describe('WebSocket', () => {
  it.each([
    ["npm's", undici.WebSocket as unknown as typeof WebSocket],
    ['the built-in', globalThis.WebSocket],
  ])('%s goes through the door, balanced, and holds its load until it is closed', async (_, Type) => {
    const server = await raw(acceptWebSocket);
    const clock = new VirtualClock();
    const made = over([{ endpoint: await closedPort() }, server], { layers: [soon], clock });
    const socket = new Type('ws://svc/room', { dispatcher: made.door } as never);
    const [message] = (await once(socket as never, 'message')) as [MessageEvent];
    expect(message.data).toBe('hi');
    await clock.advance(60);
    expect([made.sent.length, made.load.get(server.endpoint.id)]).toEqual([2, 1]);
    socket.close();
    for (const each of server.sockets) each.destroy();
    await until(() => made.busy === 0);
  });

  it.each(['ends', 'breaks off'])('is over when its endpoint %s it', async (how) => {
    const server = await raw(acceptWebSocket);
    const made = over([server]);
    const socket = new undici.WebSocket('ws://svc/room', { dispatcher: made.door });
    await once(socket as never, 'message');
    const closed = once(socket as never, 'close');
    for (const each of server.sockets) how === 'ends' ? each.end() : each.resetAndDestroy();
    await closed;
    await until(() => made.busy === 0);
  });

  it('is waited for when the connections are closed, and then cut', async () => {
    const clock = new VirtualClock();
    const server = await raw(acceptWebSocket);
    const made = over([server], { clock });
    const socket = new undici.WebSocket('ws://svc/room', { dispatcher: made.door });
    await once(socket as never, 'message');
    const closed = once(socket as never, 'close');
    let done = false;
    const closing = made.transport.close(1_000).then(() => (done = true));
    await clock.advance(999);
    expect([done, made.load.get(server.endpoint.id), server.sockets.size]).toEqual([false, 1, 1]);
    await clock.advance(1);
    await Promise.all([closing, closed, server.quiet()]);
    expect([made.busy, clock.pending]).toEqual([0, 0]);
  });

  it('does not hold up closing once it is closed itself', async () => {
    const clock = new VirtualClock();
    const server = await raw(acceptWebSocket);
    const made = over([server], { clock });
    const socket = new undici.WebSocket('ws://svc/room', { dispatcher: made.door });
    await once(socket as never, 'message');
    const closing = made.transport.close(1_000);
    for (const each of server.sockets) each.destroy();
    await closing;
    expect([made.busy, clock.now(), clock.pending]).toEqual([0, 0, 0]);
  });

  it('the built-in one finds the door as the global dispatcher', async () => {
    const server = await raw(acceptWebSocket);
    const made = over([server]);
    const restore = installDoor({ route: made.route });
    try {
      const socket = new WebSocket('ws://svc/room');
      const [message] = (await once(socket as never, 'message')) as [MessageEvent];
      expect(message.data).toBe('hi');
      socket.close();
    } finally {
      restore();
    }
    for (const each of server.sockets) each.destroy();
  });
});

describe('EventSource', () => {
  it('goes through the door and is not cut by the deadline of the call', async () => {
    const clock = new VirtualClock();
    let answer!: ServerResponse;
    const server = await http((_, response) => {
      answer = response;
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write('data: one\n\n');
    });
    const made = over([server], { layers: [soon], clock });
    const source = new undici.EventSource('http://svc/', { node: { dispatcher: made.door } } as never);
    const messages: string[] = [];
    source.addEventListener('message', (event) => messages.push((event as unknown as MessageEvent).data));
    await until(() => messages.length === 1);
    expect(made.load.get(server.endpoint.id)).toBe(1);
    await clock.advance(60);
    answer.write('data: two\n\n');
    await until(() => messages.length === 2);
    expect(made.sent).toHaveLength(1);
    source.close();
    await until(() => made.busy === 0 && server.sockets.size === 0);
  });

  it.each(['ends', 'breaks off'])('frees its load when its endpoint %s, and comes back on another', async (how) => {
    const answers: ServerResponse[] = [];
    const listen = () =>
      http((_, response) => {
        answers.push(response);
        response.writeHead(200, { 'content-type': 'text/event-stream' });
        response.write(`retry: 1\n\ndata: ${answers.length}\n\n`);
      });
    const [one, two] = [await listen(), await listen()];
    const made = over([one, two]);
    const source = new undici.EventSource('http://svc/', { node: { dispatcher: made.door } } as never);
    const messages: string[] = [];
    source.addEventListener('message', (event) => messages.push((event as unknown as MessageEvent).data));
    await until(() => messages.length === 1);
    expect([...made.load.values()]).toEqual([1, 0]);
    if (how === 'ends') answers[0]?.end();
    else for (const each of one.sockets) each.resetAndDestroy();
    await until(() => messages.length === 2);
    expect([[...made.load.values()], messages]).toEqual([
      [0, 1],
      ['1', '2'],
    ]);
    source.close();
    await until(() => made.busy === 0);
  });

  it('is cut when the connections are closed', async () => {
    const clock = new VirtualClock();
    const server = await http((_, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: one\n\n');
    });
    const made = over([server], { clock });
    const source = new undici.EventSource('http://svc/', { node: { dispatcher: made.door } } as never);
    await once(source as never, 'message');
    const failed = once(source as never, 'error');
    const closing = made.transport.close(1_000);
    await clock.advance(1_000);
    await Promise.all([closing, failed, server.quiet()]);
    source.close();
  });
});
