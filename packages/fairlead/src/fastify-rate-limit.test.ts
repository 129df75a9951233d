/**
 * Would catch: an application that changes the import and then tells its clients something else, counts something else, or
 * calls its own functions otherwise than with @fastify/rate-limit itself, which runs beside ours here.
 */
import { createRequire } from 'node:module';
import { VirtualClock } from '@fairlead/testing';
import theirs from '@fastify/rate-limit';
import fc from 'fast-check';
import fastify, { type FastifyInstance, type FastifyRequest } from 'fastify';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { durationText, parseDuration } from './fastify-rate-limit/duration.js';
import { Windows } from './fastify-rate-limit/windows.js';
import * as ours from './fastify-rate-limit.js';
import { 'module.exports' as given } from './fastify-rate-limit.js';

interface Step {
  readonly url?: string;
  readonly headers?: Record<string, string>;
  readonly afterMs?: number;
}
interface Scenario {
  readonly name: string;
  options?(log: (entry: unknown) => void): Record<string, unknown>;
  routes?(app: FastifyInstance, log: (entry: unknown) => void): void;
  readonly steps: readonly Step[];
}

const told = /^(ratelimit|x-ratelimit|retry-after|content-type)/;

async function run(plugin: unknown, { options, routes, steps }: Scenario): Promise<unknown[]> {
  let now = 1_800_000_000_250;
  vi.setSystemTime(now);
  const log: unknown[] = [];
  const note = (entry: unknown): void => void log.push(entry);
  const app = fastify();
  await app.register(plugin as never, (options?.(note) ?? {}) as never);
  app.get('/', async () => 'handled');
  routes?.(app, note);
  for (const { url = '/', headers = {}, afterMs = 0 } of steps) {
    now += afterMs;
    vi.setSystemTime(now);
    const answer = await app.inject({ url, headers });
    const fields = Object.entries(answer.headers).filter(([name]) => told.test(name));
    log.push([answer.statusCode, fields.sort(), answer.body]);
  }
  await app.close();
  return log;
}

const times = (count: number, step: Step = {}): Step[] => Array.from({ length: count }, () => step);
const key = (request: FastifyRequest): string => String(request.headers.who ?? 'none');
const as = (who: string, rest: Step = {}): Step => ({ headers: { who }, ...rest });

const scenarios: Scenario[] = [
  { name: 'nothing but the defaults', steps: times(2) },
  { name: 'a limit', options: () => ({ max: 2 }), steps: [...times(3), { afterMs: 1_500 }, { afterMs: 60_000 }] },
  { name: 'names of the draft', options: () => ({ max: 1, enableDraftSpec: true }), steps: times(2) },
  ...['1 minute', '15s', '2 hours', '1.5 days', 5_000].map((timeWindow) => ({
    name: `a window of ${timeWindow}`,
    options: () => ({ max: 1, timeWindow }),
    steps: times(2),
  })),
  {
    name: 'headers that are not wanted',
    options: () => ({
      max: 1,
      addHeaders: { 'x-ratelimit-limit': false, 'retry-after': false },
      addHeadersOnExceeding: { 'x-ratelimit-reset': false },
    }),
    steps: times(2),
  },
  {
    name: 'functions for everything',
    options: (log) => ({
      max: async (_request: unknown, who: string) => (who === 'rich' ? 3 : 1),
      timeWindow: (_request: unknown, who: string) => (who === 'rich' ? 1_000 : 5_000),
      keyGenerator: async (request: FastifyRequest) => key(request),
      allowList: async (_request: unknown, who: string) => who === 'friend',
      onExceeding: (_request: unknown, who: string) => log(['exceeding', who]),
      onExceeded: (_request: unknown, who: string) => log(['exceeded', who]),
    }),
    steps: [
      ...times(4, as('rich')),
      ...times(2, as('poor')),
      ...times(3, as('friend')),
      as('rich', { afterMs: 1_000 }),
    ],
  },
  {
    name: 'a list of who is not limited',
    options: () => ({ max: 1, keyGenerator: key, allowList: ['friend'] }),
    steps: [...times(3, as('friend')), ...times(2, as('other'))],
  },
  {
    name: 'a ban',
    options: (log) => ({ max: 1, ban: 1, onBanReach: (_request: unknown, who: string) => log(['ban', who]) }),
    steps: times(5),
  },
  {
    name: 'continueExceeding',
    options: () => ({ max: 1, continueExceeding: true }),
    steps: times(4, { afterMs: 40_000 }),
  },
  {
    name: 'exponentialBackoff',
    options: () => ({ max: 1, exponentialBackoff: true }),
    steps: [...times(5, { afterMs: 1_000 }), { afterMs: 60_000 }],
  },
  {
    name: 'an error of one’s own',
    options: () => ({
      max: 1,
      errorResponseBuilder: (_request: unknown, context: Record<string, unknown>) =>
        Object.assign(new Error(JSON.stringify(context)), { statusCode: 420 }),
    }),
    steps: times(2),
  },
  ...(['onRequest', 'preParsing', 'preValidation', 'preHandler'] as const).map((hook) => ({
    name: `the hook ${hook}`,
    options: () => ({ max: 1, hook }),
    routes: (app: FastifyInstance, log: (entry: unknown) => void) => {
      app.get('/own', { [hook]: async () => log('own hook') }, async () => 'own');
    },
    steps: times(2, { url: '/own' }),
  })),
  {
    name: 'routes with options of their own',
    options: () => ({ max: 1 }),
    routes: (app) => {
      app.get('/free', { config: { rateLimit: false } }, async () => 'free');
      app.get('/two', { config: { rateLimit: { max: 2, timeWindow: '10 seconds' } } }, async () => 'two');
    },
    steps: [...times(2), ...times(3, { url: '/free' }), ...times(3, { url: '/two' })],
  },
  {
    name: 'only the routes that say so, and groups',
    options: () => ({ global: false, max: 5 }),
    routes: (app) => {
      app.get('/a', { config: { rateLimit: { max: 1, groupId: 'g' } } }, async () => 'a');
      app.get('/b', { config: { rateLimit: { max: 1, groupId: 'h' } } }, async () => 'b');
    },
    steps: [...times(3), ...times(2, { url: '/a' }), ...times(2, { url: '/b' })],
  },
  {
    name: 'decorators',
    options: () => ({ global: false, max: 1 }),
    routes: (app, log) => {
      app.get('/hook', { onRequest: app.rateLimit() }, async () => 'hook');
      app.setNotFoundHandler({ preHandler: app.rateLimit({ max: 2 }) }, async (_request, reply) =>
        reply.code(404).send('no'),
      );
      const check = app.createRateLimit({ max: 2, timeWindow: 9_000 });
      app.get('/check', async (request) => {
        log(await check(request, { increment: false }));
        log(await check(request));
        return 'checked';
      });
    },
    steps: [
      ...times(2, { url: '/hook' }),
      ...times(3, { url: '/nowhere' }),
      ...times(3, { url: '/check', afterMs: 100 }),
    ],
  },
];

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['Date'] });
});
afterEach(() => {
  vi.useRealTimers();
});

