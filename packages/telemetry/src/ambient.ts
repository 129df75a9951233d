/**
 * @module What a piece of work inherits from the request in whose service it is done. This is the only AsyncLocalStorage of
 * the project: one store that is read once per call costs 5 ns, one for each concern would multiply that.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import type { Scope } from '@fairlead/core';
import type { TraceContext } from './trace-context.js';

/** What outbound calls inherit from the inbound request that they are made for. */
export interface Ambient {
  /** How long the work may go on: the parent of the scopes of outbound calls. */
  readonly scope: Scope | null;
  /** The parent of outbound calls in the trace. */
  readonly trace: TraceContext | null;
  /** Value of the `baggage` header, within the bounds of `boundBaggage`. */
  readonly baggage: string | null;
}

/** Nothing to inherit. */
export const noAmbient: Ambient = Object.freeze({ scope: null, trace: null, baggage: null });

const key = Symbol.for('fairlead.ambient.v1');
const shared = globalThis as { [key]?: AsyncLocalStorage<Ambient> };
/** Shared by all copies of this package in a process: the inbound side may have been loaded from another than the outbound. */
const storage: AsyncLocalStorage<Ambient> = (shared[key] ??= new AsyncLocalStorage<Ambient>());

/** What the code that runs now inherits; {@link noAmbient} outside of any request. */
export function currentAmbient(): Ambient {
  return storage.getStore() ?? noAmbient;
}

/** Calls `work` with `args` so that it, and everything asynchronous that it starts, inherits `ambient`. */
export function runWith<A extends unknown[], R>(ambient: Ambient, work: (...args: A) => R, ...args: A): R {
  return storage.run(ambient, work, ...args);
}

/**
 * Calls `work` with `args` for something that outlives the request in whose service it runs: outbound calls made there, and
 * in whatever it starts, are neither canceled with that request nor bound by its deadline. They stay in its trace, and keep
 * its baggage. Outside of any request it changes nothing.
 */
export function detached<A extends unknown[], R>(work: (...args: A) => R, ...args: A): R {
  const ambient = currentAmbient();
  if (ambient.scope === null) return work(...args);
  const { trace, baggage } = ambient;
  return storage.run({ scope: null, trace, baggage }, work, ...args);
}
