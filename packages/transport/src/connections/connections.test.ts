/**
 * Catches: connections that live for ever behind an address whose backends change, or that cost a request when they end;
 * that outlive what their server told; spare ones that are never used, never closed, or keep a process; and endpoints on
 * Unix sockets that are not reached.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createEndpoint, type Runtime, readText, systemClock } from '@fairlead/core';
import { checkLeaks, VirtualClock } from '@fairlead/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { opened } from '../../test/opened.js';
import {
  call,
  closedPort,
  httpServer,
  nextTurn,
  rawServer,
  rejection,
  serve,
  type TestServer,
  until,
} from '../../test/servers.js';
import { createTransport, type Transport } from '../transport.js';

const { servers, make } = opened();

async function keep(server: Promise<TestServer>): Promise<TestServer> {
  servers.push(await server);
  return server;
}
/** Answers with its `connection` header. */
const echo = (): Promise<TestServer> =>
  keep(httpServer((request, response) => response.end(`${request.headers.connection}`)));
const connected = (transport: Transport): number => transport.stats().origins[0]?.connected ?? 0;

async function send(transport: Transport, server: TestServer, runtime: Runtime, method = 'POST'): Promise<string> {
  const text = await readText(
    await transport.handler(call(server, { method, body: method === 'POST' ? 'x' : null, runtime })),
  );
  // undici is ready for the next request a little after the body has ended.
  await nextTurn();
  return text;
}

describe('the age of a connection', () => {
  it('ends it with a request that says so, between 90 and 110 % of the limit, and no sooner', async () => {
    const server = await echo();
    const clock = new VirtualClock();
    const transport = make({ maxConnectionAgeMs: 1_000, unusedMs: 1e6 });
    const runtime = { clock };
    expect(await send(transport, server, runtime)).toBe('keep-alive');
    await clock.advance(899);
    expect(await send(transport, server, runtime)).toBe('keep-alive');
    expect(server.accepted).toBe(1);
    await clock.advance(202);
    expect(await send(transport, server, runtime)).toBe('close');
    await server.quiet();
    expect(await send(transport, server, runtime)).toBe('keep-alive');
    expect(server.accepted).toBe(2);
    await clock.advance(899);
    expect(await send(transport, server, runtime)).toBe('keep-alive');
    await transport.close();
    checkLeaks({ clock });
  });

  it('is drawn for each', async () => {
    const server = await keep(
      httpServer((request, response) => void nextTurn().then(() => response.end(`${request.headers.connection}`))),
    );
    const clock = new VirtualClock({ seed: 7 });
    const transport = make({ maxConnectionAgeMs: 1_000, unusedMs: 1e6 });
    const burst = () => Promise.all(Array.from({ length: 40 }, () => send(transport, server, { clock }, 'GET')));
    await burst();
    expect(connected(transport)).toBe(40);
    await clock.advance(1_000);
    const old = (await burst()).filter((text) => text === 'close').length;
    expect([old > 8, old < 32]).toEqual([true, true]);
  });

  it('harms no request, whatever moment it ends at', async () => {
    const server = await echo();
    const clock = new VirtualClock();
    const transport = make({ maxConnectionAgeMs: 10, connections: 4, unusedMs: 1e6 });
    let answers = 0;
    for (let round = 0; round < 200; round++) {
      const calls = Array.from({ length: 8 }, () => send(transport, server, { clock }));
      await clock.advance(1);
      answers += (await Promise.all(calls)).length > 0 ? 8 : 0;
    }
    expect(answers).toBe(1_600);
    expect(server.accepted).toBeGreaterThan(40);
  });

  it('can be without limit', async () => {
    const server = await echo();
    const clock = new VirtualClock();
    const transport = make({ maxConnectionAgeMs: false, unusedMs: 1e9 });
    await send(transport, server, { clock });
    await clock.advance(1e8);
    expect(await send(transport, server, { clock })).toBe('keep-alive');
    expect(() => createTransport({ maxConnectionAgeMs: 0 })).toThrow(/a number of milliseconds from 1, or false/);
  });
});

describe('an idle connection', () => {
  it('is closed before a Node server of default settings would', async () => {
    let closedAfter = 0;
    const server = createServer((_, response) => response.end('ok'));
    const made = await keep(serve(server as Server));
    const transport = make({ keepAliveMs: 60_000 });
    const reply = await transport.handler(call(made));
    expect(reply.headers['keep-alive']).toBe('timeout=5');
    await readText(reply);
    const at = systemClock.now();
    const [socket] = made.sockets;
    // The server's own end would be a close without an end from here.
    await new Promise<void>((resolve) => socket?.once('end', resolve));
    closedAfter = systemClock.now() - at;
    expect([closedAfter > 3_000, closedAfter < 5_900]).toEqual([true, true]);
  }, 10_000);
});

