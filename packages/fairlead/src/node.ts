/** @module `fairlead/node`: the guard around a listener of node:http. */
import { ConfigError } from '@fairlead/core';
import type { NodeListener } from '@fairlead/server';
import { createServiceGuard, type GuardInit } from './guard.js';

export * from '@fairlead/server';
export type { GuardInit } from './guard.js';

/**
 * Guards a listener: `createServer(guard((request, response) => …, { limit: { perSecond: 100, burst: 200 } }))`.
 * @throws ConfigError if `listener` is none, or that lists everything that is wrong with `init` and the environment
 */
export function guard(listener: NodeListener, init?: GuardInit): NodeListener {
  if (typeof listener !== 'function') {
    const expected = 'a function of request and response, such as an app of express; options come second';
    throw new ConfigError([{ name: 'guard.listener', expected }]);
  }
  return createServiceGuard(init).node(listener);
}
