/**
 * Would catch a server that slow, large, many or ambiguous requests still get through to, one that honest clients do not, and
 * a refusal that costs the process more than its sender. Node's own timeouts run in real time: these are short, and what is
 * waited for is what they do.
 */
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { connect, createServer as createHttp2Server } from 'node:http2';
import { ConfigError, type FairleadEvent } from '@fairlead/core';
import { VirtualClock } from '@fairlead/testing';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { adapt, adapters, ask, gateway, listen, stopServers, type TestHandler, Wire } from '../../tests/harness.js';
import { createGuard, type HardenOptions, harden } from '../index.js';

afterEach(stopServers);

async function serve(options: Partial<HardenOptions> = {}, handler: TestHandler = (_req, res) => res.end('ok')) {
  const events: FairleadEvent[] = [];
  const clock = new VirtualClock();
  const runtime = { clock, on: (event: FairleadEvent) => events.push(event) };
  let ran = 0;
  const server = harden(
    createServer((req, res) => {
      ran++;
      return handler(req, res);
    }),
    { runtime, ...options },
  );
  return { server, port: await listen(server), clock, events, ran: () => ran };
}

const readAll: TestHandler = async (req, res) => {
  let size = 0;
  try {
    for await (const chunk of req) size += (chunk as Buffer).length;
    res.end(`read ${size}`);
  } catch (error) {
    res.statusCode = (error as { statusCode?: number }).statusCode ?? 500;
    res.end();
  }
};

