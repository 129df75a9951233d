// Catches: a stack put together in the wrong order or with a part missing, settings that do not reach their layer, an
// endpoint that fails and is seen by the caller, bad input that is not refused clearly, a client that leaves sockets behind.
import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createEndpoint, type FairleadEvent, headerOf, type Middleware } from '@fairlead/core';
import { kubernetes, parseTarget } from '@fairlead/kubernetes';
import { runWith } from '@fairlead/telemetry';
import { createTransport } from '@fairlead/transport';
import { afterEach, describe, expect, it } from 'vitest';
import { type Client, type ClientInit, createClient } from './client.js';

const open: { servers: Server[]; clients: Client[] } = { servers: [], clients: [] };

afterEach(async () => {
  await Promise.all(open.clients.splice(0).map((client) => client.close()));
  for (const server of open.servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener).listen(0, '127.0.0.1');
  open.servers.push(server);
  await once(server, 'listening');
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function client(init: ClientInit): Client {
  const made = createClient({ environment: false, ...init });
  open.clients.push(made);
  return made;
}

/** An origin where nothing listens. */
const refusing = 'http://127.0.0.1:1';
const echo: RequestListener = (request, response) => {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    const { method, url, headers, rawHeaders } = request;
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ method, url, headers, rawHeaders, body: Buffer.concat(chunks).toString() }));
  });
};
interface Echo {
  method: string;
  url: string;
  headers: Record<string, string>;
  rawHeaders: string[];
  body: string;
}
const json = async (reply: Promise<Response>): Promise<Echo> => (await (await reply).json()) as Echo;

