/**
 * @module The parts of undici that only the door needs, loaded with the care that `undici.ts` explains. What a door is made
 * of has been loaded along with the pools; what only some callers need waits until somebody does.
 */
import { createRequire } from 'node:module';
import type { Dispatcher, errors, Agent as UndiciAgent } from 'undici';
import { loadIndex } from '../undici.js';

/** A handler of undici 6, which the built-in fetch of Node 22 and 24 still uses. */
export interface LegacyHandler {
  onConnect?: unknown;
}

/** The functions that undici's index puts on every dispatcher. */
export type Api = Pick<Dispatcher, 'request' | 'stream' | 'pipeline' | 'upgrade' | 'connect'>;

/** undici's own adapter from the handlers of version 6 to today's. */
export interface LegacyWrapper {
  new (dispatcher: Dispatcher): Dispatcher;
  wrapHandler(handler: LegacyHandler): Dispatcher.DispatchHandler;
}

/** What undici's errors are made with: a message, all of them. */
export type Errors = typeof errors;

/** The parts. */
export interface DoorParts {
  readonly Dispatcher: typeof Dispatcher;
  readonly errors: Errors;
  api(): Api;
  Agent(): typeof UndiciAgent;
  Dispatcher1Wrapper(): LegacyWrapper;
}

/**
 * Loads the parts.
 * @param load how to load one module; replaced only by a test of the fallback
 */
export function loadParts(load: (path: string) => unknown): DoorParts {
  const part = <T>(path: string, fromIndex: (index: never) => unknown): T => {
    try {
      return load(path) as T;
    } catch {
      return fromIndex(loadIndex(load) as never) as T;
    }
  };
  return {
    Dispatcher: part('undici/lib/dispatcher/dispatcher.js', (index: DoorParts) => index.Dispatcher),
    errors: part('undici/lib/core/errors.js', (index: DoorParts) => index.errors),
    api: () =>
      part('undici/lib/api/index.js', (index: { Dispatcher: { prototype: Api } }) => index.Dispatcher.prototype),
    Agent: () => part('undici/lib/dispatcher/agent.js', (index: { Agent: unknown }) => index.Agent),
    Dispatcher1Wrapper: () =>
      part(
        'undici/lib/dispatcher/dispatcher1-wrapper.js',
        (index: { Dispatcher1Wrapper: unknown }) => index.Dispatcher1Wrapper,
      ),
  };
}

export const parts: DoorParts = loadParts(createRequire(import.meta.url));
