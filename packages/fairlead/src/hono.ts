/** @module `fairlead/hono`: the guard around hono 4, or as a middleware for it. */
import type { FetchHandler, FetchOptions, HonoMiddleware, HonoOptions } from '@fairlead/server';
import { createServiceGuard, type GuardInit } from './guard.js';

export * from '@fairlead/server';
export type { GuardInit } from './guard.js';

/**
 * Guards a hono application: `serve({ fetch: guard(app.fetch, { limit: { perSecond: 100, burst: 200 } }) })`, or any other
 * handler of that kind. With @hono/node-server it sees the connection; elsewhere `address` has to tell it who calls. Errors
 * of layers go to `onError`.
 * @throws ConfigError that lists everything that is wrong with `init` and the environment
 */
export function guard(handler: FetchHandler, init?: GuardInit & FetchOptions): FetchHandler;
/**
 * Guards a hono application: `app.use(guard({ limit: { perSecond: 100, burst: 200 } }))`, before anything else. Errors of
 * layers go to `app.onError`. Dearer by what hono takes for its first middleware, whatever that does.
 * @throws ConfigError that lists everything that is wrong with `init` and the environment
 */
export function guard(init?: GuardInit & HonoOptions): HonoMiddleware;
export function guard(
  first: FetchHandler | (GuardInit & HonoOptions) = {},
  second: GuardInit & FetchOptions = {},
): FetchHandler | HonoMiddleware {
  if (typeof first !== 'function') {
    const { address, ...options } = first;
    return createServiceGuard(options).hono({ address });
  }
  const { address, ...options } = second;
  return createServiceGuard(options).fetch(first, { address });
}
