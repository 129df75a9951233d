/** @module `fairlead/hono`: the guard as a middleware for hono 4. */
import type { HonoMiddleware, HonoOptions } from '@fairlead/server';
import { createServiceGuard, type GuardInit } from './guard.js';

export * from '@fairlead/server';
export type { GuardInit } from './guard.js';

/**
 * Guards a hono application: `app.use(guard({ limit: { perSecond: 100, burst: 200 } }))`, before anything else. With
 * @hono/node-server it sees the connection; elsewhere `address` has to tell it who calls.
 * @throws ConfigError that lists everything that is wrong with `init` and the environment
 */
export function guard(init: GuardInit & HonoOptions = {}): HonoMiddleware {
  const { address, ...options } = init;
  return createServiceGuard(options).hono({ address });
}
