// Catches: a guard whose settings do not reach its layers, deadlines and traces that are lost between an inbound request and
// the calls made inside its handler, wrong input that is not refused.
import { once } from 'node:events';
import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http';
import { createServer as createSecureServer, request as secureRequest } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { FairleadEvent } from '@fairlead/core';
import { getRequestListener } from '@hono/node-server';
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response';
import express from 'express';
import fastify from 'fastify';
import { Hono, type MiddlewareHandler } from 'hono';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { certificate } from '../test/certificate.js';
import { createClient } from './client.js';
import * as forExpress from './express.js';
import * as forFastify from './fastify.js';
import type { GuardInit } from './guard.js';
import * as forHono from './hono.js';
import * as forNode from './node.js';

const servers: Server[] = [];

afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener).listen(0, '127.0.0.1');
  servers.push(server);
  await once(server, 'listening');
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** The same handler behind each guard. */
const adapters: Record<string, (init: GuardInit, handler: RequestListener) => RequestListener> = {
  'node:http': (init, handler) => forNode.guard(handler, init),
  'express 5': (init, handler) =>
    express()
      .use(forExpress.guard(init))
      .use((request, response) => handler(request, response)),
  'fastify 5': (init, handler) => {
    const app = fastify();
    app.register(forFastify.guard(init));
    app.all('*', (request, reply) => handler(request.raw, reply.raw));
    return (request, response) => void app.ready().then(() => app.routing(request, response));
  },
  'hono 4': (init, handler) => getRequestListener(onHono(handler, forHono.guard(init)).fetch),
  'hono 4, from outside': (init, handler) => getRequestListener(forHono.guard(onHono(handler).fetch, init)),
};

function onHono(handler: RequestListener, ...before: MiddlewareHandler[]): Hono {
  const app = new Hono();
  for (const each of before) app.use(each);
  app.all('*', async (c) => {
    const { incoming, outgoing } = c.env as { incoming: IncomingMessage; outgoing: ServerResponse };
    await handler(incoming, outgoing as never);
    return RESPONSE_ALREADY_SENT;
  });
  return app;
}
const plain = { environment: false, drain: false } as const;

