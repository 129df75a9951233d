/**
 * Catches a connection that is lost when its request fails, is canceled or becomes an upgrade, two requests on one
 * connection, more connections than allowed, somebody who waits forever although a connection is free, and a wrong order.
 */
import type { Socket } from 'node:net';
import { readText, Scope, systemClock } from '@fairlead/core';
import { countResources, Prng } from '@fairlead/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { call, gate, httpServer, nextTurn, rawServer, rejection, type TestServer, until } from '../../test/servers.js';
import { createTransport, type Transport, type TransportOptions } from '../transport.js';

const servers: TestServer[] = [];
const transports: Transport[] = [];
const resources = countResources();

afterEach(async () => {
  await Promise.all(transports.splice(0).map((transport) => transport.close(0)));
  for (const server of servers.splice(0)) {
    await server.quiet();
    await server.close();
  }
  await resources.check();
});

function make(options: Partial<TransportOptions>): Transport {
  const transport = createTransport(options);
  transports.push(transport);
  return transport;
}

async function keep(server: Promise<TestServer>): Promise<TestServer> {
  servers.push(await server);
  return server;
}

describe('who waits for a connection', () => {
  it('is sent in the order of coming, those who gave up left out', async () => {
    const paths: string[] = [];
    const held = gate();
    const server = await keep(
      httpServer(async (request, response) => {
        paths.push(request.url as string);
        if (request.url === '/held') await held.promise;
        response.end('ok');
      }),
    );
    const transport = make({ connections: 1 });
    const first = transport.handler(call(server, { path: '/held' }));
    await until(() => paths.length === 1);
    const scope = new Scope(systemClock);
    const all = Array.from({ length: 9 }, (_, i) =>
      i % 3 === 1
        ? rejection(transport.handler(call(server, { path: `/${i}`, scope })))
        : transport.handler(call(server, { path: `/${i}` })).then(readText),
    );
    scope.cancel();
    held.open();
    await readText(await first);
    await Promise.all(all);
    expect(paths).toEqual(['/held', '/0', '/2', '/3', '/5', '/6', '/8']);
    expect(server.accepted).toBe(1);
  });

  it('goes on when the connection in front fails, is closed, or was refused by undici', async () => {
    const held = gate();
    const server = await keep(
      rawServer((socket, head, n) => {
        const ok = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n';
        if (n === 1) void held.promise.then(() => socket.end(`${ok}connection: close\r\n\r\nok`));
        else if (head.includes('/reset')) socket.resetAndDestroy();
        else socket.write(`${ok}\r\nok`);
      }),
    );
    const transport = make({ connections: 1 });
    const send = (path: string, headers: readonly string[] = []): Promise<unknown> =>
      transport.handler(call(server, { path, headers, method: 'POST' })).then(
        (reply) => readText(reply),
        (error) => error.code,
      );
    const all = [
      send('/'),
      send('/'),
      send('/', ['bad name', 'x']),
      send('/reset'),
      send('/', ['x', '\u0000']),
      send('/'),
    ];
    held.open();
    expect(await Promise.all(all)).toEqual(['ok', 'ok', 'ERR_CONFIG', 'ERR_TRANSPORT', 'ERR_CONFIG', 'ok']);
  });
});

describe('a connection that is free', () => {
  it('is the one used last, so that the others grow old', async () => {
    const ports = new Set<number | undefined>();
    const server = await keep(
      httpServer((request, response) => {
        ports.add(request.socket.remotePort);
        response.end('ok');
      }),
    );
    const transport = make({ connections: 10 });
    await Promise.all(Array.from({ length: 10 }, async () => readText(await transport.handler(call(server)))));
    expect(server.accepted).toBe(10);
    ports.clear();
    for (let i = 0; i < 20; i++) await readText(await transport.handler(call(server)));
    expect(ports.size).toBe(1);
  });

  it('is preferred to one that is still to be made', async () => {
    let latest: Socket | null = null;
    const server = await keep(
      httpServer(({ socket }, response) => {
        latest = socket;
        response.end('ok');
      }),
    );
    const transport = make({ connections: 3 });
    await Promise.all([1, 2].map(async () => readText(await transport.handler(call(server)))));
    await readText(await transport.handler(call(server)));
    (latest as Socket | null)?.destroy();
    await until(() => transport.stats().origins[0]?.connected === 1);
    for (let i = 0; i < 5; i++) await readText(await transport.handler(call(server)));
    expect(server.accepted).toBe(2);
  });
});

it.each([1, 2, 3, 4, 5, 6])('whatever happens, nobody is forgotten (history %i)', async (seed) => {
  const chance = new Prng(seed);
  const answers: (() => void)[] = [];
  let most = 0;
  const server = await keep(
    rawServer((socket) => {
      answers.push(() => {
        const dice = chance.random();
        if (dice < 0.1) socket.resetAndDestroy();
        else if (dice < 0.2) socket.write('garbage\r\n\r\n');
        else if (dice < 0.3) socket.end('HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok');
        else if (dice < 0.4) socket.write('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nok');
        else socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok');
      });
    }),
  );
  const transport = make({ connections: 3 });
  const waiting = new Map<Scope, Promise<unknown>>();
  for (let sent = 0, turns = 0; sent < 150 || waiting.size > 0; turns++) {
    if (turns > 20_000) throw new Error(`${waiting.size} wait forever`);
    if (sent < 150 && chance.random() < 0.7) {
      const scope = new Scope(systemClock);
      const headers = chance.random() < 0.05 ? ['bad name', 'x'] : [];
      sent++;
      const end = transport.handler(call(server, { scope, method: 'POST', headers })).then(readText);
      waiting.set(
        scope,
        end.catch(() => {}).finally(() => waiting.delete(scope)),
      );
    }
    if (chance.random() < 0.5) answers.splice(Math.floor(chance.random() * answers.length), 1)[0]?.();
    // Also the only way for a body to end that stops in its middle.
    if (chance.random() < 0.1) [...waiting.keys()][Math.floor(chance.random() * waiting.size)]?.cancel();
    most = Math.max(most, transport.stats().origins[0]?.connected ?? 0);
    await nextTurn();
  }
  expect(most).toBe(3);
  expect(transport.stats().origins[0]?.inFlight).toBe(0);
});
