// Would catch: a report that our own guard writes and our own client does not read, is asked for though nobody wants it, or
// has no effect on where calls go.
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createGuard, eventLoop, shed } from '@fairlead/server';
import { VirtualClock } from '@fairlead/testing';
import { afterEach, expect, it } from 'vitest';
import { createClient } from './client.js';

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close().closeAllConnections();
});

async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

it.each([
  [false, 0],
  [{ blackoutMs: 0 }, 1],
  [true, 1],
])('a busy replica gets less where loadReports is %j', async (loadReports, asked) => {
  const clock = new VirtualClock({ seed: 3 });
  const served = [0, 0];
  let asks = 0;
  const replica = (index: number, busy: number): Promise<string> => {
    const loop = { ...eventLoop, activeMs: () => clock.now() * busy, heapRatio: () => 0 };
    const guard = createGuard({ shed: shed({ clock, loop }), runtime: { clock } });
    return serve(
      guard.node((request, response) => {
        (served[index] as number)++;
        if (request.headers['x-fairlead-tell'] === 'load') asks++;
        response.end('done');
      }),
    );
  };
  const from = [await replica(0, 0.9), await replica(1, 0.1)];
  await using client = createClient({ environment: false, clock, services: { orders: { from, loadReports } } });
  const round = async (): Promise<void> => {
    for (let i = 0; i < 10; i++) await (await client.fetch('http://orders/')).text();
    await clock.advance(500);
  };
  for (let i = 0; i < 40; i++) await round();
  served.fill(0);
  for (let i = 0; i < 20; i++) await round();
  const [busy, idle] = served as [number, number];
  if (asked === 0) {
    expect(asks).toBe(0);
    expect(busy / (busy + idle)).toBeGreaterThan(0.4);
  } else {
    // Once a second for each, of ten.
    expect(asks).toBeGreaterThan(40);
    expect(asks).toBeLessThanOrEqual(62);
    expect(busy / (busy + idle)).toBeLessThan(0.3);
  }
});
