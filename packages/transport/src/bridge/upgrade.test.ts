/**
 * Catches upgrades of clients of node:http that do not get whole through the bridge, in either direction, to their ends and
 * errors; that are not balanced, or free their endpoint's load while the connection lasts; and refusals, interim answers
 * and failures before the 101 that the client does not see as node:http would tell them.
 */
import { once } from 'node:events';
import http, { createServer, type IncomingMessage, type RequestOptions } from 'node:http';
import { createRequire } from 'node:module';
import { createServer as createNetServer, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { type Middleware, Scope } from '@fairlead/core';
import { VirtualClock } from '@fairlead/testing';
import { afterEach, describe, expect, it } from 'vitest';
import type { World } from '../../test/door.js';
import { doorSite } from '../../test/door-site.js';
import { closedPort, nextTurn, rejection, serve, type TestServer, until } from '../../test/servers.js';
import { acceptWebSocket } from '../../test/web-socket.js';
import { createBridge } from './bridge.js';

interface Ws extends NodeJS.EventEmitter {
  send(data: string | Uint8Array): void;
  close(): void;
  terminate(): void;
}
const { WebSocket, WebSocketServer } = createRequire(import.meta.url)('ws') as {
  WebSocket: new (url: string, options: object) => Ws;
  WebSocketServer: new (options: object) => NodeJS.EventEmitter;
};

const restore: (() => unknown)[] = [];
afterEach(async () => {
  for (const each of restore.splice(0)) await each();
});
const { over, http: httpSite, raw } = doorSite();

function install(made: World): World {
  restore.push(createBridge({ route: made.route }).install());
  return made;
}

/** Answers every message with itself. */
async function echoes(): Promise<TestServer> {
  const server = createServer();
  new WebSocketServer({ server }).on('connection', (socket: Ws) => {
    socket.on('message', (data: Buffer, binary: boolean) => socket.send(binary ? data : String(data)));
  });
  const site = await serve(server);
  restore.push(() => site.close());
  return site;
}

const wanted = { host: 'svc', headers: { connection: 'Upgrade', upgrade: 'chat' } };

/** Asks for an upgrade; `early` goes out with the request. */
async function upgraded(options: RequestOptions = {}, early = ''): Promise<[IncomingMessage, Socket, Buffer]> {
  const request = http.request({ ...wanted, ...options });
  if (early !== '') request.once('socket', (socket) => socket.once('connect', () => socket.write(early)));
  request.end();
  return (await once(request, 'upgrade')) as [IncomingMessage, Socket, Buffer];
}

const agrees = 'HTTP/1.1 101 Sure\r\nX-Mixed: 1\r\nx-mixed: 2\r\nupgrade: chat\r\nconnection: upgrade\r\n\r\n';

/** Gives every call so little time that only what has none any more survives it. */
const soon: Middleware = (call, next) => {
  call.scope.expireAt(call.at + 30, 'call', 30);
  return next(call);
};

describe('a WebSocket of ws', () => {
  it('is balanced, and holds its load until either side closes it', async () => {
    const clock = new VirtualClock();
    const [one, two] = [await echoes(), await echoes()];
    const made = install(over([{ endpoint: await closedPort() }, one, two], { layers: [soon], clock }));
    const open = async (): Promise<Ws> => {
      const socket = new WebSocket('ws://svc/room', { agent: http.globalAgent });
      await once(socket, 'open');
      return socket;
    };
    const sockets = [await open(), await open()];
    await clock.advance(60);
    for (const each of sockets) {
      each.send('hello');
      expect(String((await once(each, 'message'))[0])).toBe('hello');
    }
    expect([made.load.get(one.endpoint.id), made.load.get(two.endpoint.id)]).toEqual([1, 1]);
    sockets[0]?.close();
    await until(() => made.load.get(one.endpoint.id) === 0);
    for (const each of two.sockets) each.destroy();
    await once(sockets[1] as Ws, 'close');
    await until(() => made.load.get(two.endpoint.id) === 0);
  });

  it('carries large messages there and back', async () => {
    install(over([await echoes()]));
    const socket = new WebSocket('ws://svc/', { agent: new http.Agent() });
    await once(socket, 'open');
    const large = Buffer.alloc(8_000_000, 'abcdefg');
    socket.send(large);
    expect(large.equals((await once(socket, 'message'))[0])).toBe(true);
    socket.terminate();
  });
});

describe('an upgrade', () => {
  it('gets the head as it came, what was in its packet, and has sent what was written early', async () => {
    let heard = '';
    const server = await raw((socket, head) => {
      heard = head;
      socket.write(`${agrees}first`);
      socket.on('data', (data) => socket.write(data));
    });
    install(over([server]));
    const [reply, socket, head] = await upgraded({ path: '/room', headers: { ...wanted.headers, 'x-a': 'b' } });
    expect(heard).toMatch(/^GET \/room HTTP\/1\.1\r\n/);
    expect(heard).toMatch(/\r\nconnection: upgrade\r\nupgrade: chat\r\n/i);
    expect(heard).toMatch(/\r\nx-a: b/);
    expect(reply.rawHeaders).toEqual(['X-Mixed', '1', 'x-mixed', '2', 'upgrade', 'chat', 'connection', 'upgrade']);
    if (head.length > 0) socket.unshift(head);
    expect(String((await once(socket, 'data'))[0])).toBe('first');
    socket.write('again');
    expect(String((await once(socket, 'data'))[0])).toBe('again');
    expect([socket.remotePort, socket.remoteAddress]).toEqual([server.port, '127.0.0.1']);
    socket.destroy();
  });

  it('has sent what was written before the answer', async () => {
    const server = await raw((socket) => {
      socket.write(agrees);
      socket.on('data', (data) => socket.write(data));
    });
    install(over([server]));
    const [, socket, head] = await upgraded({}, 'early');
    if (head.length > 0) socket.unshift(head);
    expect(String((await once(socket, 'data'))[0])).toBe('early');
    socket.destroy();
  });

  it('has sent what came in one piece with the request', async () => {
    const server = await raw((socket) => {
      socket.write(agrees);
      socket.on('data', (data) => socket.write(data));
    });
    install(over([server]));
    const agent = http.globalAgent as unknown as { createConnection(options: object): Socket };
    const socket = agent.createConnection({ host: 'svc' });
    socket.write('GET / HTTP/1.1\r\nhost: svc\r\nconnection: upgrade\r\nupgrade: chat\r\n\r\nearly');
    let heard = '';
    for await (const data of socket) {
      heard += data;
      if (heard.endsWith('\r\n\r\nearly')) break;
    }
    expect(heard).toMatch(/^HTTP\/1\.1 101 /);
  });

  it.each(['ends', 'breaks off'])('that the client %s reaches an endpoint that would go on', async (how) => {
    let heard = 0;
    let ended = false;
    const site = await serve(
      createNetServer({ allowHalfOpen: true }, (socket) => {
        socket.once('data', () => {
          socket.write(agrees);
          // It says no more, and listens as long as it may.
          if (how === 'ends') socket.end();
          socket.on('data', (data) => (heard += data.length)).on('end', () => (ended = true));
        });
      }),
    );
    restore.push(() => site.close());
    const made = install(over([site]));
    const [, socket] = await upgraded();
    if (how === 'ends') {
      socket.resume();
      for (let n = 0; n < 300; n++) socket.write(Buffer.alloc(65_536));
      socket.write(Buffer.alloc(20_000_000));
      await until(() => ended);
      expect(heard).toBe(300 * 65_536 + 20_000_000);
    } else socket.destroy();
    await until(() => made.busy === 0);
  });

  it('may end one direction before the other', async () => {
    const server = await raw((socket) => {
      socket.write(agrees);
      let heard = 0;
      socket.on('data', (data) => (heard += data.length));
      socket.on('end', () => socket.end(`heard ${heard}`));
    });
    const made = install(over([server]));
    const [, socket] = await upgraded();
    socket.end(Buffer.alloc(1_000_000));
    expect(await text(socket)).toMatch(/^heard \d+$/);
    await until(() => made.busy === 0 && socket.destroyed);
  });

  it('is told when its endpoint dies, and frees its load', async () => {
    const server = await raw((socket) => socket.write(agrees));
    const made = install(over([server]));
    const [, socket] = await upgraded();
    for (const each of server.sockets) each.resetAndDestroy();
    expect((await once(socket, 'error'))[0]).toMatchObject({ code: 'ECONNRESET' });
    await until(() => made.busy === 0);
  });

  it('is not touched by the end of what it was made for, nor by the removal of the bridge', async () => {
    const server = await raw((socket) => {
      socket.write(agrees);
      socket.on('data', (data) => socket.write(data));
    });
    const parent = new Scope(new VirtualClock());
    const made = over([server], { parentScope: () => parent });
    const remove = createBridge({ route: made.route }).install();
    const [, socket] = await upgraded();
    parent.cancel();
    remove();
    socket.write('still');
    expect(String((await once(socket, 'data'))[0])).toBe('still');
    expect(made.load.get(server.endpoint.id)).toBe(1);
    socket.destroy();
    await until(() => made.busy === 0 && server.sockets.size === 0);
  });
});

describe('an upgrade that is not', () => {
  it('agreed to is an ordinary answer, the last on its connection', async () => {
    const body = 'no'.repeat(500_000);
    const server = await httpSite((_, response) => response.writeHead(403, { 'x-a': '1' }).end(body));
    const made = install(over([server]));
    const agent = new http.Agent({ keepAlive: true });
    const request = http.get({ ...wanted, agent });
    const [reply] = (await once(request, 'response')) as [IncomingMessage];
    expect([reply.statusCode, reply.headers['x-a'], reply.headers.connection]).toEqual([403, '1', 'close']);
    expect(await text(reply)).toBe(body);
    await until(() => made.busy === 0);
    expect(agent.freeSockets).toEqual({});
  });

  it('possible here is tried elsewhere', async () => {
    const busy = await httpSite((_, response) => response.writeHead(503).end());
    const willing = await raw((socket) => socket.write(agrees));
    const made = install(over([busy, willing]));
    const [reply, socket] = await upgraded();
    expect([reply.statusCode, made.sent.length]).toEqual([101, 2]);
    socket.destroy();
  });

  it('possible anywhere is the error of the system', async () => {
    const made = install(over([{ endpoint: await closedPort() }]));
    expect(await rejection(upgraded())).toMatchObject({ code: 'ECONNREFUSED' });
    expect(made.sent).toHaveLength(3);
  });

  it('answered in time is the timeout of the call', async () => {
    const clock = new VirtualClock();
    const server = await raw(() => {});
    const made = install(over([server], { layers: [soon], clock }));
    const failed = rejection(upgraded());
    await until(() => server.sockets.size === 1);
    await clock.advance(30);
    expect(await failed).toMatchObject({ code: 'ERR_TIMEOUT', of: 'call' });
    await until(() => made.busy === 0);
  });

  it('wanted any more is canceled: while it waits, and while it is refused', async () => {
    const silent = await raw((socket, head) => {
      if (head.includes(' /refused ')) socket.write('HTTP/1.1 403 No\r\ncontent-length: 9\r\n\r\nhalf');
    });
    const made = install(over([silent]));
    const waiting = http.get(wanted).on('error', () => {});
    await until(() => silent.sockets.size === 1);
    waiting.destroy();
    await until(() => made.busy === 0 && silent.sockets.size === 0);
    const [refused] = await once(http.get({ ...wanted, path: '/refused' }), 'response');
    refused.on('error', () => {}).destroy();
    await until(() => made.busy === 0 && silent.sockets.size === 0);
  });

  it.each(['4', undefined])('without a body (%s) is refused with the reason', async (length) => {
    const made = install(over([]));
    const headers = {
      ...wanted.headers,
      ...(length ? { 'content-length': length } : { 'transfer-encoding': 'chunked' }),
    };
    const request = http.request({ ...wanted, method: 'POST', headers });
    request.on('error', () => {}).end('body');
    const [reply] = (await once(request, 'response')) as [IncomingMessage];
    expect([reply.statusCode, made.sent]).toEqual([501, []]);
    expect(await text(reply)).toContain('an upgrade with a body cannot be sent');
  });

  it('asked for is not accepted', async () => {
    const server = await raw((socket) => socket.write(agrees));
    install(over([server]));
    expect(await rejection(once(http.get({ host: 'svc' }), 'response'))).toMatchObject({ code: 'ECONNRESET' });
    await nextTurn();
  });
});

describe('interim answers', () => {
  it('are handed on in their order, before the answer', async () => {
    const server = await raw((socket) => {
      socket.write('HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\nlink: </b>\r\n\r\n');
      socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok');
    });
    install(over([server]));
    const seen: unknown[] = [];
    const request = http.get({ host: 'svc' });
    request.on('information', ({ statusCode, rawHeaders }) => seen.push([statusCode, rawHeaders]));
    const [reply] = await once(request, 'response');
    expect(await text(reply)).toBe('ok');
    expect(seen).toEqual([
      [102, []],
      [103, ['Link', '</a>', 'link', '</b>']],
    ]);
  });
});

describe('a WebSocket of a raw server', () => {
  it('is accepted by ws as well, though the first message comes with the head', async () => {
    const server = await raw(acceptWebSocket);
    install(over([server]));
    const socket = new WebSocket('ws://svc/', { agent: http.globalAgent });
    expect(String((await once(socket, 'message'))[0])).toBe('hi');
    socket.terminate();
  });
});
