// Catches: a caller who gives up and is not heard in one of the phases of a call, is told something else than the reason of
// the signal, or leaves a listener, load, a connection or a retry behind. Each phase with ten thousand callers at once.
import { getEventListeners } from 'node:events';
import type { ServerResponse } from 'node:http';
import type { FairleadEvent, Resolver } from '@fairlead/core';
import { describe, expect, it } from 'vitest';
import { CountingClock } from '../../test/counting-clock.js';
import { attempts, get, load, loads, signalAfter, type Told, tally, until, worlds } from '../../test/world.js';

const world = worlds();
const CALLERS = 10_000;
/** Connections of which both ends are in this process: a process may have so many files open. */
const CONNECTIONS = 4_000;

interface Phase {
  readonly name: string;
  readonly make: () => Promise<Told>;
  /** Whether all callers have come as far as the phase says. */
  readonly there: (client: Told) => boolean;
  /** Attempts that the phase costs each caller. */
  readonly attempts: number;
}

const inFlight = (client: Told): number => loads(client).reduce((sum, each) => sum + each, 0);
const count = (events: readonly FairleadEvent[], type: FairleadEvent['type']): number =>
  events.reduce((sum, event) => sum + (event.type === type ? 1 : 0), 0);
const patient = { timeoutMs: false, attemptTimeoutMs: false, breaker: false, budget: false } as const;
let arrived = 0;
const never: Resolver = { name: 'never', watch: () => {} };

const phases: readonly Phase[] = [
  {
    name: 'discovering',
    make: async () => world.client({ services: { svc: { from: never, ...patient } } }),
    there: () => true,
    attempts: 0,
  },
  {
    name: 'queued behind the only connection',
    make: async () => {
      const site = await world.raw(() => arrived++);
      return world.service([site.origin], { ...patient, transport: { connections: 1 } });
    },
    there: (client) => inFlight(client) === CALLERS && arrived === 1,
    attempts: 1,
  },
  {
    name: 'connecting',
    make: async () => {
      // Accepts, and never says a word of TLS.
      const site = await world.raw(() => {});
      const origin = site.origin.replace('http:', 'https:');
      return world.service([origin], { ...patient, transport: { connections: 50, connectTimeoutMs: 60_000 } });
    },
    there: (client) => inFlight(client) === CALLERS,
    attempts: 1,
  },
  {
    name: 'waiting for the head',
    make: async () => {
      const site = await world.raw(() => arrived++);
      return world.service([site.origin], { ...patient, transport: { connections: CONNECTIONS } });
    },
    there: (client) => inFlight(client) === CALLERS && arrived === CONNECTIONS,
    attempts: 1,
  },
  {
    name: 'waiting for another attempt',
    make: async () => {
      const site = await world.http(
        (_request, response) => void response.writeHead(503, { 'retry-after': '60' }).end(),
      );
      return world.service([site.origin], { ...patient, retry: { maxRetryAfterMs: 120_000 } });
    },
    there: ({ events }) => count(events, 'retry.scheduled') === CALLERS,
    attempts: 1,
  },
  {
    name: 'in the middle of the body',
    make: async () => {
      const site = await world.http((_request, response) => {
        response.writeHead(200, { 'content-length': '1000000' }).write('begun');
        arrived++;
      });
      return world.service([site.origin], { ...patient, transport: { connections: CONNECTIONS } });
    },
    there: ({ events }) => arrived === CONNECTIONS && count(events, 'call.ended') === CONNECTIONS,
    attempts: 1,
  },
];

describe.each(phases)('a caller who gives up while $name', ({ make, there, attempts: cost }) => {
  it('is told the reason, and leaves nothing', async () => {
    arrived = 0;
    const client = await make();
    // Half of them share a signal, the others have one each.
    const shared = new AbortController();
    const controllers = Array.from({ length: CALLERS }, (_, i) => (i % 2 === 0 ? shared : new AbortController()));
    const reason = { gone: 'fishing' };
    const calls = controllers.map(({ signal }) =>
      client.fetch('http://svc/', { signal }).then((reply) => reply.text()),
    );
    const ends = Promise.allSettled(calls);
    await until(() => there(client), 'every caller in the phase');
    for (const controller of controllers) controller.abort(reason);
    for (const end of await ends) {
      if (end.status !== 'rejected' || end.reason !== reason)
        throw new Error(`ended otherwise: ${JSON.stringify(end)}`);
    }
    for (const { signal } of controllers) expect(getEventListeners(signal, 'abort')).toEqual([]);
    expect(inFlight(client)).toBe(0);
    expect(attempts(client)).toBe(CALLERS * cost);
  });
});

