/**
 * Catches a `client.dispatcher` that does not lead onto the whole stack of a service, that sends where it should not, that
 * outlives its client, and an installed client that does not put back what it found.
 */
import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { explanationOf } from '@fairlead/transport';
import { afterEach, describe, expect, it } from 'vitest';
import { type Client, type ClientInit, createClient } from './client.js';

// Not among this package's dependencies: it is what a user would have.
const undici = createRequire(import.meta.url)('undici') as typeof import('undici');

const servers: Server[] = [];
const clients: Client[] = [];

afterEach(async () => {
  for (const client of clients.splice(0)) {
    const { endpoints } = client.describe().payments ?? { endpoints: [] };
    expect(endpoints.map(({ inFlight }) => inFlight)).toEqual(endpoints.map(() => 0));
    await client.close();
  }
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
function client(init: ClientInit): Client {
  const made = createClient({ environment: false, ...init });
  clients.push(made);
  return made;
}

/** An origin where nothing listens. */
const refusing = 'http://127.0.0.1:1';
const echo: RequestListener = async (request, response) => {
  let body = '';
  for await (const chunk of request) body += chunk;
  response.end(`${request.method} ${request.url} ${body}`);
};

// biome-ignore lint/suspicious/noExplicitAny: whatever an error has
const rejection = (promise: Promise<unknown>): Promise<any> =>
  promise.then(
    () => expect.unreachable(),
    (error) => error,
  );
const request = async (dispatcher: Client['dispatcher'], url: string): Promise<string> =>
  (await undici.request(url, { dispatcher })).body.text();

describe('client.dispatcher', () => {
  it('leads undici and every fetch onto the whole stack', async () => {
    let n = 0;
    const origin = await serve((request, response) => {
      if (n++ % 2 === 0) response.writeHead(503).end();
      else void echo(request, response);
    });
    const { dispatcher, describe } = client({
      services: { payments: { from: [refusing, origin], retry: { baseMs: 1 } } },
    });
    const put = { method: 'PUT', body: 'hello', dispatcher } as const;
    expect(await (await undici.request('http://payments/a', put)).body.text()).toBe('PUT /a hello');
    expect(await (await undici.fetch('http://payments/a', put)).text()).toBe('PUT /a hello');
    expect(await (await fetch('http://payments/a', put as never)).text()).toBe('PUT /a hello');
    expect(describe().payments?.endpoints).toHaveLength(2);
  });

  it('says what was tried, on the error that undici would give', async () => {
    const { dispatcher } = client({ services: { payments: { from: [refusing], attempts: 2, retry: { baseMs: 1 } } } });
    const error = await rejection(undici.request('http://payments/', { dispatcher }));
    expect(error.code).toBe('ECONNREFUSED');
    expect(explanationOf(error)?.message).toMatch(/payments.*attempt 2 of 2/);
    expect(explanationOf(error)?.attempts).toHaveLength(1);
  });

  it('refuses other hosts, or sends to them as ever, as fetch does', async () => {
    const origin = await serve(echo);
    const services = { payments: [origin] };
    const error = await rejection(request(client({ services }).dispatcher, 'http://payment/'));
    expect(error.message).toMatch(/did you mean payments/);
    expect(await request(client({ services, otherHosts: fetch }).dispatcher, `${origin}/b`)).toBe('GET /b ');
  });

  it('is one, and ends with its client, however often that is closed', async () => {
    const made = client({ services: { payments: [await serve(echo)] } });
    expect(made.dispatcher).toBe(made.dispatcher);
    expect(await request(made.dispatcher, 'http://payments/')).toBe('GET / ');
    await made.close();
    await made.close();
    expect((await rejection(request(made.dispatcher, 'http://payments/'))).code).toMatch(
      /^UND_ERR_(CLOSED|DESTROYED)$/,
    );
  });
});

describe('installGlobal', () => {
  const places = (): unknown[] => {
    const globals = globalThis as unknown as Record<symbol, unknown>;
    return [globals[Symbol.for('undici.globalDispatcher.1')], globals[Symbol.for('undici.globalDispatcher.2')], fetch];
  };

  it('serves fetch, copies of it and undici; leaves other hosts alone; and puts back what it found', async () => {
    const builtIn = fetch;
    const before = places();
    const origin = await serve(echo);
    const restore = client({ services: { payments: [origin] } }).installGlobal();
    try {
      expect(fetch).not.toBe(builtIn);
      for (const any of [fetch, builtIn, undici.fetch as unknown as typeof fetch]) {
        expect(await (await any('http://payments/a')).text()).toBe('GET /a ');
        expect(await (await any(`${origin}/b`)).text()).toBe('GET /b ');
      }
      expect(await (await undici.request('http://payments/c')).body.text()).toBe('GET /c ');
      expect(await (await undici.request(`${origin}/d`)).body.text()).toBe('GET /d ');
    } finally {
      restore();
    }
    expect(places().map((each, n) => each === before[n])).toEqual([true, true, true]);
  });

  it('of two clients can be undone in any order', async () => {
    const before = places();
    const globals = globalThis as unknown as Record<symbol, unknown>;
    const place = Symbol.for('undici.globalDispatcher.2');
    const outside = (): Promise<never> => Promise.reject(new Error('outside'));
    const dispatch = (_: unknown, handler: { onResponseError(controller: null, error: Error): void }): boolean => {
      handler.onResponseError(null, new Error('outside'));
      return true;
    };
    try {
      globals[place] = { dispatch };
      globalThis.fetch = outside;
      const restoreOne = client({ services: { payments: [await serve(echo)] } }).installGlobal();
      const restoreTwo = client({ services: { ledger: [await serve(echo)] } }).installGlobal();
      expect(await (await undici.request('http://payments/a')).body.text()).toBe('GET /a ');
      expect(await (await fetch('http://ledger/b')).text()).toBe('GET /b ');
      restoreOne();
      restoreTwo();
      for (const host of ['payments', 'ledger']) {
        expect((await rejection(undici.request(`http://${host}/`))).message).toBe('outside');
        expect((await rejection(fetch(`http://${host}/`))).message).toBe('outside');
      }
    } finally {
      globalThis.fetch = before[2] as typeof fetch;
      [globals[Symbol.for('undici.globalDispatcher.1')], globals[place]] = before;
    }
  });
});