describe('spare connections', () => {
  const warm = { warmConnections: 3, keepAliveMs: 60_000 };

  it('are opened before the first call, and then used', async () => {
    const server = await echo();
    const clock = new VirtualClock();
    const transport = make(warm);
    transport.warm(server.endpoint, clock);
    await until(() => server.accepted === 3 && connected(transport) === 3);
    transport.warm(server.endpoint, clock);
    await Promise.all([1, 2, 3].map(() => send(transport, server, { clock })));
    transport.warm(server.endpoint, clock);
    for (let n = 0; n < 20; n++) await nextTurn();
    expect(server.accepted).toBe(3);
    expect(connected(transport)).toBe(3);
    await Promise.all([1, 2, 3, 4].map(() => send(transport, server, { clock })));
    expect(server.accepted).toBe(4);
    await transport.close();
    checkLeaks({ clock });
  });

  it('are waited for by calls that come while they are being made', async () => {
    const server = await echo();
    const transport = make(warm);
    transport.warm(server.endpoint, systemClock);
    await Promise.all([1, 2, 3].map(() => send(transport, server, { clock: systemClock })));
    expect(server.accepted).toBe(3);
  });

  it('keep the process alive only when they are in use', async () => {
    const server = await keep(httpServer(() => {}));
    const sockets = () => process.getActiveResourcesInfo().filter((name) => name === 'TCPSocketWrap').length;
    const transport = make(warm);
    const before = sockets();
    transport.warm(server.endpoint, systemClock);
    await until(() => server.accepted === 3 && connected(transport) === 3);
    // Those of the server.
    expect(sockets() - before).toBe(3);
    const hung = call(server);
    const failed = rejection(transport.handler(hung));
    for (let n = 0; n < 20; n++) await nextTurn();
    expect(sockets() - before).toBe(4);
    hung.scope.cancel();
    await failed;
  });

  it('are closed if nobody comes, and go with the transport', async () => {
    const server = await echo();
    const clock = new VirtualClock();
    const transport = make({ ...warm, keepAliveMs: 4_000, unusedMs: 1e6 });
    transport.warm(server.endpoint, clock);
    await until(() => connected(transport) === 3);
    await clock.advance(3_999);
    expect(connected(transport)).toBe(3);
    await clock.advance(1);
    await server.quiet();
    expect(await send(transport, server, { clock })).toBe('keep-alive');
    await transport.close();
    transport.warm(server.endpoint, clock);
    const other = make(warm);
    other.warm(server.endpoint, clock);
    await other.close();
    const third = make(warm);
    third.warm(server.endpoint, clock);
    await until(() => connected(third) === 3);
    await third.close();
    await server.quiet();
    checkLeaks({ clock });
  });

  it('that the server has closed meanwhile are not used', async () => {
    const server = await echo();
    const transport = make(warm);
    transport.warm(server.endpoint, systemClock);
    await until(() => server.accepted === 3 && connected(transport) === 3);
    for (const socket of server.sockets) socket.destroy();
    await until(() => connected(transport) === 0);
    expect(await send(transport, server, { clock: systemClock })).toBe('keep-alive');
    expect(server.accepted).toBe(4);
  });

  it('on which the server has spoken first are not used', async () => {
    const server = await keep(
      rawServer((socket) => void socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok')),
    );
    const transport = make({ ...warm, warmConnections: 1 });
    transport.warm(server.endpoint, systemClock);
    await until(() => server.accepted === 1 && connected(transport) === 1);
    for (const socket of server.sockets) socket.write('HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\n\r\n');
    for (let n = 0; n < 20; n++) await nextTurn();
    const reply = await transport.handler(call(server));
    expect([reply.status, await readText(reply), server.accepted]).toEqual([200, 'ok', 2]);
  });

  it('that cannot be made are no error, but for a call that waits for them', async () => {
    const endpoint = await closedPort();
    const transport = make(warm);
    transport.warm(endpoint, systemClock);
    const error = await rejection(transport.handler(call(endpoint)));
    expect([error.phase, error.sent, error.cause.code]).toEqual(['connect', 'no', 'ECONNREFUSED']);
    for (let n = 0; n < 20; n++) await nextTurn();
    expect((await rejection(transport.handler(call(endpoint)))).phase).toBe('connect');
  });

  it('are none unless asked for, and no more than connections may be', async () => {
    const server = await echo();
    const transport = make();
    transport.warm(server.endpoint, systemClock);
    expect(transport.stats().origins).toEqual([]);
    const narrow = make({ ...warm, connections: 2 });
    narrow.warm(server.endpoint, systemClock);
    await until(() => connected(narrow) === 2);
    for (let n = 0; n < 20; n++) await nextTurn();
    expect(server.accepted).toBe(2);
  });
});

describe('a Unix socket', () => {
  let folder = '';
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'fairlead-unix-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  it('is called like any other endpoint, as localhost', async () => {
    const path = join(folder, 'a b,c.sock');
    let accepted = 0;
    const server = createServer((request, response) => response.end(`${request.headers.host} ${request.url}`));
    server.on('connection', () => accepted++);
    await new Promise<void>((resolve) => server.listen(path, resolve));
    const transport = make({ connections: 1 });
    for (const origin of [`unix:${path}`, `http+unix://${encodeURIComponent(path)}`]) {
      const reply = await transport.handler(call(createEndpoint(origin), { path: '/x' }));
      expect(await readText(reply)).toBe('localhost /x');
    }
    const named = make({ host: 'service' });
    expect(await readText(await named.handler(call(createEndpoint(`unix:${path}`))))).toBe('payments /');
    expect([accepted, transport.stats().origins[0]?.origin]).toEqual([2, `unix:${path}`]);
    transport.release(createEndpoint(`unix:${path}`));
    await transport.close();
    await named.close();
    await new Promise((resolve) => server.close(resolve));
  });

  it('that nobody listens on was not sent to', async () => {
    const endpoint = createEndpoint(`unix:${join(folder, 'nobody.sock')}`);
    const error = await rejection(make().handler(call(endpoint)));
    expect([error.phase, error.sent, error.cause.code]).toEqual(['connect', 'no', 'ENOENT']);
    expect(error.message).toContain(`connect failed at unix:${folder}/nobody.sock: ENOENT`);
  });
});
