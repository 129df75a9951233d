/** Would catch a WebSocket that is cut without a word, and a tunnel of another protocol into which somebody else's words fall. */

import type { EventEmitter } from 'node:events';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { VirtualClock } from '@fairlead/testing';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { listen, stopServers, Wire } from '../../tests/harness.js';
import { createDrain, type DrainOptions } from '../index.js';

/** The most used library, which comes without types. */
const { WebSocketServer } = (await import('ws' as string)) as {
  WebSocketServer: new (options: { server: Server }) => EventEmitter;
};

afterEach(stopServers);

function setUp(options: Partial<DrainOptions> = {}) {
  const clock = new VirtualClock();
  const server = createServer((_request, response) => response.end('plain'));
  const drain = createDrain({
    signals: [],
    servers: server,
    delayMs: 1_000,
    timeoutMs: 10_000,
    runtime: { clock },
    ...options,
  });
  return { clock, server, drain };
}

describe('upgraded connections', () => {
  it('of WebSocket are told to go away once nobody new is accepted, and close by themselves', async () => {
    const { clock, server, drain } = setUp();
    const sockets = new WebSocketServer({ server });
    const port = await listen(server);
    const client = new WebSocket(`ws://127.0.0.1:${port}`);
    const [served] = (await once(sockets, 'connection')) as [{ send(text: string): void }];
    const messages: string[] = [];
    client.addEventListener('message', ({ data }) => messages.push(String(data)));
    void drain.start();
    await clock.advance(999);
    served.send('during the delay');
    await vi.waitFor(() => expect(messages).toHaveLength(1));
    served.send('x'.repeat(100_000));
    const closed = new Promise<{ code: number }>((resolve) => client.addEventListener('close', resolve));
    await clock.advance(1);
    expect((await closed).code).toBe(1001);
    expect(messages[1]).toHaveLength(100_000);
    expect(await drain.done).toBe(0);
    expect(clock.pending).toBe(0);
  });

  it('of other protocols are left alone, unless told what to say, and are cut in the end', async () => {
    const { clock, server, drain } = setUp({ delayMs: 0 });
    server.on('upgrade', (_request, socket) => socket.write('HTTP/1.1 101 Switching Protocols\r\n\r\n'));
    const wire = await Wire.open(await listen(server));
    wire.get('/', 'connection: upgrade\r\nupgrade: tunnel\r\n');
    await wire.hears('101');
    const before = wire.received;
    void drain.start();
    await clock.advance(10_000);
    expect(await drain.done).toBe(1);
    await wire.closed;
    expect(wire.received).toBe(before);

    const own = setUp({ delayMs: 0, farewell: (request, socket) => socket.end(`bye ${request.url}`) });
    own.server.on('upgrade', (_request, socket) => socket.write('HTTP/1.1 101 Switching Protocols\r\n\r\n'));
    const told = await Wire.open(await listen(own.server));
    told.get('/chat', 'connection: upgrade\r\nupgrade: tunnel\r\n');
    await told.hears('101');
    void own.drain.start();
    await told.hears('bye /chat');
    told.socket.destroy();
    expect(await own.drain.done).toBe(0);
  });

  it('are not made by watching for them', async () => {
    const { server, drain } = setUp();
    const wire = await Wire.open(await listen(server));
    wire.get('/', 'connection: upgrade\r\nupgrade: websocket\r\n');
    await wire.hears('plain');
    wire.socket.destroy();
    const { emit } = server;
    drain.abort();
    expect(server.emit).not.toBe(emit);
  });
});