describe.each(Object.entries(adapters))('a guard for %s', (_name, guarded) => {
  it('limits each caller, and tells where it stands', async () => {
    const limit = { perSecond: 0.01, burst: 2 };
    const origin = await serve(guarded({ ...plain, limit, key: 'apiKey' }, (_request, response) => response.end('ok')));
    const ask = (key: string): Promise<Response> => fetch(origin, { headers: { 'x-api-key': key } });
    expect([(await ask('a')).status, (await ask('a')).status]).toEqual([200, 200]);
    const refused = await ask('a');
    expect(refused.status).toBe(429);
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(90);
    expect(refused.headers.get('ratelimit')).toMatch(/^"default";r=0;t=\d+$/);
    expect(refused.headers.get('ratelimit-policy')).toBe('"default";q=2;w=200');
    expect(refused.headers.get('content-type')).toContain('application/problem+json');
    expect((await ask('b')).status).toBe(200);
  });

  it('takes made-up API keys for what they are, once it knows which were given out', async () => {
    const init: GuardInit = { ...plain, limit: { perSecond: 0.01, burst: 1 }, key: 'apiKey', apiKeys: ['a'] };
    const origin = await serve(guarded(init, (_request, response) => response.end('ok')));
    const ask = async (key: string): Promise<number> => (await fetch(origin, { headers: { 'x-api-key': key } })).status;
    expect([await ask('a'), await ask('x1'), await ask('x2'), await ask('a')]).toEqual([200, 200, 429, 429]);
  });

  it('takes the word of trusted proxies on who the caller is, and of nobody else', async () => {
    const limit = { perSecond: 0.01, burst: 1 };
    const from = (address: string): RequestInit => ({ headers: { 'x-forwarded-for': address } });
    const trusting = await serve(
      guarded({ ...plain, limit, trustedProxies: ['loopback'] }, (_q, response) => response.end()),
    );
    expect((await fetch(trusting, from('203.0.113.1'))).status).toBe(200);
    expect((await fetch(trusting, from('203.0.113.2'))).status).toBe(200);
    expect((await fetch(trusting, from('203.0.113.9, 203.0.113.2'))).status).toBe(429);
    const strict = await serve(guarded({ ...plain, limit }, (_q, response) => response.end()));
    expect((await fetch(strict, from('203.0.113.1'))).status).toBe(200);
    expect((await fetch(strict, from('203.0.113.2'))).status).toBe(429);
  });

  it('hands deadline, trace and baggage on to the calls made inside the handler, retries included', async () => {
    const seen: Record<string, string>[] = [];
    const backend = await serve((request, response) => {
      seen.push(request.headers as Record<string, string>);
      response.writeHead(seen.length === 1 ? 503 : 200).end();
    });
    const client = createClient({ environment: false, services: { backend: [backend] } });
    const origin = await serve(
      guarded(plain, async (_request, response) => {
        await (await client.fetch('http://backend/')).text();
        response.end();
      }),
    );
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    const headers = { traceparent, tracestate: 'a=1', baggage: 'tenant=acme', 'x-request-timeout-ms': '700' };
    expect((await fetch(origin, { headers })).status).toBe(200);
    await client.close();
    expect(seen).toHaveLength(2);
    for (const each of seen) {
      expect(each.traceparent).toMatch(/^00-0af7651916cd43dd8448eb211c80319c-[0-9a-f]{16}-01$/);
      expect(each).toMatchObject({ tracestate: 'a=1', baggage: 'tenant=acme' });
      expect(Number(each['x-request-timeout-ms'])).toBeLessThanOrEqual(700);
      expect(Number(each['x-request-timeout-ms'])).toBeGreaterThan(300);
    }
    expect(seen[0]?.traceparent).not.toBe(seen[1]?.traceparent);
  });

  it('answers 504 to a request that came too late, and does not run the handler', async () => {
    let ran = 0;
    const limit = { perSecond: 0.01, burst: 1 };
    const origin = await serve(guarded({ ...plain, limit }, (_request, response) => void response.end(String(ran++))));
    expect((await fetch(origin, { headers: { 'x-request-timeout-ms': '0' } })).status).toBe(504);
    // It has not used up the only token either.
    expect((await fetch(origin, { headers: { 'x-request-timeout-ms': 'soon' } })).status).toBe(200);
    expect(ran).toBe(1);
  });

  it('answers probes when asked to, past every limit', async () => {
    const init: GuardInit = { ...plain, limit: { perSecond: 0.01, burst: 1 }, health: true };
    const origin = await serve(guarded(init, (_request, response) => response.end()));
    for (const path of ['/livez', '/readyz', '/livez', '/readyz'])
      expect((await fetch(origin + path)).status).toBe(200);
    expect((await fetch(origin)).status).toBe(200);
    expect((await fetch(origin)).status).toBe(429);
  });

  it.each<[string, GuardInit]>([
    [
      'code',
      {
        ...plain,
        legacyHeaders: true,
        limit: [
          { name: 'burst', perSecond: 0.01, burst: 2 },
          {
            name: 'exports',
            perSecond: 0.01,
            burst: 10,
            key: 'apiKey',
            cost: ({ path }) => (path === '/export' ? 6 : 0),
          },
        ],
      },
    ],
    [
      'variables',
      {
        drain: false,
        environment: {
          FAIRLEAD_INBOUND_LIMIT: 'burst 0.6/m;burst=2, exports 0.6/m;burst=1',
          FAIRLEAD_INBOUND_LEGACY_HEADERS: 'on',
        },
      },
    ],
  ])(
    'holds several limits by %s, charged all or none, in the old headers too where they are wanted',
    async (_by, init) => {
      const origin = await serve(guarded(init, (_request, response) => response.end()));
      const first = await fetch(`${origin}/export`);
      expect([first.status, first.headers.get('x-ratelimit-remaining')]).toEqual([
        200,
        expect.stringMatching(/^[0-4]$/),
      ]);
      expect(first.headers.get('ratelimit-policy')).toMatch(/^"burst";q=2;w=200, "exports";q=\d+;w=\d+$/);
      const refused = await fetch(`${origin}/export`);
      expect([refused.status, await refused.text()]).toEqual([429, expect.stringContaining('exports')]);
      // What one refuses, the other has not been charged for.
      expect(refused.headers.get('ratelimit')).toMatch(/"burst";r=1;/);
    },
  );

  it.each<[string, GuardInit]>([
    ['code', { ...plain, limit: { perSecond: 0.01, burst: 1 }, draftHeaders: false }],
    [
      'variables',
      {
        drain: false,
        environment: { FAIRLEAD_INBOUND_LIMIT: '0.6/m;burst=1', FAIRLEAD_INBOUND_DRAFT_HEADERS: 'off' },
      },
    ],
  ])('tells nobody where it stands, if %s say so', async (_by, init) => {
    const origin = await serve(guarded(init, (_request, response) => response.end()));
    const [first, second] = [await fetch(origin), await fetch(origin)];
    expect([first.status, first.headers.has('ratelimit'), first.headers.has('ratelimit-policy')]).toEqual([
      200,
      false,
      false,
    ]);
    expect([second.status, second.headers.has('retry-after')]).toEqual([429, true]);
  });

  it('takes a limiter of somebody else for one of its limits, and a key of its own', async () => {
    const asked: string[] = [];
    const take = (key: string) => {
      asked.push(key);
      return { allowed: asked.length < 2, limit: 1, remaining: 0, resetMs: 0, retryAfterMs: 1_000 };
    };
    const limiter = { take, perSecond: 1, burst: 1 };
    const init: GuardInit = {
      ...plain,
      limit: { name: 'fleet', limiter, key: (call, request) => `${call.method} ${request.url}` },
    };
    const origin = await serve(guarded(init, (_request, response) => response.end()));
    expect([(await fetch(origin)).status, (await fetch(origin)).status]).toEqual([200, 429]);
    expect(asked).toEqual(['GET /', 'GET /']);
  });

  it('takes what tells callers apart in a layer for its own key, too', async () => {
    const key = forNode.clientAddress({ trustedProxies: ['loopback'] });
    const init: GuardInit = {
      ...plain,
      key,
      limit: [
        { perSecond: 0.01, burst: 1 },
        { name: 'more', perSecond: 1, key },
      ],
    };
    const origin = await serve(guarded(init, (_request, response) => response.end()));
    const statusOf = async (address: string): Promise<number> =>
      (await fetch(origin, { headers: { 'x-forwarded-for': address } })).status;
    expect([await statusOf('192.0.2.1'), await statusOf('192.0.2.1'), await statusOf('192.0.2.2')]).toEqual([
      200, 429, 200,
    ]);
  });

  it.each<[string, GuardInit]>([
    ['code', { ...plain, shed: { minLimit: 1, maxLimit: 1, maxWaiting: 1, maxWaitMs: 60_000, targetMs: 60_000 } }],
    [
      'variables',
      {
        drain: false,
        environment: {
          FAIRLEAD_INBOUND_SHED_MIN_LIMIT: '1',
          FAIRLEAD_INBOUND_SHED_MAX_LIMIT: '1',
          FAIRLEAD_INBOUND_SHED_MAX_WAITING: '1',
          FAIRLEAD_INBOUND_SHED_MAX_WAIT: '1m',
          FAIRLEAD_INBOUND_SHED_TARGET: '1m',
        },
      },
    ],
  ])('lets one in, one wait and turns the rest away, if %s say so', async (_by, init) => {
    const held: ServerResponse[] = [];
    const came = Promise.withResolvers<void>();
    const origin = await serve(
      guarded(init, (_request, response) => {
        held.push(response);
        came.resolve();
        // Whoever stands behind a framework's door: the answer comes from outside.
        return new Promise<void>((resolve) => void response.once('close', resolve));
      }),
    );
    const first = fetch(origin);
    await came.promise;
    const others = [fetch(origin), fetch(origin)];
    const refused = await Promise.race(others);
    expect([refused.status, refused.headers.get('x-fairlead-nack')]).toEqual([503, 'retryable']);
    expect(held).toHaveLength(1);
    held[0]?.end();
    expect((await first).status).toBe(200);
    await vi.waitFor(() => expect(held).toHaveLength(2));
    held[1]?.end();
    expect((await Promise.all(others)).map(({ status }) => status).sort()).toEqual([200, 503]);
  });

  it('tells how loaded it is who asks, unless it is not to', async () => {
    const ask = async (init: GuardInit): Promise<boolean> => {
      const origin = await serve(guarded(init, (_request, response) => response.end()));
      return (await fetch(origin, { headers: { 'x-fairlead-tell': 'load' } })).headers.has('endpoint-load-metrics');
    };
    expect(await ask(plain)).toBe(true);
    expect(await ask({ ...plain, tells: false })).toBe(false);
    expect(await ask({ drain: false, environment: { FAIRLEAD_INBOUND_TELLS: 'off' } })).toBe(false);
  });

  it('lets everybody in if it is not to shed', async () => {
    const init: GuardInit = { ...plain, environment: { FAIRLEAD_INBOUND_SHED_MAX_LIMIT: '1' }, shed: false };
    const held: ServerResponse[] = [];
    const three = Promise.withResolvers<void>();
    const origin = await serve(
      guarded(init, (_request, response) => {
        if (held.push(response) === 3) three.resolve();
        return new Promise<void>((resolve) => void response.once('close', resolve));
      }),
    );
    const all = [fetch(origin), fetch(origin), fetch(origin)];
    await three.promise;
    for (const response of held) response.end();
    expect((await Promise.all(all)).map(({ status }) => status)).toEqual([200, 200, 200]);
  });

  it('can be configured by the environment alone, and refuses what is wrong in it', async () => {
    const environment = { FAIRLEAD_INBOUND_LIMIT: '0.6/m;burst=1', FAIRLEAD_INBOUND_DRAIN: 'off' };
    const origin = await serve(guarded({ environment }, (_request, response) => response.end()));
    expect([(await fetch(origin)).status, (await fetch(origin)).status]).toEqual([200, 429]);
    const wrong = { FAIRLEAD_INBOUND_LIMT: '1/s', FAIRLEAD_INBOUND_MAX_KEYS: 'many' };
    expect(() => guarded({ environment: wrong }, () => {})).toThrow(
      /FAIRLEAD_INBOUND_LIMT[\s\S]*did you mean[\s\S]*many/,
    );
    expect(() => guarded({ ...plain, trustedProxies: true as never, limt: 1 } as never, () => {})).toThrow(
      /limt[\s\S]*limit/,
    );
  });
});