describe('a caller who gives up', () => {
  it('before the call begins sends nothing', async () => {
    const site = await world.http((_request, response) => void response.end('ok'));
    const client = world.service([site.origin]);
    const signal = AbortSignal.abort('too late');
    for (let i = 0; i < 10; i++) await expect(client.fetch('http://svc/', { signal })).rejects.toBe('too late');
    expect([site.accepted, attempts(client)]).toEqual([0, 0]);
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });

  it('after the end is not heard, and was not listened for', async () => {
    const site = await world.http((_request, response) => void response.end('ok'));
    const client = world.service([site.origin]);
    const controller = new AbortController();
    const reply = await client.fetch('http://svc/', { signal: controller.signal });
    expect(await reply.text()).toBe('ok');
    expect(getEventListeners(controller.signal, 'abort')).toEqual([]);
    controller.abort();
  });

  it('is nobody else: the others on the same endpoint get their answers, and the endpoint keeps its good name', async () => {
    const held: ServerResponse[] = [];
    let open = false;
    const site = await world.http((_request, response) => void (open ? response.end('ok') : held.push(response)));
    const client = world.service([site.origin, site.origin.replace('127.0.0.1', '127.0.0.2')], {
      transport: { connections: 8 },
    });
    // Only the first of the two is there: the other one is refused, tried once, and left alone. Of those who give up, some
    // are on a connection, the others are queued among the rest.
    const controllers = Array.from({ length: 64 }, () => new AbortController());
    const give = ({ signal }: AbortController): Promise<Response> => client.fetch('http://svc/', { signal });
    const early = controllers.slice(0, 32).map(give);
    const others = load(client.fetch, 64, 64);
    const gone = Promise.allSettled([...early, ...controllers.slice(32).map(give)]);
    await until(() => held.length === 8, 'all connections taken');
    for (const controller of controllers) controller.abort();
    open = true;
    for (const response of held) response.end('ok');
    expect(tally(await others)).toEqual({ 200: 64 });
    for (const end of await gone) if (end.status === 'fulfilled') await end.value.text();
    expect(client.describe().svc?.endpoints[0]?.health).toBe('healthy');
    expect(client.events.filter(({ type }) => type === 'breaker.opened')).toEqual([]);
  });

  it('by AbortSignal.timeout is told TimeoutError, as with the built-in fetch', async () => {
    const site = await world.raw(() => {});
    const client = world.service([site.origin]);
    await expect(client.fetch('http://svc/', { signal: signalAfter(20) })).rejects.toMatchObject({
      name: 'TimeoutError',
    });
  });

  it('during a retry stops it: nothing is sent afterwards', async () => {
    const site = await world.http((_request, response) => void response.writeHead(503).end());
    const clock = new CountingClock();
    const client = world.client({
      clock,
      services: { svc: { from: [site.origin], retry: { baseMs: 20, maxMs: 20 }, breaker: false, budget: false } },
    });
    const controller = new AbortController();
    const { signal } = controller;
    const calls = Array.from({ length: 200 }, () => get(client.fetch, { signal }));
    await until(() => site.requests > 200, 'retries');
    controller.abort('enough');
    for (const got of await Promise.all(calls)) if ('error' in got) expect(got.error).toBe('enough');
    // Nothing is on its way, and no timer of theirs is armed that could send anything later.
    await until(() => inFlight(client) === 0, 'nothing in flight');
    expect(clock.armed).toEqual([]);
    const sent = attempts(client);
    expect(site.requests).toBeLessThanOrEqual(sent);
    expect(sent).toBeLessThan(600);
  });
});
