// Catches: settings of connections that are accepted and reach nothing, through the whole stack: Unix sockets as a source,
// connections made when endpoints join, HTTP/2 with a POST that its server refuses for good, and a rejected certificate
// that is hammered at.
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { createServer as createHttp2, type ServerHttp2Stream } from 'node:http2';
import { type AddressInfo, createServer as createNet, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createEndpoint, type Resolver, type ResolverUpdate } from '@fairlead/core';
import { afterEach, describe, expect, it } from 'vitest';
import { until } from '../test/world.js';
import { type Client, type ClientInit, createClient } from './client.js';

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

function client(init: ClientInit): Client {
  const made = createClient({ environment: false, ...init });
  closing.push(() => made.close());
  return made;
}

/** Listens, and counts connections. */
async function listen(server: Server, path?: string): Promise<{ origin: string; connections: () => number }> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket.on('error', () => {}));
  });
  if (path === undefined) server.listen(0, '127.0.0.1');
  else server.listen(path);
  await once(server, 'listening');
  closing.push(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return { origin: `http://127.0.0.1:${port}`, connections: () => sockets.size };
}

describe('connections of a client', () => {
  it('go to a Unix socket, from code and from the environment', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'fairlead-unix-'));
    closing.push(() => rmSync(folder, { recursive: true, force: true }));
    const path = join(folder, 'x.sock');
    await listen(
      createServer((request, response) => response.end(`${request.headers.host}${request.url}`)),
      path,
    );
    const made = client({
      services: { db: `unix:${path}` },
      environment: { FAIRLEAD_SERVICE_LEDGER: `http+unix://${encodeURIComponent(path)}` },
    });
    expect(await (await made.fetch('http://db/x?y')).text()).toBe('localhost/x?y');
    expect(await (await made.fetch('http://ledger/z')).text()).toBe('localhost/z');
    expect(made.describe().db?.endpoints.map(({ origin }) => origin)).toEqual([`unix:${path}`]);
  });

  it('are made when an endpoint joins', async () => {
    const servers = [await listen(createServer(answer)), await listen(createServer(answer))];
    const [one, two] = servers as [(typeof servers)[0], (typeof servers)[0]];
    let tell: (update: ResolverUpdate) => void = () => {};
    const from: Resolver = {
      name: 'told',
      watch(told) {
        tell = told;
        told({ endpoints: [createEndpoint(one.origin)] });
      },
    };
    const made = client({ services: { payments: { from, transport: { warmConnections: 3 } } } });
    await (await made.fetch('http://payments/')).text();
    await until(() => one.connections() === 3);
    tell({ endpoints: [createEndpoint(one.origin), createEndpoint(two.origin)] });
    await until(() => two.connections() === 3);
  });

  it('speak HTTP/2, and a POST that is refused goes to another endpoint', async () => {
    const seen: string[] = [];
    const server = (name: string, act: (stream: ServerHttp2Stream) => void) =>
      listen(
        createHttp2().on('stream', (stream) => {
          stream.on('error', () => {});
          seen.push(name);
          act(stream);
        }) as unknown as Server,
      );
    const refusing = await server('refusing', (stream) => stream.close(7));
    const good = await server('good', (stream) => stream.respond({ ':status': 200 }, { endStream: true }));
    const made = client({
      services: { payments: { from: [refusing.origin, good.origin], transport: { http2: true } } },
    });
    for (let n = 0; n < 10; n++) {
      const reply = await made.fetch('http://payments/', { method: 'POST', body: 'x' });
      expect([reply.status, await reply.text()]).toEqual([200, '']);
    }
    expect(seen.filter((name) => name === 'good').length).toBe(10);
    expect(seen).toContain('refusing');
    expect([refusing.connections(), good.connections()]).toEqual([1, 1]);
  });

  it('that are turned away as soon as they are made are no reason to try again', async () => {
    let handshakes = 0;
    const server = createNet((socket) => {
      handshakes++;
      // An alert, as a server sends it that does not like the handshake: fatal, handshake failure.
      socket.once('data', () => socket.end(Buffer.from([21, 3, 3, 0, 2, 2, 40])));
    });
    const { origin } = await listen(server);
    const made = client({ services: { payments: origin.replace('http:', 'https:') } });
    const cause = { code: 'ERR_TLS_REJECTED', message: expect.stringContaining('refused the TLS handshake') };
    await expect(made.fetch('http://payments/')).rejects.toMatchObject({ cause });
    expect(handshakes).toBe(1);
  });
});

function answer(_: unknown, response: { end(text: string): void }): void {
  response.end('ok');
}
