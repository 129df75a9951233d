/**
 * Would catch: an application that changes the import and then tells its clients something else, counts something else, or
 * calls its own functions otherwise than with express-rate-limit itself, which runs beside ours here.
 */
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { VirtualClock } from '@fairlead/testing';
import express from 'express';
import * as theirs from 'express-rate-limit';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import * as ours from './express-rate-limit.js';
import { 'module.exports' as given } from './express-rate-limit.js';

type Library = { rateLimit: (options: never) => express.RequestHandler };
const libraries = { theirs, ours } as unknown as Record<'theirs' | 'ours', Library>;
const servers = new Set<Server>();

interface Step {
  readonly path?: string;
  readonly headers?: Record<string, string>;
  /** Time that passes before it, in ms. */
  readonly afterMs?: number;
}
interface Scenario {
  readonly name: string;
  /** Makes the options; `log` takes down what was called. */
  options(log: (entry: unknown) => void): Record<string, unknown>;
  readonly steps: readonly Step[];
}

const told = /^(ratelimit|x-ratelimit|retry-after|content-type)/;

async function listen(app: express.Express): Promise<string> {
  const server = createServer(app).listen(0, '127.0.0.1');
  servers.add(server);
  await once(server, 'listening');
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** What a client and the application see of a scenario. */
async function run(library: Library, { options, steps }: Scenario): Promise<unknown[]> {
  let now = 1_800_000_000_250;
  vi.setSystemTime(now);
  const log: unknown[] = [];
  const app = express();
  app.set('env', 'test');
  app.use(library.rateLimit(options((entry) => log.push(entry)) as never));
  app.use((request, response) => {
    const { key, ...rest } = ((request as unknown as Record<string, unknown>).rateLimit ?? {}) as { key?: string };
    log.push({ key, ...rest });
    response.status(Number(request.query.status ?? 200)).send('handled');
  });
  app.use(((error, _request, response, _next) => {
    response.status(500).send(String(error));
  }) satisfies express.ErrorRequestHandler);
  const origin = await listen(app);
  for (const { path = '/', headers = {}, afterMs = 0 } of steps) {
    now += afterMs;
    vi.setSystemTime(now);
    const answer = await fetch(origin + path, { headers });
    const fields = [...answer.headers].filter(([name]) => told.test(name));
    log.push([answer.status, fields, await answer.text()]);
    // What hangs on the end of the response has been done by then.
    await new Promise<void>((resolve) => queueMicrotask(resolve));
  }
  return log;
}

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['Date'] });
});
afterEach(async () => {
  vi.useRealTimers();
  for (const server of servers) {
    server.closeAllConnections();
    server.close();
  }
  servers.clear();
});

const times = (count: number, step: Step = {}): Step[] => Array.from({ length: count }, () => step);
const key = (request: express.Request): string => String(request.query.key ?? 'none');

