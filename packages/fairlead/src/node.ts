/** @module `fairlead/node`: the guard around a listener of node:http. */
import type { NodeListener } from '@fairlead/server';
import { createServiceGuard, type GuardInit } from './guard.js';

export * from '@fairlead/server';
export type { GuardInit } from './guard.js';

/**
 * Guards a listener: `createServer(guard((request, response) => …, { limit: { perSecond: 100, burst: 200 } }))`.
 * @throws ConfigError that lists everything that is wrong with `init` and the environment
 */
export function guard(listener: NodeListener, init?: GuardInit): NodeListener {
  return createServiceGuard(init).node(listener);
}
