/** @module The same service under each framework: bare, behind the guard with everything on, and behind what teams use today. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import fastifyRateLimit from '@fastify/rate-limit';
import underPressure from '@fastify/under-pressure';
import { createAdaptorServer, type HttpBindings } from '@hono/node-server';
import express from 'express';
import { rateLimit as expressRateLimit } from 'express-rate-limit';
import { keyedBuckets } from 'fairlead';
import { guard as guardExpress } from 'fairlead/express';
import { guard as guardFastify } from 'fairlead/fastify';
import { guard as guardHono } from 'fairlead/hono';
import {
  clientAddress,
  createGuard,
  type FetchHandler,
  type Guard,
  guard as guardNode,
  rateLimit,
  shed,
} from 'fairlead/node';
import fastify, { type FastifyInstance } from 'fastify';
import { Hono } from 'hono';
import { RateLimiterMemory, type RateLimiterRes } from 'rate-limiter-flexible';

const charge = { id: 'ch_3MmlLrLkdIwHu7ix0snN0B15', amount: 4200, currency: 'EUR', status: 'succeeded' };
const ENOUGH = 1_000_000_000;
/** A limit for each caller, deadlines, traces, shedding, drain and probes: all that can be turned on. */
const everythingOn = {
  environment: false,
  limit: { perSecond: 1_000_000, burst: 1_000_000 },
  maxTimeoutMs: 10_000,
  newTraces: 'unsampled',
  health: true,
  drain: true,
} as const;

/** The guard with no more than a limit, as the limiters beside it. */
function limitAlone(draftHeaders = true): Guard {
  const limiter = keyedBuckets(everythingOn.limit);
  return createGuard({ layers: [rateLimit({ limiter, key: clientAddress(), draftHeaders })] });
}

/** The guard with no more than shedding. */
function sheddingAlone(): Guard {
  return createGuard({ shed: shed() });
}

type Make = () => Server | Promise<Server>;

/** By name: the framework, then what stands before its handler. */
export const cases: Readonly<Record<string, Make>> = {
  'node:http': () => createServer(answer),
  'node:http, guard': () => createServer(guardNode(answer, everythingOn)),
  'node:http, guard: limit alone': () => createServer(limitAlone().node(answer)),
  'node:http, guard: limit alone, untold': () => createServer(limitAlone(false).node(answer)),
  'node:http, rate-limiter-flexible': () => {
    const limiter = flexible();
    return createServer((request, response) => {
      limiter.consume(request.socket.remoteAddress ?? '').then(
        (state) => {
          tell(response, state);
          answer(request, response);
        },
        () => response.writeHead(429).end(),
      );
    });
  },
  'node:http, rate-limiter-flexible, untold': () => {
    const limiter = flexible();
    return createServer((request, response) => {
      limiter.consume(request.socket.remoteAddress ?? '').then(
        () => answer(request, response),
        () => response.writeHead(429).end(),
      );
    });
  },
  express: () => inExpress(),
  'express, guard': () => inExpress(guardExpress(everythingOn)),
  'express, guard: limit alone': () => inExpress(limitAlone().express()),
  'express, express-rate-limit': () =>
    inExpress(expressRateLimit({ windowMs: 60_000, limit: ENOUGH, standardHeaders: 'draft-8', legacyHeaders: false })),
  'express, rate-limiter-flexible': () => {
    const limiter = flexible();
    return inExpress((request, response, next) => {
      limiter.consume(request.ip ?? '').then(
        (state) => {
          tell(response, state);
          next();
        },
        () => response.sendStatus(429),
      );
    });
  },
  fastify: () => inFastify(() => {}),
  'fastify, guard': () => inFastify((app) => app.register(guardFastify(everythingOn))),
  'fastify, guard: limit alone': () => inFastify((app) => app.register(limitAlone().fastify())),
  'fastify, guard: shedding alone': () => inFastify((app) => app.register(sheddingAlone().fastify())),
  'fastify, @fastify/rate-limit': () =>
    inFastify((app) => app.register(fastifyRateLimit, { max: ENOUGH, timeWindow: 60_000 })),
  'fastify, @fastify/under-pressure': () =>
    inFastify((app) =>
      app.register(underPressure, {
        maxEventLoopDelay: 60_000,
        maxHeapUsedBytes: 100 * ENOUGH,
        maxRssBytes: 100 * ENOUGH,
        maxEventLoopUtilization: 1,
      }),
    ),
  hono: () => inHono(),
  'hono, guard': () => inHono((app) => guardHono(app.fetch, everythingOn)),
  'hono, guard in app.use': () => inHono((app) => app.use(guardHono(everythingOn)).fetch),
  // What hono takes for its first middleware, whatever that does.
  'hono, a middleware that does nothing': () => inHono((app) => app.use((_c, next) => next()).fetch),
  'hono, guard: limit alone': () => inHono((app) => limitAlone().fetch(app.fetch)),
  'hono, rate-limiter-flexible': () => {
    const limiter = flexible();
    return inHono((app) => {
      app.use(async (c, next) => {
        tell(c.env.outgoing, await limiter.consume(c.env.incoming.socket.remoteAddress ?? ''));
        await next();
      });
      return app.fetch;
    });
  },
};

/** The case that `name` is compared with. */
export function bareOf(name: string): string {
  return name.split(', ', 1)[0] as string;
}

function answer(_request: IncomingMessage, response: ServerResponse): void {
  const body = JSON.stringify(charge);
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }).end(body);
}

function flexible(): RateLimiterMemory {
  return new RateLimiterMemory({ points: ENOUGH, duration: 60 });
}

/** The fields that rate-limiter-flexible's own page says to set, since it sets none itself. */
function tell(response: { setHeader(name: string, value: number): unknown }, state: RateLimiterRes): void {
  response.setHeader('Retry-After', state.msBeforeNext / 1000);
  response.setHeader('X-RateLimit-Limit', ENOUGH);
  response.setHeader('X-RateLimit-Remaining', state.remainingPoints);
  response.setHeader('X-RateLimit-Reset', Math.ceil((Date.now() + state.msBeforeNext) / 1000));
}

function inExpress(...before: express.RequestHandler[]): Server {
  const app = express();
  for (const each of before) app.use(each);
  app.get('/charges/:id', (_request, response) => void response.json(charge));
  return createServer(app);
}

async function inFastify(before: (app: FastifyInstance) => unknown): Promise<Server> {
  const app = fastify();
  await before(app);
  app.get('/charges/:id', async () => charge);
  // An address, since for a name fastify would open a second server.
  await app.listen({ port: 0, host: '127.0.0.1' });
  return app.server;
}

type Bindings = { Bindings: HttpBindings };

function inHono(before: (app: Hono<Bindings>) => FetchHandler = (app) => app.fetch): Server {
  const app = new Hono<Bindings>();
  const fetch = before(app);
  app.get('/charges/:id', (c) => c.json(charge));
  return createAdaptorServer({ fetch }) as Server;
}