describe('harden', () => {
  it('ends a head that does not come to its end', async () => {
    const { port, ran } = await serve({ headersTimeoutMs: 40 });
    const wire = await Wire.open(port);
    wire.say('GET / HTTP/1.1\r\nhost: x\r\nx-');
    await wire.closed;
    expect(wire.received).toMatch(/^HTTP\/1\.1 408 /);
    expect(ran()).toBe(0);
  });

  it('ends a body that does not come to its end, and tells the handler', async () => {
    const broken = gateway<unknown>();
    const { port } = await serve({ headersTimeoutMs: 40, requestTimeoutMs: 60 }, (req) => {
      req.on('error', (error) => broken.open(error)).resume();
    });
    const wire = await Wire.open(port);
    wire.say('POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nhal');
    await wire.closed;
    expect(await broken.opened).toMatchObject({ code: 'ECONNRESET' });
  });

  it('cuts an answer that is not read, and none that is, however slowly', async () => {
    const { port, clock } = await serve({ stallTimeoutMs: 1_000 }, (_req, res) => res.end(Buffer.alloc(30_000_000)));
    const sockets: import('node:net').Socket[] = [];
    const stalled = await Wire.open(port);
    const slow = await Wire.open(port);
    for (const wire of [stalled, slow]) {
      wire.socket.pause();
      wire.get('/');
      sockets.push(wire.socket);
    }
    let read = 0;
    slow.socket.removeAllListeners('data');
    slow.socket.on('data', (chunk: Buffer) => {
      read += chunk.length;
    });
    slow.socket.pause();
    const gone = once(stalled.socket, 'close');
    await vi.waitFor(
      async () => {
        // In more steps than there are looks until a stalled one is cut, also without what systems keep in their own buffers.
        const target = Math.min(read + 1_000_000, 30_000_000);
        slow.socket.resume();
        await vi.waitFor(() => expect(read).toBeGreaterThanOrEqual(target), { interval: 2 });
        slow.socket.pause();
        await clock.advance(250);
        stalled.socket.resume();
        stalled.socket.pause();
        expect(read).toBeGreaterThanOrEqual(30_000_000);
      },
      { interval: 1, timeout: 10_000 },
    );
    await clock.advance(1_500);
    stalled.socket.resume();
    await gone;
    expect(stalled.received.length).toBeLessThan(30_000_000);
    for (const socket of sockets) socket.destroy();
  });

  it('leaves alone a handler that takes its time, and arms nothing without connections', async () => {
    const started = gateway();
    const finish = gateway();
    const { port, clock, server } = await serve({ stallTimeoutMs: 1_000 }, async (_req, res) => {
      started.open();
      await finish.opened;
      res.end('late');
    });
    expect(clock.pending).toBe(0);
    const wire = await Wire.open(port);
    wire.get('/');
    await started.opened;
    await clock.advance(60_000);
    finish.open();
    await wire.hears('late');
    wire.socket.destroy();
    await vi.waitFor(async () => {
      expect(await new Promise((resolve) => server.getConnections((_error, count) => resolve(count)))).toBe(0);
    });
    await clock.advance(1_000);
    expect(clock.pending).toBe(0);
  });

  it('refuses ambiguous paths before the handler, for upgrades, too', async () => {
    const { port, server, events, ran } = await serve();
    server.on('upgrade', (_request, socket) => socket.end('HTTP/1.1 101 Switching Protocols\r\n\r\n'));
    const wire = await Wire.open(port);
    wire.get('/a/%2e%2e/admin');
    const heard = await wire.hears('Ambiguous path');
    expect(heard).toMatch(/^HTTP\/1\.1 400 [\s\S]*application\/problem\+json/);
    wire.get('/fine');
    await wire.hears('ok', 1);
    const upgrade = 'connection: upgrade\r\nupgrade: websocket\r\n';
    const refused = await Wire.open(port);
    refused.get('/a%2fb', upgrade);
    await refused.closed;
    expect(refused.received).toMatch(/^HTTP\/1\.1 400 /);
    const taken = await Wire.open(port);
    taken.get('/a', upgrade);
    await taken.hears('101 Switching');
    expect(ran()).toBe(1);
    expect(events).toEqual(
      Array(2).fill({ type: 'request.refused', service: 'inbound', by: 'harden', status: 400, key: null }),
    );
    wire.socket.destroy();
  });

  it('lets every path pass where that is wanted', async () => {
    const { port } = await serve({ ambiguousPaths: 'allow' });
    const wire = await Wire.open(port);
    wire.get('/@scope%2fname');
    expect(await wire.hears('ok')).toMatch(/^HTTP\/1\.1 200 /);
    wire.socket.destroy();
  });

  it('takes as many headers as may be, and not one more', async () => {
    const { port, ran } = await serve({ maxHeaders: 5 });
    const get = async (count: number): Promise<string> => {
      const wire = await Wire.open(port);
      wire.get('/', `${'a: b\r\n'.repeat(count - 2)}connection: close\r\n`);
      await wire.closed;
      return wire.received.slice(9, 12);
    };
    expect([await get(5), await get(6), await get(200)]).toEqual(['200', '431', '431']);
    expect(ran()).toBe(1);
  });

  it('takes a head that is as long as may be, and none that is longer', async () => {
    const { port } = await serve({ maxHeaderBytes: 1_000 });
    const get = async (length: number): Promise<string> => {
      const wire = await Wire.open(port);
      wire.get('/', `a: ${'b'.repeat(length)}\r\nconnection: close\r\n`);
      await wire.closed;
      return wire.received.slice(9, 12);
    };
    expect([await get(500), await get(2_000)]).toEqual(['200', '431']);
  });

  it('refuses a body that says that it is too long, unread', async () => {
    const { port, ran } = await serve({ maxBodyBytes: 10 }, readAll);
    expect((await ask(port, { method: 'POST', body: '0123456789' })).body).toBe('read 10');
    const wire = await Wire.open(port);
    wire.say('POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 11\r\n\r\n');
    await wire.closed;
    expect(wire.received).toMatch(/^HTTP\/1\.1 413 [\s\S]*Connection: close[\s\S]*Body too long/i);
    expect(ran()).toBe(1);
  });

  it('refuses one that expects to be asked for, without asking', async () => {
    const { port } = await serve({ maxBodyBytes: 10 }, readAll);
    const wire = await Wire.open(port);
    wire.say('POST / HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 11\r\n\r\n');
    await wire.closed;
    expect(wire.received).toMatch(/^HTTP\/1\.1 413 /);
  });

  it('cuts a body of unknown length where it gets too long, and tells its reader', async () => {
    const { port } = await serve({ maxBodyBytes: 10 }, readAll);
    const chunked = (text: string): string => `${text.length.toString(16)}\r\n${text}\r\n`;
    const head = 'POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n';
    const fits = await Wire.open(port);
    fits.say(`${head}${chunked('01234')}${chunked('56789')}0\r\n\r\n`);
    await fits.hears('read 10');
    const long = await Wire.open(port);
    long.say(`${head}${chunked('01234')}${chunked('567890')}`);
    await long.closed;
    expect(long.received).toMatch(/^HTTP\/1\.1 413 [\s\S]*Connection: close/i);
    fits.socket.destroy();
  });

  it('does not take a process down over a body that nobody reads', async () => {
    const { port } = await serve({ maxBodyBytes: 1 }, (req, res) => {
      res.write('begun ');
      if (req.method === 'GET') res.end();
    });
    const wire = await Wire.open(port);
    wire.say('POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n5\r\n01234\r\n');
    await wire.hears('begun');
    wire.say('5\r\n01234\r\n');
    expect((await ask(port)).body).toBe('begun ');
    wire.socket.destroy();
  });

  it('asks for a body that may come, unless somebody else wants to', async () => {
    const expecting = 'POST / HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n';
    const { port, server, ran } = await serve({ maxBodyBytes: 10 }, readAll);
    const wire = await Wire.open(port);
    wire.say(expecting);
    await wire.hears('100 Continue');
    wire.say('01234');
    await wire.hears('read 5');
    server.on('checkContinue', (_request, response) => response.writeHead(417).end());
    wire.say(expecting);
    await wire.hears('417');
    expect(ran()).toBe(1);
    wire.socket.destroy();
  });

  it.each(adapters)('under %s, a body that is too long is a 413', async (adapter) => {
    const errors: unknown[] = [];
    const guard = createGuard({ onError: (error) => errors.push(error) });
    const read: TestHandler = async (req, res) => {
      for await (const _ of req);
      res.end('never');
    };
    const listener = await adapt(adapter, guard, read);
    const port = await listen(harden(createServer(listener), { maxBodyBytes: 10 }));
    const wire = await Wire.open(port);
    wire.say('POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nb\r\n01234567890\r\n');
    await wire.closed;
    // The harness answers every error under hono with a 500 of its own.
    expect(wire.received).toMatch(adapter === 'hono' || adapter === 'fetch' ? /^HTTP\/1\.1 500 / : /^HTTP\/1\.1 413 /);
    expect(errors).toEqual([]);
  });

  it('gives a connection up after as many requests as it may have', async () => {
    const { port } = await serve({ maxRequestsPerConnection: 2 });
    const wire = await Wire.open(port);
    wire.get('/');
    expect(await wire.hears('ok')).not.toMatch(/connection: close/i);
    wire.get('/');
    expect(await wire.hears('ok', 2)).toMatch(/connection: close/i);
    // A client that goes on nevertheless is told no more than that.
    wire.get('/');
    await wire.hears('503');
  });

  it('takes as many connections as may be, from everybody and from one address', async () => {
    for (const limit of [{ maxConnections: 2 }, { maxConnectionsPerAddress: 2 }]) {
      const { port } = await serve(limit);
      const [one, two] = [await Wire.open(port), await Wire.open(port)];
      one.get('/');
      two.get('/');
      await Promise.all([one.hears('ok'), two.hears('ok')]);
      const third = await Wire.open(port);
      await third.closed;
      one.socket.destroy();
      await vi.waitFor(async () => expect((await ask(port)).body).toBe('ok'), { interval: 5 });
      two.socket.destroy();
    }
  });

  it('under HTTP/2, limits paths, bodies and the time that they take', async () => {
    const clock = new VirtualClock();
    const server = harden(
      createHttp2Server((req, res) => void readAll(req as never, res as never)),
      { maxBodyBytes: 10, requestTimeoutMs: 1_000, maxStreams: 7, runtime: { clock } },
    );
    const session = connect(`http://127.0.0.1:${await listen(server as unknown as Server)}`);
    await once(session, 'remoteSettings');
    expect(session.remoteSettings.maxConcurrentStreams).toBe(7);
    const post = (path: string, body: string | null) => {
      const stream = session.request({ ':method': 'POST', ':path': path });
      stream.on('error', () => {});
      if (body !== null) stream.end(body);
      return once(stream, 'response').then(([headers]) => (headers as { ':status': number })[':status']);
    };
    expect(await Promise.all([post('/', '0123456789'), post('/', '01234567890'), post('/a/../b', '')])).toEqual([
      200, 413, 400,
    ]);
    const endless = session.request({ ':method': 'POST', ':path': '/' });
    endless.on('error', () => {});
    endless.write('0');
    await vi.waitFor(() => expect(clock.pending).toBeGreaterThanOrEqual(2));
    const closed = once(endless, 'close');
    await clock.advance(1_000);
    await closed;
    session.destroy();
  });

  it('checks its options, and wants to be first', async () => {
    expect(() =>
      harden(createServer(), { maxBodyBytes: -1, headerTimeoutMs: 1, ambiguousPaths: 'no' } as never),
    ).toThrow(/harden\.maxBodyBytes[\s\S]*did you mean headersTimeoutMs[\s\S]*harden\.ambiguousPaths/);
    const { server } = await serve();
    expect(() => harden(server)).toThrow(ConfigError);
  });

  it.each([undefined, null, 8080, {}, { listen: () => {} }, () => {}])('wants a server, and not %s', (server) => {
    expect(() => harden(server as never)).toThrow(ConfigError);
    expect(() => harden(server as never)).toThrow(/harden\.server.*expected a server of node:http/);
  });
});
