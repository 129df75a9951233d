// Catches: WebSockets and EventSources over the whole stack that are not spread by how many are open, whose load is freed too
// early or never, that a deadline or a breaker touches, or that outlive their client.
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import type { Duplex } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { loads, type Site, type Told, until, worlds } from '../test/world.js';

// Not among this package's dependencies: it is what a user would have.
const undici = createRequire(import.meta.url)('undici') as typeof import('undici');
const world = worlds();

/** Accepts WebSockets and says `hi`. */
async function accepting(): Promise<Site & { readonly open: Duplex[] }> {
  const open: Duplex[] = [];
  const site = await world.http(({ headers, socket }) => {
    const key = headers['sec-websocket-key'] as string;
    const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
    socket.write('HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n');
    socket.write(`sec-websocket-accept: ${accept}\r\n\r\n`);
    socket.write(Buffer.from([0x81, 2, 104, 105]));
    open.push(socket);
  });
  return Object.assign(site, { open });
}

async function open({ dispatcher }: Told): Promise<InstanceType<typeof undici.WebSocket>> {
  const socket = new undici.WebSocket('ws://svc/', { dispatcher });
  await once(socket as never, 'message');
  return socket;
}

describe('WebSockets', () => {
  it('go where the fewest are open, and no time of a call ends them', async () => {
    const sites = [await accepting(), await accepting()];
    const origins = sites.map(({ origin }) => origin);
    const client = world.service(origins, { attemptTimeoutMs: 500, timeoutMs: 500 });
    const sockets = [await open(client), await open(client), await open(client), await open(client)];
    expect(loads(client)).toEqual([2, 2]);
    // The time of a call that has begun later is over.
    const silent = await world.raw(() => {});
    const late = world.service([silent.origin], { attemptTimeoutMs: false, timeoutMs: 500 });
    await expect(late.fetch('http://svc/')).rejects.toMatchObject({ cause: { code: 'ERR_TIMEOUT' } });
    expect(loads(client)).toEqual([2, 2]);
    let closed = 0;
    for (const each of sockets) each.addEventListener('close', () => closed++);
    for (const each of sites[0]?.open ?? []) each.destroy();
    await until(() => loads(client)[0] === 0, 'the load of the one that died');
    const again = [await open(client), await open(client)];
    expect([loads(client), closed]).toEqual([[2, 2], 2]);
    for (const each of [...sites.flatMap((site) => site.open)]) each.destroy();
    await until(() => loads(client).every((load) => load === 0), 'no load');
    expect(again.every(({ readyState }) => readyState !== undici.WebSocket.OPEN)).toBe(true);
  });

  it('end with their client, after the time that it gives', async () => {
    const site = await accepting();
    const client = world.service([site.origin], { transport: { closeMs: 30 } });
    const socket = await open(client);
    const closed = once(socket as never, 'close');
    await client.close();
    await closed;
    await until(() => site.sockets.size === 0, 'the connection closed');
  });
});

describe('an EventSource', () => {
  it('ends with its client, too', async () => {
    const site = await world.http((_, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: one\n\n');
    });
    const client = world.service([site.origin], { transport: { closeMs: 30 }, timeoutMs: 500, attemptTimeoutMs: 500 });
    const source = new undici.EventSource('http://svc/', { node: { dispatcher: client.dispatcher } } as never);
    await once(source as never, 'message');
    expect(loads(client)).toEqual([1]);
    const failed = once(source as never, 'error');
    await client.close();
    await failed;
    source.close();
    await until(() => site.sockets.size === 0, 'the connection closed');
  });
});