describe('beside @fastify/rate-limit', () => {
  it.each(scenarios)('$name', async (scenario) => {
    expect(await run(ours.default, scenario)).toEqual(await run(theirs, scenario));
  });

  it('tells addresses apart in the same way', () => {
    const group = fc.integer({ min: 0, max: 0xffff }).map((value) => value.toString(16));
    const address = fc.oneof(
      fc.ipV4(),
      fc.array(group, { minLength: 8, maxLength: 8 }).map((groups) => groups.join(':')),
      fc.ipV4().map((ip) => `::ffff:${ip}`),
    );
    fc.assert(
      fc.property(address, fc.integer({ min: 16, max: 128 }), (ip, bits) => {
        expect(ours.normalizeIP(ip, bits)).toBe(theirs.normalizeIP(ip, bits));
      }),
    );
    expect(ours.normalizeIP('Not-An-Address')).toBe('not-an-address');
  });
});

describe('where it differs', () => {
  it('has no stores, and says so', async () => {
    for (const option of [{ redis: {} }, { store: class {} }, { timeWindow: 'soon' }]) {
      const app = fastify();
      await expect(async () => app.register(ours.fastifyRateLimit as never, option as never)).rejects.toThrow(
        /rateLimit\./,
      );
    }
  });

  it('frees nobody by a flood of keys', async () => {
    const clock = new VirtualClock();
    const windows = new Windows(100, 'none', clock);
    for (let i = 0; i < 5; i++) windows.count('attacker', 60_000, 3);
    for (let i = 0; i < 100_000; i++) windows.count(`name-${i}`, 60_000, 3);
    expect([windows.size, windows.count('attacker', 60_000, 3).current]).toEqual([100, 6]);
    expect(windows.count('one more', 60_000, 3).current).toBeGreaterThan(90_000);
    await clock.advance(60_000);
    expect(windows.count('late', 60_000, 3)).toEqual({ current: 1, ttl: 60_000 });
    expect([windows.size, windows.read('attacker', 60_000)]).toEqual([100, { current: 0, ttl: 0 }]);
  });
});

it('reads durations, and nothing else', () => {
  expect(['90', '5 ms', '.5s', '3 min', '1w', '1 year'].map(parseDuration)).toEqual([
    90, 5, 500, 180_000, 604_800_000, 31_557_600_000,
  ]);
  expect(['', 'soon', '1 fortnight', '-1s', '1 s s'].map(parseDuration)).toEqual([null, null, null, null, null]);
  expect([0, 999, 1_000, 90_000, 7_200_000].map(durationText)).toEqual([
    '0 ms',
    '999 ms',
    '1 second',
    '2 minutes',
    '2 hours',
  ]);
});

describe('whoever changes the import', () => {
  it('finds the same names, by import and by require', () => {
    const required = createRequire(import.meta.url)('@fastify/rate-limit') as object;
    expect(given).toBe(ours.fastifyRateLimit);
    expect(Object.keys(given)).toEqual(expect.arrayContaining(Object.keys(required)));
  });

  it('keeps functions as they are, with the types of fastify or without', async () => {
    const app = fastify();
    await app.register(ours.fastifyRateLimit, {
      keyGenerator: (request: FastifyRequest) => request.ip,
      max: (request) => (request.url === '/' ? 1 : 2),
      allowList: (_request, key) => key === 'friend',
    });
    app.get('/', () => 'hello');
    expect([(await app.inject('/')).statusCode, (await app.inject('/')).statusCode]).toEqual([200, 429]);
    await app.close();
  });
});
