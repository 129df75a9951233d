/**
 * Would catch a handler that runs for something that is no request, and anything that piles up because of clients that
 * say nothing, say it slowly, talk nonsense or hang up: timers, sockets, requests that never count as over.
 */

import type { Server } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import { connect as connectSecurely } from 'node:tls';
import { VirtualClock } from '@fairlead/testing';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { adapters, ask, listen, start, stopServers, Wire } from '../../tests/harness.js';
import { clientAddress, createDrain, createGuard, type Drain, type Limiter, rateLimit } from '../index.js';

const drains: Drain[] = [];

afterEach(async () => {
  for (const drain of drains.splice(0)) drain.abort();
  await stopServers();
});

const limiter: Limiter = {
  take: () => ({ allowed: true, limit: 1_000, remaining: 999, resetMs: 1, retryAfterMs: 0 }),
  perSecond: 1_000,
  burst: 1_000,
};

function strict(delayMs = 0) {
  const clock = new VirtualClock();
  const drain = createDrain({ signals: [], delayMs, timeoutMs: 10_000, runtime: { clock } });
  drains.push(drain);
  let passed = 0;
  const guard = createGuard({
    drain,
    maxTimeoutMs: 60_000,
    runtime: { clock },
    onError: () => {},
    layers: [
      (call, next) => {
        passed++;
        return next(call);
      },
      rateLimit({ limiter, key: clientAddress() }),
    ],
  });
  return { clock, drain, guard, passed: () => passed };
}

describe.each(adapters)('hostile clients under %s', (adapter) => {
  it.each([
    ['noise', '\x16\x03\x01\x02\x00\x01\x00\x01'],
    ['a version that is none', 'GET / HTTP/9.9\r\nhost: x\r\n\r\n'],
    ['a space before the colon', 'GET / HTTP/1.1\r\nhost : x\r\n\r\n'],
    ['no host', 'GET / HTTP/1.1\r\n\r\n'],
    ['two lengths', 'POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab'],
    [
      'a length and chunks',
      'POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n',
    ],
    ['NUL in a header', 'GET / HTTP/1.1\r\nhost: x\r\na: \0\r\n\r\n'],
    ['a header without end', `GET / HTTP/1.1\r\nhost: x\r\na: ${'a'.repeat(20_000)}`],
  ])('%s never reaches the layers', async (_what, text) => {
    const { guard, clock, passed } = strict();
    let ran = false;
    const { port } = await start(adapter, guard, () => {
      ran = true;
    });
    const wire = await Wire.open(port);
    wire.say(text);
    await wire.closed;
    expect(wire.received).toMatch(/^HTTP\/1\.1 4\d\d /);
    expect(passed()).toBe(0);
    expect(ran).toBe(false);
    expect(clock.pending).toBe(0);
  });

  it('a head that arrives byte by byte, or never completely, holds nothing of ours', async () => {
    const { guard, clock, passed } = strict();
    const { port } = await start(adapter, guard, (_req, res) => res.end('ok'));
    const never = await Wire.open(port);
    never.say('GET / HTTP/1.1\r\nhost: x\r\nx-');
    const slow = await Wire.open(port);
    slow.socket.setNoDelay(true);
    for (const byte of 'GET / HTTP/1.1\r\nhost: x\r\n\r\n') slow.say(byte);
    await slow.hears('ok');
    expect(passed()).toBe(1);
    expect(clock.pending).toBe(0);
    slow.socket.destroy();
    never.socket.destroy();
  });

  it('hundreds that hang up at every possible moment leave no timer and no open request', async () => {
    const { guard, clock, drain } = strict();
    const { port, server } = await start(adapter, guard, async (req, res) => {
      if (req.url === '/half') res.write('half');
      else if (req.url === '/end') res.end('whole');
      for await (const _ of req);
      res.end();
    });
    const request = (path: string): string => `POST ${path} HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\n12345`;
    const wires = await Promise.all(
      Array.from({ length: 300 }, async (_, i) => {
        const wire = await Wire.open(port);
        const text = request(['/half', '/end', '/wait'][i % 3] as string);
        wire.say(text.slice(0, (i * 7) % (text.length + 1)));
        return wire;
      }),
    );
    await ask(port, { path: '/end' });
    for (const [i, wire] of wires.entries()) {
      if (i % 2 === 0) wire.socket.resetAndDestroy();
      else wire.socket.destroy();
    }
    await vi.waitFor(async () => {
      const count = await new Promise<number>((resolve) => server.getConnections((_error, n) => resolve(n)));
      expect([count, clock.pending]).toEqual([0, 0]);
    });
    expect(await drain.start()).toBe(0);
    expect(clock.pending).toBe(0);
  });

  it('one that sends garbage after its request gets its answer', async () => {
    const { guard, clock } = strict();
    const { port } = await start(adapter, guard, (_req, res) => res.end('answer'));
    const wire = await Wire.open(port);
    wire.say('GET / HTTP/1.1\r\nhost: x\r\n\r\n\x00\x01\x02 not HTTP\r\n\r\n');
    await wire.closed;
    expect(wire.received).toContain('answer');
    expect(clock.pending).toBe(0);
  });
});

describe('TLS', () => {
  it('drains connections that are silent at either layer, and not those that are served', async () => {
    const { guard, clock, drain } = strict();
    let finish = (): void => {};
    const options = { ciphers: 'PSK', maxVersion: 'TLSv1.2', pskCallback: () => Buffer.from('test') } as const;
    const server = createSecureServer(
      options as never,
      guard.node((_req, res) => {
        res.write('begun ');
        finish = () => res.end('finished');
      }) as never,
    );
    drain.add(server);
    const port = await listen(server as unknown as Server);
    const secure = () => {
      const socket = connectSecurely({
        port,
        host: '127.0.0.1',
        ciphers: 'PSK',
        maxVersion: 'TLSv1.2',
        pskCallback: () => ({ psk: Buffer.from('test'), identity: 'test' }),
        checkServerIdentity: () => undefined,
      });
      let heard = '';
      socket.on('data', (chunk: Buffer) => {
        heard += chunk.toString();
      });
      socket.on('error', () => {});
      return { socket, heard: () => heard };
    };
    const served = secure();
    served.socket.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n');
    const silent = secure();
    const silentClosed = new Promise<void>((resolve) => silent.socket.once('close', () => resolve()));
    await new Promise((resolve) => silent.socket.once('secureConnect', resolve));
    const noHandshake = await Wire.open(port);
    await vi.waitFor(() => expect(served.heard()).toContain('begun'));
    void drain.start();
    await clock.advance(100);
    await Promise.all([silentClosed, noHandshake.closed]);
    await clock.advance(1_000);
    expect(served.socket.destroyed).toBe(false);
    finish();
    await vi.waitFor(() => expect(served.heard()).toContain('finished'));
    served.socket.destroy();
    await vi.waitFor(() => expect(server.listening).toBe(false));
    await clock.advance(100);
    expect(await drain.done).toBe(0);
  });
});