const scenarios: Scenario[] = [
  { name: 'nothing but the defaults', options: () => ({}), steps: times(7) },
  ...[true, 'draft-6', 'draft-7', 'draft-8'].map((standardHeaders) => ({
    name: `standardHeaders ${standardHeaders}`,
    options: () => ({ limit: 2, windowMs: 90_000, standardHeaders, legacyHeaders: false }),
    steps: [...times(3), { afterMs: 1_500 }, { afterMs: 100_000 }],
  })),
  {
    name: 'both kinds of headers, or none',
    options: () => ({ limit: 1, standardHeaders: 'draft-7', legacyHeaders: true }),
    steps: times(2),
  },
  { name: 'no headers', options: () => ({ limit: 1, legacyHeaders: false }), steps: times(2) },
  { name: 'the older names', options: () => ({ max: 1, headers: false }), steps: times(2) },
  ...[1_000, 60_000, 900_000, 3_600_000, 7_200_000, 86_400_000, 172_800_000].map((windowMs) => ({
    name: `a policy of ${windowMs} ms without a name`,
    options: () => ({ limit: 3, windowMs, standardHeaders: 'draft-8' }),
    steps: times(1),
  })),
  {
    name: 'a policy with a name, a retryAfter, a status and a message',
    options: () => ({
      limit: 1,
      standardHeaders: 'draft-8',
      identifier: async () => 'mine',
      retryAfter: () => 17,
      statusCode: 420,
      message: { error: 'calm' },
    }),
    steps: times(2),
  },
  {
    name: 'windows that end',
    options: () => ({ limit: 2, windowMs: 10_000, keyGenerator: key }),
    steps: [
      ...times(3, { path: '/?key=a' }),
      { path: '/?key=b', afterMs: 5_000 },
      { path: '/?key=a', afterMs: 4_999 },
      { path: '/?key=a', afterMs: 1 },
      { path: '/?key=b' },
      { path: '/?key=b', afterMs: 5_001 },
    ],
  },
  {
    name: 'functions for everything',
    options: (log) => ({
      limit: async (request: express.Request) => Number(request.query.limit ?? 1),
      keyGenerator: async (request: express.Request) => key(request),
      skip: (request: express.Request) => request.path === '/health',
      message: async (request: express.Request) => `no more ${request.path}`,
      handler: undefined,
      requestPropertyName: 'quota',
      requestWasSuccessful: () => log('asked'),
    }),
    steps: [
      ...times(2, { path: '/a?key=a' }),
      ...times(2, { path: '/health' }),
      ...times(3, { path: '/b?key=b&limit=2' }),
    ],
  },
  {
    name: 'a handler',
    options: (log) => ({
      limit: 1,
      handler: (
        request: express.Request,
        response: express.Response,
        _next: unknown,
        used: Record<string, unknown>,
      ) => {
        log([request.path, used.limit, used.windowMs, used.statusCode]);
        response.status(503).send('busy');
      },
    }),
    steps: times(2),
  },
  {
    name: 'a handler that lets pass',
    options: () => ({ limit: 1, handler: (_request: unknown, _response: unknown, next: () => void) => next() }),
    steps: times(3),
  },
  ...[
    { skipFailedRequests: true },
    { skipSuccessfulRequests: true },
    { skipFailedRequests: true, skipSuccessfulRequests: true },
    {
      skipSuccessfulRequests: true,
      requestWasSuccessful: (_: unknown, { statusCode }: express.Response) => statusCode === 404,
    },
  ].map((options) => ({
    name: `taking back ${JSON.stringify(options)}`,
    options: () => ({ limit: 2, ...options }),
    steps: [200, 500, 404, 200, 302, 500, 404, 404, 200, 200].map((status) => ({ path: `/?status=${status}` })),
  })),
  {
    name: 'addresses behind a trusted proxy',
    options: () => ({ limit: 1, validate: false }),
    steps: times(2, { headers: { 'x-forwarded-for': '203.0.113.7' } }),
  },
  {
    name: 'a store that fails',
    options: () => ({ store: failing(), validate: false }),
    steps: times(1),
  },
  {
    name: 'a store that fails, and requests that pass',
    options: (log) => ({
      store: failing(),
      validate: false,
      passOnStoreError: true,
      logger: { error: (error: Error) => log(error.message), warn() {} },
    }),
    steps: times(1),
  },
  {
    name: 'a store without a time',
    options: () => ({
      limit: 1,
      standardHeaders: 'draft-6',
      validate: false,
      store: { ...failing(), increment: async () => ({ totalHits: 2, resetTime: undefined }) },
    }),
    steps: times(1),
  },
];

function failing() {
  const increment = async (): Promise<never> => {
    throw new Error('no connection');
  };
  return { increment, decrement() {}, resetKey() {} };
}

describe('beside express-rate-limit', () => {
  it.each(scenarios)('$name', async (scenario) => {
    expect(await run(libraries.ours, scenario)).toEqual(await run(libraries.theirs, scenario));
  });

  it('tells addresses apart in the same way', () => {
    const group = fc.integer({ min: 0, max: 0xffff }).map((value) => value.toString(16));
    const address = fc.oneof(
      fc.ipV4(),
      // But for the form that was given up in 2006, however its zeros are written.
      fc.ipV6().filter((ip) => !/^[0:]*:\d+\.\d+\.\d+\.\d+$/.test(ip)),
      fc.array(group, { minLength: 8, maxLength: 8 }).map((groups) => groups.join(':')),
      fc.ipV4().map((ip) => `::ffff:${ip}`),
    );
    const subnet = fc.option(fc.integer({ min: 32, max: 64 }), { nil: false as const });
    fc.assert(
      fc.property(address, subnet, (ip, bits) => {
        expect(ours.ipKeyGenerator(ip, bits)).toBe(theirs.ipKeyGenerator(ip, bits));
      }),
      { numRuns: 500, examples: [['0:ffff::1.2.3.4', false]] },
    );
    expect(ours.ipKeyGenerator('not an address')).toBe(theirs.ipKeyGenerator('not an address'));
  });

  it('forgets a key, and tells what one has used', async () => {
    for (const library of [theirs, ours]) {
      vi.setSystemTime(1_800_000_000_000);
      const limit = library.rateLimit({ limit: 1, keyGenerator: () => 'me' } as never);
      const app = express();
      app.use(limit as express.RequestHandler, (_request, response) => void response.send('ok'));
      const origin = await listen(app);
      const statuses: unknown[] = [];
      const get = async (): Promise<void> => void statuses.push((await fetch(origin)).status);
      await get();
      await get();
      expect(await limit.getKey('me')).toMatchObject({ totalHits: 2, resetTime: new Date(1_800_000_060_000) });
      expect(await limit.getKey('you')).toBeUndefined();
      limit.resetKey('me');
      await get();
      expect(statuses).toEqual([200, 429, 200]);
    }
  });
});

