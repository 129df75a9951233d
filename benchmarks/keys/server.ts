/**
 * @module A server that limits each caller, told apart by the address that a trusted proxy names. The argument says who limits.
 * Asked for it, it collects its garbage and tells the bytes that are left, and the CPU time that it has used.
 */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import express from 'express';
import { rateLimit } from 'express-rate-limit';
import { guard } from 'fairlead/node';
import { RateLimiterMemory } from 'rate-limiter-flexible';
import { MAX_KEYS } from './callers.ts';

const makes: Readonly<Record<string, () => Server>> = {
  guard: () =>
    createServer(
      guard((_request, response) => response.end('ok'), {
        environment: false,
        drain: false,
        limit: { perSecond: 1, burst: 10 },
        trustedProxies: ['loopback'],
        maxKeys: MAX_KEYS,
      }),
    ),
  'express-rate-limit': () => {
    const app = express();
    app.set('trust proxy', 'loopback');
    app.use(rateLimit({ windowMs: 60_000, limit: 10, standardHeaders: 'draft-8', legacyHeaders: false }));
    app.use((_request, response) => void response.end('ok'));
    return createServer(app);
  },
  'rate-limiter-flexible': () => {
    const limiter = new RateLimiterMemory({ points: 10, duration: 60 });
    return createServer((request, response) => {
      limiter.consume(String(request.headers['x-forwarded-for'])).then(
        () => response.end('ok'),
        () => response.writeHead(429).end(),
      );
    });
  },
};

const server = makes[process.argv[2] as string]?.() as Server;
server.listen(0, '127.0.0.1', () => process.send?.(`http://127.0.0.1:${(server.address() as AddressInfo).port}`));
process.on('message', () => {
  const { user, system } = process.cpuUsage();
  globalThis.gc?.();
  const { heapUsed, external } = process.memoryUsage();
  const after = process.cpuUsage();
  // What the collection that was asked for has cost is no part of a request.
  process.send?.({ cpu: user + system, bytes: heapUsed + external, gc: after.user + after.system - user - system });
});
process.on('disconnect', () => process.exit(0));