describe.each(['app.use', 'app.fetch'])('a guard for hono without Node, by %s', (door) => {
  it('tells callers apart by the address that it is told, and hands the trace on', async () => {
    const seen: (string | undefined)[] = [];
    const backend = await serve((request, response) => {
      seen.push(request.headers.traceparent as string);
      response.end();
    });
    const client = createClient({ environment: false, services: { backend: [backend] } });
    const app = new Hono<{ Bindings: { ip: string } }>();
    const limit = { perSecond: 0.01, burst: 1 };
    if (door === 'app.use') {
      app.use(forHono.guard({ ...plain, limit, address: (c: { env: { ip: string } }) => c.env.ip }));
    }
    app.get('/', async (c) => c.text(await (await client.fetch('http://backend/')).text()));
    const address = (_request: Request, env: { ip: string }): string => env.ip;
    const fetch = door === 'app.use' ? app.fetch : forHono.guard(app.fetch, { ...plain, limit, address });
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    const ask = async (ip: string): Promise<number> =>
      (await fetch(new Request('http://x/', { headers: { traceparent } }), { ip })).status;
    expect([await ask('192.0.2.1'), await ask('192.0.2.1'), await ask('192.0.2.2')]).toEqual([200, 429, 200]);
    expect(seen.map((each) => each?.slice(0, 35))).toEqual([traceparent.slice(0, 35), traceparent.slice(0, 35)]);
    await client.close();
  });
});