describe('a client', () => {
  it('calls a service by its name, with path, query, headers and body', async () => {
    const { fetch } = client({ services: { payments: [await serve(echo)] } });
    const seen = await json(
      fetch('http://payments/charges/42?x=1', { method: 'POST', body: 'hello', headers: { 'x-a': 'b' } }),
    );
    expect(seen).toMatchObject({ method: 'POST', url: '/charges/42?x=1', body: 'hello', headers: { 'x-a': 'b' } });
  });

  it('does not let the caller see an endpoint that refuses connections, whatever the method', async () => {
    const { fetch, describe: tell } = client({ services: { payments: [refusing, await serve(echo)] } });
    for (let i = 0; i < 20; i++) {
      const reply = await fetch('http://payments/', { method: i % 2 === 0 ? 'GET' : 'POST' });
      expect(reply.status).toBe(200);
      await reply.text();
    }
    const dead = tell().payments?.endpoints.find(({ origin }) => origin === refusing);
    expect(dead?.health).toBe('ejected');
  });

  it('repeats a 503 on another endpoint, and tells what it did', async () => {
    const events: FairleadEvent[] = [];
    const broken = await serve((_request, response) => void response.writeHead(503).end());
    const { fetch } = client({
      on: (event) => events.push(event),
      // In turn: of two by chance, one in 256 would never pick the broken one.
      services: { payments: { from: [broken, await serve(echo)], picker: 'roundRobin' } },
    });
    for (let i = 0; i < 8; i++) expect((await fetch('http://payments/')).status).toBe(200);
    const calls = events.filter((event) => event.type === 'call.ended');
    expect(calls).toHaveLength(8);
    expect(calls.some(({ attempts }) => attempts === 2)).toBe(true);
    expect(events.some(({ type }) => type === 'retry.scheduled')).toBe(true);
    expect(events.filter(({ type }) => type === 'attempt.ended').length).toBeGreaterThan(8);
  });

  it('hands a 503 back when every attempt got one: statuses are no errors', async () => {
    const { fetch } = client({
      services: { payments: [await serve((_q, response) => void response.writeHead(503).end('no'))] },
    });
    const reply = await fetch('http://payments/');
    expect([reply.status, await reply.text()]).toEqual([503, 'no']);
  });

  it('gives up a hanging endpoint after the attempt timeout, and a call after its own', async () => {
    const hanging = await serve(() => {});
    const { fetch } = client({
      services: {
        one: { from: [hanging, await serve(echo)], attemptTimeoutMs: 50, timeoutMs: 5_000 },
        all: { from: [hanging], attemptTimeoutMs: false, timeoutMs: 60 },
      },
    });
    for (let i = 0; i < 4; i++) expect((await fetch('http://one/')).status).toBe(200);
    const error = await fetch('http://all/').catch((reason) => reason);
    expect(error).toBeInstanceOf(TypeError);
    expect(error.cause).toMatchObject({ code: 'ERR_TIMEOUT', of: 'call', ms: 60, service: 'all' });
  });

  it('opens the breaker of a service that is down, refuses fast, and serves the fallback if there is one', async () => {
    const events: FairleadEvent[] = [];
    const broken = await serve((_request, response) => void response.writeHead(500).end());
    const { fetch } = client({
      on: (event) => events.push(event),
      services: {
        bare: { from: [broken], attempts: 1, breaker: { minCalls: 5 } },
        soft: { from: [refusing], attempts: 1, fallback: { to: { status: 203, body: 'stale' } } },
      },
    });
    for (let i = 0; i < 5; i++) expect((await fetch('http://bare/')).status).toBe(500);
    const error = await fetch('http://bare/').catch((reason) => reason);
    expect(error).toBeInstanceOf(TypeError);
    expect(error.cause).toMatchObject({ code: 'ERR_REJECTED', by: 'breaker', service: 'bare' });
    expect(events.some(({ type }) => type === 'breaker.opened')).toBe(true);
    const reply = await fetch('http://soft/');
    expect([reply.status, await reply.text()]).toEqual([203, 'stale']);
  });

  it('limits its own calls', async () => {
    const { fetch } = client({
      services: { payments: { from: [await serve(echo)], limit: { perSecond: 0.001, burst: 2 } } },
    });
    await (await fetch('http://payments/')).text();
    await (await fetch('http://payments/')).text();
    const error = await fetch('http://payments/').catch((reason) => reason);
    expect(error.cause).toMatchObject({ code: 'ERR_REJECTED', by: 'limit' });
    expect(error.cause.retryAfterMs).toBeGreaterThan(1_000);
  });

  it('hands on what an inbound request brought: trace, baggage, and what is left of its time', async () => {
    const { fetch } = client({ services: { payments: [await serve(echo)] } });
    const trace = { traceId: '0af7651916cd43dd8448eb211c80319c', parentId: 'b7ad6b7169203331', flags: 1, state: 'a=1' };
    const seen = await runWith({ scope: null, trace, baggage: 'tenant=acme' }, () => json(fetch('http://payments/')));
    expect(seen.headers.traceparent).toMatch(
      /^00-0af7651916cd43dd8448eb211c80319c-(?!b7ad6b7169203331)[0-9a-f]{16}-01$/,
    );
    expect(seen.headers).toMatchObject({ tracestate: 'a=1', baggage: 'tenant=acme' });
    // That of the attempt: nobody waits longer for this answer.
    expect(Number(seen.headers['x-request-timeout-ms'])).toBeGreaterThan(9_000);
    expect(Number(seen.headers['x-request-timeout-ms'])).toBeLessThanOrEqual(10_000);
    expect(seen.rawHeaders.filter((name) => name.toLowerCase() === 'traceparent')).toHaveLength(1);
  });

  it('restarts the trace when the caller hands in an invalid traceparent, and never sends two', async () => {
    const { fetch } = client({ services: { payments: [await serve(echo)] } });
    const seen = await json(fetch('http://payments/', { headers: { traceparent: '00-zz-zz-01' } }));
    const sent = seen.rawHeaders.filter((_, i) => seen.rawHeaders[i - 1]?.toLowerCase() === 'traceparent');
    expect(sent).toHaveLength(1);
    expect(sent[0]).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/);
  });

  it('ignores a malformed Retry-After', async () => {
    let requests = 0;
    const origin = await serve((_request, response) => {
      response.writeHead(requests++ === 0 ? 503 : 200, { 'retry-after': '-1' }).end();
    });
    const { fetch } = client({ services: { payments: [origin] } });
    expect((await fetch('http://payments/')).status).toBe(200);
  });

  it('does not repeat a body that can be read once and is longer than what is remembered', async () => {
    let requests = 0;
    const origin = await serve((request, response) => {
      requests++;
      request.resume().on('end', () => response.writeHead(503).end());
    });
    const { fetch } = client({ services: { payments: [origin] } });
    const body = new Blob(['once'.repeat(20_000)]).stream();
    const reply = await fetch('http://payments/', { method: 'PUT', body, duplex: 'half' } as RequestInit);
    expect([reply.status, requests]).toEqual([503, 1]);
  });

  it('runs layers of the user, per call and per attempt', async () => {
    const seen: string[] = [];
    const note =
      (name: string): Middleware =>
      (call, next) => {
        seen.push(`${name} ${call.endpoint === null ? 'before' : 'after'} the pick, ${headerOf(call.headers, 'x-a')}`);
        return next(call);
      };
    const layers = { call: [note('call')], attempt: [note('attempt')] };
    const { fetch } = client({ services: { payments: { from: [await serve(echo)], layers } } });
    await (await fetch('http://payments/', { headers: { 'X-A': 'b' } })).text();
    expect(seen).toEqual(['call before the pick, b', 'attempt after the pick, b']);
  });

  it('leaves the paths of a service to the service: none can lead elsewhere', async () => {
    const origin = await serve(echo);
    const { fetch } = client({ services: { payments: [origin] } });
    for (const path of ['//evil.test/x', '/\\evil.test', '@evil.test/', '/\t/evil.test', '/..//evil.test']) {
      await expect(fetch(`http://payments${path}`), path).rejects.toThrow(TypeError);
    }
    expect((await json(fetch('http://payments/@evil.test/'))).url).toBe('/@evil.test/');
  });
});