describe('where it differs', () => {
  it('warns once of what makes a limit useless, and is silent where told', async () => {
    const warned: string[] = [];
    const logger = { error: (error: unknown) => void warned.push((error as Error).message), warn() {} };
    const app = express();
    app.set('trust proxy', true);
    app.use(ours.rateLimit({ logger, limmit: 1 } as never) as express.RequestHandler);
    app.use(ours.rateLimit({ logger, validate: { trustProxy: false } }) as express.RequestHandler);
    app.use((_request, response) => void response.send('ok'));
    const origin = await listen(app);
    for (let i = 0; i < 3; i++) await fetch(origin);
    expect(warned).toEqual([expect.stringContaining('limmit'), expect.stringContaining('"trust proxy" is true')]);
  });

  it('wants a store that is one', () => {
    expect(() => ours.rateLimit({ store: { incr() {} } } as never)).toThrow(/increment, decrement and resetKey/);
  });

  it('counts a million callers in bounded memory, and frees none by that', () => {
    const clock = new VirtualClock();
    const store = new ours.MemoryStore(1_000, clock);
    store.init({ windowMs: 60_000 });
    for (let i = 0; i < 10; i++) store.increment('attacker');
    for (let i = 0; i < 1_000_000; i++) store.increment(`name-${i}`);
    expect(store.size).toBe(1_000);
    expect(store.increment('attacker').totalHits).toBe(11);
    expect(store.increment('one more').totalHits).toBeGreaterThan(900_000);
  });

  it('makes room by windows that have ended', async () => {
    const clock = new VirtualClock();
    const store = new ours.MemoryStore(2, clock);
    store.init({ windowMs: 1_000 });
    expect(['a', 'b', 'c', 'd'].map((name) => store.increment(name).totalHits)).toEqual([1, 1, 1, 2]);
    await clock.advance(1_000);
    expect([store.get('a'), store.increment('a').totalHits, store.increment('e').totalHits]).toEqual([undefined, 1, 1]);
    expect([store.size, store.increment('f').totalHits]).toEqual([2, 1]);
    store.decrement('f');
    store.shutdown();
    expect([store.size, clock.pending]).toEqual([0, 0]);
  });
});

describe('whoever changes the import', () => {
  it('finds the same names, by import and by require', () => {
    expect(Object.keys(ours)).toEqual(expect.arrayContaining(Object.keys(theirs)));
    const { MINUTE, DAY } = ours;
    expect({ MINUTE, DAY }).toEqual({ MINUTE: theirs.MINUTE, DAY: theirs.DAY });
    const required = createRequire(import.meta.url)('express-rate-limit') as object;
    expect(given).toBe(ours.rateLimit);
    expect(Object.keys(given)).toEqual(expect.arrayContaining(Object.keys(required)));
  });

  it('keeps functions as they are, with the types of express or without', () => {
    const limits = [
      ours.rateLimit({
        keyGenerator: (request) => request.get('x-key'),
        skip: (request) => request.query.free === '1',
      }),
      ours.rateLimit({
        keyGenerator: (request: express.Request) => request.ip ?? '',
        limit: async (_request: express.Request, response: express.Response) => response.locals.limit as number,
        handler: (_request: express.Request, response: express.Response, _next, options) =>
          response.status(options.statusCode).json({}),
      }),
    ];
    express().use(...limits);
    expect(limits).toHaveLength(2);
  });
});
