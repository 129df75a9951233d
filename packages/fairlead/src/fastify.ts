/** @module `fairlead/fastify`: the guard as a plugin for fastify 5. */
import type { FastifyPlugin } from '@fairlead/server';
import { createServiceGuard, type GuardInit } from './guard.js';

export * from '@fairlead/server';
export type { GuardInit } from './guard.js';

/**
 * Guards a fastify application: `await app.register(guard({ limit: { perSecond: 100, burst: 200 } }))`, before any other
 * plugin. It runs before the body of a request is read, and also for requests that meet no route.
 * @throws ConfigError that lists everything that is wrong with `init` and the environment
 */
export function guard(init?: GuardInit): FastifyPlugin {
  return createServiceGuard(init).fastify();
}