describe('bad input', () => {
  it('is told all at once, by name, value and what was expected, and nothing is started', () => {
    const given = {
      services: { payments: { from: [refusing], atempts: 3, timeoutMs: 'soon' }, empty: { attempts: 2 }, none: [] },
    };
    const error = (() => {
      try {
        createClient({ environment: { FAIRLEAD_TIMEOUT: '5 sec', FAIRLEAD_PICKR: 'p2c' }, ...given } as never);
      } catch (reason) {
        return reason as Error;
      }
      throw new Error('not refused');
    })();
    expect(error.name).toBe('ConfigError');
    for (const part of [
      'atempts',
      'did you mean attempts',
      '"soon"',
      'services.empty',
      'services.none',
      '5 sec',
      'FAIRLEAD_PICKR',
    ]) {
      expect(error.message).toContain(part);
    }
  });

  it('is told of what is no fetch, when the client is made and not with the first other host', () => {
    expect(() => createClient({ environment: false, otherHosts: {} as never })).toThrow('client.otherHosts');
  });

  it('names the host that is no service, and the service that was meant', async () => {
    const { fetch } = client({ services: { payments: [refusing] } });
    await expect(fetch('http://paymets/')).rejects.toThrow(/paymets is not a service.*did you mean payments/);
    await expect(fetch('/charges')).rejects.toThrow(TypeError);
  });
});

