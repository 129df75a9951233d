/** Would catch a guard that takes for granted what only the requests and responses of HTTP/1.1 have. */

import type { Server } from 'node:http';
import { type ClientHttp2Session, connect, createServer } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { type Call, type Middleware, rejected } from '@fairlead/core';
import { VirtualClock } from '@fairlead/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { gateway, recorder } from '../tests/harness.js';
import { callOf, createDrain, createGuard, healthRoutes, type NodeListener } from './index.js';

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup();
});

function open(server: Server): ClientHttp2Session {
  const client = connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  client.on('error', () => {});
  cleanups.unshift(() => client.destroy());
  return client;
}

async function serve(options: Parameters<typeof createGuard>[0], handler: NodeListener) {
  const listener = createGuard({ onError: () => {}, ...options }).node(handler);
  const server = createServer(listener as never) as unknown as Server;
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  cleanups.push(() => new Promise((resolve) => server.close(resolve)));
  return { server, client: open(server) };
}

function get(client: ClientHttp2Session, path: string): Promise<{ status: unknown; headers: object; body: string }> {
  return new Promise((resolve, reject) => {
    const stream = client.request({ ':path': path });
    let head: Record<string, unknown> = {};
    let body = '';
    stream.on('response', (headers) => {
      head = headers;
    });
    stream.on('data', (chunk) => {
      body += chunk;
    });
    stream.on('end', () => resolve({ status: head[':status'], headers: head, body }));
    stream.on('error', reject);
  });
}

describe('guard under HTTP/2', () => {
  it('serves, refuses and fails as under HTTP/1.1, many requests at a time, draining too', async () => {
    const warnings: Error[] = [];
    const warned = (warning: Error): void => void warnings.push(warning);
    process.on('warning', warned);
    cleanups.push(() => process.off('warning', warned));
    const clock = new VirtualClock();
    const drain = createDrain({ signals: [], delayMs: 1_000, runtime: { clock } });
    cleanups.push(() => drain.abort());
    const { layer, ends } = recorder();
    const refuse: Middleware = (call, next) =>
      call.path === '/no' ? Promise.reject(rejected('limit', null, 'no', 1_000)) : next(call);
    const { server, client } = await serve(
      { drain, health: healthRoutes(), layers: [layer, refuse], maxTimeoutMs: 1_000, runtime: { clock } },
      async (request, response) => {
        await null;
        if (request.url === '/throw') throw new Error('secret');
        response.end('hello');
      },
    );
    for (const draining of [false, true]) {
      if (draining) void drain.start();
      // Those that are there already are told not to send more.
      const asked = draining ? open(server) : client;
      const answers = await Promise.all(
        ['/', '/no', '/throw', '/readyz', ...Array(20).fill('/')].map((path) => get(asked, path)),
      );
      expect(answers.slice(0, 4)).toMatchObject([
        { status: 200, body: 'hello' },
        { status: 429, headers: { 'retry-after': '1' } },
        { status: 500 },
        { status: draining ? 503 : 200 },
      ]);
      expect(answers.slice(4).every(({ status }) => status === 200)).toBe(true);
    }
    await Promise.all(ends);
    expect(warnings).toEqual([]);
  });

  it('cancels the scope of a stream that its client has reset', async () => {
    const started = gateway<Call>();
    const { layer, errors } = recorder();
    const { client } = await serve({ layers: [layer] }, (request) => started.open(callOf(request) as Call));
    const stream = client.request({ ':path': '/' });
    stream.on('error', () => {});
    const call = await started.opened;
    const gone = new Promise<void>((resolve) => call.scope.watch({ onCancel: () => resolve() }));
    stream.close(8);
    await gone;
    await Promise.resolve();
    expect(errors).toMatchObject([{ code: 'ERR_CANCELED' }]);
  });

  it('drains: gives notice, serves what is on its way, and closes each connection behind its last answer', async () => {
    const clock = new VirtualClock();
    const drain = createDrain({ signals: [], delayMs: 1_000, timeoutMs: 10_000, runtime: { clock } });
    cleanups.unshift(() => drain.abort());
    const started = gateway();
    const finish = gateway();
    const { server, client } = await serve({ drain, runtime: { clock } }, async (request, response) => {
      if (request.url === '/slow') {
        started.open();
        await finish.opened;
      }
      response.end('served');
    });
    const idle = open(server);
    await get(idle, '/');
    const slow = get(client, '/slow');
    await started.opened;
    const noticed = [client, idle].map(
      (each) => new Promise((resolve) => each.once('goaway', (...args) => resolve(args))),
    );
    const idleClosed = new Promise((resolve) => idle.once('close', resolve));
    void drain.start();
    for (const [code, lastStream] of (await Promise.all(noticed)) as [number, number][]) {
      expect([code, lastStream]).toEqual([0, 2 ** 31 - 1]);
    }
    // Who has not heard yet may still come, is served, and is told then.
    const late = open(server);
    const told = new Promise((resolve) => late.once('goaway', resolve));
    expect((await get(late, '/')).body).toBe('served');
    await told;
    await clock.advance(1_100);
    await idleClosed;
    expect(server.listening).toBe(false);
    const closed = new Promise((resolve) => client.once('close', resolve));
    finish.open();
    expect((await slow).body).toBe('served');
    await closed;
    expect(await drain.done).toBe(0);
    expect(clock.pending).toBe(0);
  });

  it('closes connections on which nothing is going on, and such as were there before their server was known', async () => {
    const clock = new VirtualClock();
    const drain = createDrain({ signals: [], delayMs: 0, timeoutMs: 10_000, runtime: { clock } });
    cleanups.unshift(() => drain.abort());
    const { server, client } = await serve({ drain, runtime: { clock } }, (_request, response) => response.end('x'));
    const silent = open(server);
    await new Promise((resolve) => silent.once('remoteSettings', resolve));
    await get(client, '/');
    const closed = [client, silent].map((each) => new Promise((resolve) => each.once('close', resolve)));
    void drain.start();
    await clock.advance(100);
    await Promise.all(closed);
    expect(await drain.done).toBe(0);
  });
});
