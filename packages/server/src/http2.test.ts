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

async function serve(options: Parameters<typeof createGuard>[0], handler: NodeListener): Promise<ClientHttp2Session> {
  const server = createServer(createGuard({ onError: () => {}, ...options }).node(handler) as never);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const client = connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  cleanups.push(() => {
    client.destroy();
    return new Promise((resolve) => (server as unknown as Server).close(resolve));
  });
  return client;
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
    const client = await serve(
      { drain, health: healthRoutes(), layers: [layer, refuse], maxTimeoutMs: 1_000, runtime: { clock } },
      async (request, response) => {
        await null;
        if (request.url === '/throw') throw new Error('secret');
        response.end('hello');
      },
    );
    for (const draining of [false, true]) {
      if (draining) void drain.start();
      const answers = await Promise.all(
        ['/', '/no', '/throw', '/readyz', ...Array(20).fill('/')].map((path) => get(client, path)),
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
    const client = await serve({ layers: [layer] }, (request) => started.open(callOf(request) as Call));
    const stream = client.request({ ':path': '/' });
    stream.on('error', () => {});
    const call = await started.opened;
    const gone = new Promise<void>((resolve) => call.scope.watch({ onCancel: () => resolve() }));
    stream.close(8);
    await gone;
    await Promise.resolve();
    expect(errors).toMatchObject([{ code: 'ERR_CANCELED' }]);
  });
});