describe('describe()', () => {
  it('shows no credentials of a source', () => {
    const made = createClient({
      environment: false,
      services: { payments: 'http-sd+http://127.0.0.1:1/targets?token=hunter3' },
    });
    open.clients.push(made);
    expect(JSON.stringify(made.describe())).not.toMatch(/hunter/);
  });

  it('lists the layers in the order of docs/order.md, the endpoints, and who said what', async () => {
    const origin = await serve(echo);
    const made = createClient({
      on: () => {},
      environment: { FAIRLEAD_ATTEMPT_TIMEOUT: '1s' },
      services: {
        payments: { from: [origin], timeoutMs: 2_000, limit: { perSecond: 100, burst: 10 }, fallback: { to: {} } },
      },
    });
    open.clients.push(made);
    await (await made.fetch('http://payments/')).text();
    const { layers, endpoints, settings, state } = made.describe().payments as NonNullable<
      ReturnType<typeof made.describe>[string]
    >;
    expect(layers).toEqual([
      'trace',
      'observe',
      'fallback',
      'deadline',
      'tokenBucket',
      'breaker',
      'retry',
      'attemptTimeout',
      'balance',
      'propagate',
      'observeAttempt',
      'transport',
    ]);
    expect(state).toBe('ready');
    expect(endpoints).toMatchObject([{ origin, inFlight: 0, health: 'healthy', weight: 1 }]);
    expect(settings.timeoutMs).toEqual({ value: '2s', from: 'code' });
    expect(settings.attemptTimeoutMs).toEqual({ value: '1s', from: 'FAIRLEAD_ATTEMPT_TIMEOUT' });
    expect(settings.attempts).toEqual({ value: '3', from: 'default' });
  });
});

describe('close()', () => {
  it('finishes what is going on, refuses what comes after, and leaves no connection', async () => {
    let answer = (): void => {};
    const asked = Promise.withResolvers<void>();
    const gone: Promise<unknown>[] = [];
    const origin = await serve((request, response) => {
      gone.push(once(request.socket, 'close'));
      answer = () => response.end('late');
      asked.resolve();
    });
    const made = createClient({ environment: false, services: { payments: [origin] } });
    const pending = made.fetch('http://payments/').then((reply) => reply.text());
    await asked.promise;
    const closing = made.close();
    answer();
    expect(await pending).toBe('late');
    await closing;
    await expect(made.fetch('http://payments/')).rejects.toThrow(TypeError);
    // The other side is told; it may take it a moment to hear it.
    await Promise.all(gone);
  });
});

describe('a service in Kubernetes', () => {
  it('is found through the API server, and its endpoints are called', async () => {
    const origin = new URL(await serve(echo));
    const asked: string[] = [];
    const api = await serve((request, response) => {
      asked.push(`${request.url} ${request.headers.authorization}`);
      response.setHeader('content-type', 'application/json');
      if (request.url?.includes('sendInitialEvents')) return void response.writeHead(422).end();
      if (request.url?.includes('watch=true')) return void response.write('');
      const slice = {
        metadata: { name: 'payments-1', resourceVersion: '7', labels: { 'kubernetes.io/service-name': 'payments' } },
        addressType: 'IPv4',
        endpoints: [{ addresses: [origin.hostname], conditions: { ready: true }, zone: 'a' }],
        ports: [{ name: 'http', port: Number(origin.port), protocol: 'TCP' }],
      };
      response.end(JSON.stringify({ kind: 'EndpointSliceList', metadata: { resourceVersion: '7' }, items: [slice] }));
    });
    const { hostname, port } = new URL(api);
    const resolver = kubernetes({
      ...parseTarget('kubernetes://payments.prod:http'),
      access: {
        server: createEndpoint(`http://${hostname}:${port}`),
        ca: null,
        namespace: 'prod',
        token: () => 'secret',
      },
      handler: createTransport().handler,
    });
    const made = client({ services: { payments: { from: resolver } } });
    expect((await json(made.fetch('http://payments/charges/1'))).url).toBe('/charges/1');
    expect(made.describe().payments?.endpoints).toMatchObject([{ origin: origin.origin, zone: 'a' }]);
    expect(asked[1]).toMatch(/^\/apis\/discovery.k8s.io\/v1\/namespaces\/prod\/endpointslices\?.* Bearer secret$/);
  });

  it('is refused outside of a cluster, with the reason', () => {
    const services = { payments: 'kubernetes://payments.prod:http' };
    expect(() => createClient({ environment: false, services })).toThrow(/KUBERNETES_SERVICE_HOST/);
  });
});
