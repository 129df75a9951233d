/** @module `fairlead/express`: the guard as a middleware for express 5 or connect. */
import type { ExpressMiddleware } from '@fairlead/server';
import { createServiceGuard, type GuardInit } from './guard.js';

export * from '@fairlead/server';
export type { GuardInit } from './guard.js';

/**
 * Guards an express application: `app.use(guard({ limit: { perSecond: 100, burst: 200 } }))`, before anything else. Limits
 * each caller, hands deadline and trace of a request on to the calls made inside its handler, and on SIGTERM drains every
 * server that has served a request.
 * @throws ConfigError that lists everything that is wrong with `init` and the environment
 */
export function guard(init?: GuardInit): ExpressMiddleware {
  return createServiceGuard(init).express();
}
