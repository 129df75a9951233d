// Would catch: hops that repeat what others have repeated already, so that a failure at the end of a chain is multiplied by
// every hop above it; work that dies with the request it was to outlive.
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { detached } from '@fairlead/telemetry';
import { afterEach, describe, expect, it } from 'vitest';
import { until } from '../../test/world.js';
import { type Client, createClient } from '../client.js';
import { createServiceGuard } from '../guard.js';

const servers: Server[] = [];
const clients: Client[] = [];
afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.close()));
  for (const server of servers.splice(0)) server.close().closeAllConnections();
});

async function serve(listener: RequestListener, guarded = true): Promise<string> {
  const guard = createServiceGuard({ environment: false, drain: false, onError: () => {} });
  const server = createServer(guarded ? guard.node(listener) : listener);
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function clientOf(origin: string): Client {
  // No breakers: open ones would hide what retries do.
  const next = { from: [origin], breaker: false, health: false, retry: { baseMs: 1 } } as const;
  const client = createClient({ environment: false, services: { next } });
  clients.push(client);
  return client;
}

/** Five services, the last of which is `last`; each of the others calls the next. Gives the one at the top. */
async function chain(last: RequestListener, answer: 'passes on' | 'throws', guarded = true): Promise<Client> {
  let client = clientOf(await serve(last));
  for (let i = 0; i < 4; i++) {
    const below = client;
    const origin = await serve(async (_request, response) => {
      const reply = await below.fetch('http://next/').catch((error) => {
        if (answer === 'throws') throw error;
        return null;
      });
      if (answer === 'throws' && reply !== null && !reply.ok) throw new Error(`got ${reply.status}`);
      response.writeHead(reply?.status ?? 502).end(await reply?.text());
    }, guarded);
    client = clientOf(origin);
  }
  return client;
}

describe('a chain of five services that all retry', () => {
  it.each([
    ['answers 503', 'passes on'],
    ['answers 503', 'throws'],
    ['resets', 'passes on'],
  ] as const)('adds at most a tenth to the load of the last one, which %s (each handler %s)', async (how, answer) => {
    let requests = 0;
    const top = await chain((request, response) => {
      requests++;
      if (how === 'resets') request.socket.resetAndDestroy();
      else response.writeHead(503).end('no');
    }, answer);
    const calls = 300;
    for (let i = 0; i < calls; i += 10) {
      await Promise.all(Array.from({ length: 10 }, () => top.fetch('http://next/').then((reply) => reply.text())));
    }
    expect(requests).toBeGreaterThan(calls);
    // Those that are under way when the budget ends are not taken back: as many as calls at a time, once.
    expect(requests).toBeLessThanOrEqual(calls * 1.1 + 10);
  });

  it('repeats only right above what fails, and tells everybody above', async () => {
    const attempts: (string | undefined)[] = [];
    const top = await chain((request, response) => {
      attempts.push(request.headers['x-envoy-attempt-count'] as string | undefined);
      response.writeHead(503).end('no');
    }, 'passes on');
    const reply = await top.fetch('http://next/');
    expect([reply.status, reply.headers.get('x-fairlead-retry')]).toEqual([503, 'no']);
    expect(attempts).toEqual([undefined, '2', '3']);
  });

  it('gets its answer if the last one recovers in time', async () => {
    let requests = 0;
    const top = await chain((_request, response) => {
      response.writeHead(++requests < 3 ? 503 : 200).end('ok');
    }, 'passes on');
    const reply = await top.fetch('http://next/');
    expect([reply.status, await reply.text(), requests]).toEqual([200, 'ok', 3]);
  });

  it('multiplies without guards, which is what they are for', async () => {
    let requests = 0;
    const last: RequestListener = (_request, response) => {
      requests++;
      response.writeHead(503).end('no');
    };
    const top = await chain(last, 'passes on', false);
    await top.fetch('http://next/');
    expect(requests).toBeGreaterThan(9);
  });
});

describe('detached', () => {
  it('lets work outlive the request that it was begun for', async () => {
    const heard: string[] = [];
    const client = clientOf(
      await serve((request, response) => {
        heard.push(`${request.url} ${request.headers['x-request-timeout-ms']}`);
        response.end('ok');
      }),
    );
    const outcomes: Promise<string>[] = [];
    const begin = (path: string) =>
      client.fetch(`http://next${path}`).then(
        (reply) => reply.text(),
        (error) => error.cause.code as string,
      );
    const origin = await serve((_request, response) => {
      response.end('accepted', () => {
        // The request is over by now, and its deadline has no more to say.
        outcomes.push(begin('/bound'), detached(begin, '/free'));
      });
    });
    const front = createClient({ environment: false, services: { front: { from: [origin], timeoutMs: 2_000 } } });
    clients.push(front);
    expect(await (await front.fetch('http://front/')).text()).toBe('accepted');
    await until(() => outcomes.length === 2, 'both calls begun');
    await Promise.all(outcomes);
    const free = Number(heard.find((each) => each.startsWith('/free'))?.split(' ')[1]);
    expect(free).toBeGreaterThan(5_000);
  });
});
