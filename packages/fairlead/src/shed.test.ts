// Would catch: a request that an overloaded replica has not processed and that fails all the same, POST included; a class of
// requests that is lost between an inbound request and the calls made for it, or that anybody can claim.
import { createServer, type IncomingHttpHeaders, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createGuard, eventLoop, shed } from '@fairlead/server';
import { afterEach, describe, expect, it } from 'vitest';
import { type Client, createClient } from './client.js';
import { createServiceGuard, type GuardInit } from './guard.js';

const servers: Server[] = [];
const clients: Client[] = [];
afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.close()));
  for (const server of servers.splice(0)) server.close().closeAllConnections();
});

async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function clientOf(from: string[]): Client {
  const client = createClient({ environment: false, services: { orders: { from, attempts: 2 } } });
  clients.push(client);
  return client;
}

describe('a replica that sheds', () => {
  it('costs nobody a request, not even one that must not be sent twice', async () => {
    let refused = 0;
    const runtime = { clock: (await import('@fairlead/core')).systemClock, on: () => void refused++ };
    const full = createGuard({ shed: shed({ loop: { ...eventLoop, heapRatio: () => 1 } }), runtime });
    const ran: string[] = [];
    const overloaded = await serve(full.node(() => void ran.push('overloaded')));
    const well = await serve(async (request, response) => {
      let body = '';
      for await (const chunk of request) body += chunk;
      response.end(`got ${body}`);
    });
    const client = clientOf([overloaded, well]);
    for (let i = 0; i < 40; i++) {
      const reply = await client.fetch('http://orders/', { method: 'POST', body: `order ${i}` });
      expect([reply.status, await reply.text()]).toEqual([200, `got order ${i}`]);
    }
    expect(refused).toBeGreaterThan(0);
    expect(ran).toEqual([]);
  });
});

describe('criticality', () => {
  async function chain(init: GuardInit): Promise<{ origin: string; heard: IncomingHttpHeaders[] }> {
    const heard: IncomingHttpHeaders[] = [];
    const client = clientOf([
      await serve((request, response) => {
        heard.push(request.headers);
        response.end();
      }),
    ]);
    const guard = createServiceGuard({ environment: false, drain: false, ...init });
    const origin = await serve(
      guard.node(async (_request, response) => {
        await (await client.fetch('http://orders/')).text();
        // Said by the caller of this very call, it counts.
        await (await client.fetch('http://orders/', { headers: { 'x-request-criticality': 'sheddable' } })).text();
        response.end();
      }),
    );
    return { origin, heard };
  }

  const trusts = (): boolean => true;

  it.each([
    [{ trusts }, { 'x-request-criticality': 'critical-plus' }, 'critical-plus', 'criticality=critical-plus'],
    [{ trusts }, { baggage: 'a=b, criticality=CRITICAL_PLUS' }, 'critical-plus', 'criticality=critical-plus,a=b'],
    // Nobody is trusted by default: what he claims for himself is not handed on, either.
    [{}, { baggage: 'criticality=critical-plus' }, 'critical', 'criticality=critical'],
    [{}, { 'x-request-criticality': 'sheddable-plus' }, 'sheddable-plus', 'criticality=sheddable-plus'],
    [{ tracing: 'off' }, { 'x-request-criticality': 'sheddable-plus' }, 'sheddable-plus', undefined],
    [{}, {}, undefined, undefined],
    // Who is called next would take silence for `critical`.
    [{ criticality: 'sheddable-plus' }, {}, 'sheddable-plus', 'criticality=sheddable-plus'],
    [{ criticality: 'sheddable-plus' }, { 'x-request-criticality': 'sheddable' }, 'sheddable', 'criticality=sheddable'],
    [{ criticality: 'critical-plus' }, {}, 'critical-plus', 'criticality=critical-plus'],
  ] as const)('with %j and %j is %j and %j of the calls made inside', async (init, headers, criticality, baggage) => {
    const { origin, heard } = await chain(init);
    await (await fetch(origin, { headers })).text();
    expect(heard.map((each) => each['x-request-criticality'])).toEqual([criticality, 'sheddable']);
    if (!('tracing' in init)) expect(heard[0]?.baggage).toBe(baggage);
  });
});