describe('who a caller is', () => {
  it('is the identity of a verified certificate, and an address elsewhere', async () => {
    const seen: FairleadEvent[] = [];
    const limit = { perSecond: 0.01, burst: 1 };
    const listener = forNode.guard((_request, response) => response.end(), {
      ...{ environment: false, drain: false, limit, key: 'identity' as const },
      on: (event) => seen.push(event),
    });
    const tls = { cert: certificate.cert, key: certificate.key, ca: certificate.cert };
    const server = createSecureServer({ ...tls, requestCert: true, rejectUnauthorized: false }, listener);
    servers.push(server.listen(0, '127.0.0.1'));
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const ask = async (client: object): Promise<number | undefined> => {
      const options = { host: '127.0.0.1', port, ca: certificate.cert, agent: false, ...client };
      const [response] = (await once(secureRequest(options).end(), 'response')) as [IncomingMessage];
      response.resume();
      return response.statusCode;
    };
    expect([await ask({}), await ask(tls), await ask(tls), await ask({})]).toEqual([200, 200, 429, 429]);
    const keys = seen.flatMap((event) => (event.type === 'limit.refused' ? [event.key] : []));
    expect(keys).toEqual(['tls:CN=127.0.0.1', '127.0.0.1']);
  });

  it('may be as much of an IPv6 address as is said', async () => {
    const limit = { perSecond: 0.01, burst: 1 };
    const from = (address: string): RequestInit => ({ headers: { 'x-forwarded-for': address } });
    const init: GuardInit = { ...plain, limit, trustedProxies: ['loopback'], ipv6Bits: 48 };
    const origin = await serve(forNode.guard((_request, response) => response.end(), init));
    expect((await fetch(origin, from('2001:db8:1:1::1'))).status).toBe(200);
    expect((await fetch(origin, from('2001:db8:1:2::1'))).status).toBe(429);
    expect((await fetch(origin, from('2001:db8:2:1::1'))).status).toBe(200);
  });
});

it('options in the place of a listener of node:http, as the other frameworks have them, are refused at once', () => {
  expect(() => forNode.guard({ limit: { perSecond: 1 } } as never)).toThrow('guard.listener');
});
