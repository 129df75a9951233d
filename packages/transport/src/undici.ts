/**
 * @module Loads undici, and the care that takes; `door/parts.ts` loads the rest of it in the same way, and nobody else. The
 * package's index installs a global dispatcher the moment it is loaded, and on Node 22 the built-in fetch then runs on it
 * and fails for callers who set their own content-length (nodejs/undici#5500). The two modules that we need do not touch
 * anything global when they are loaded by themselves, and load in a third of the time (measured: 20 to 40 ms against 60 to
 * 90). Their paths are not API, but the dependency is pinned to one exact version; should an override bring another one,
 * the index is loaded instead, with the built-in fetch's dispatcher put back afterwards.
 *
 * `createRequire` rather than `import`: a bundler hoists imports above every statement, and then nothing can be saved
 * before undici is loaded.
 */
import { createRequire } from 'node:module';
import type { Dispatcher, Client as UndiciClient } from 'undici';

export type { Dispatcher, UndiciClient };

/** The parts of undici that are used here. */
export interface UndiciParts {
  readonly Client: typeof UndiciClient;
  readonly buildConnector: typeof import('undici').buildConnector;
}

/** The symbol under which the built-in fetch of Node 22 and 24 keeps its dispatcher. */
const builtIn = Symbol.for('undici.globalDispatcher.1');

/**
 * Loads undici and leaves the built-in fetch as it was.
 * @param load how to load one module; replaced only by a test of the fallback
 */
export function loadUndici(load: (path: string) => unknown): UndiciParts {
  try {
    return {
      Client: load('undici/lib/dispatcher/client.js') as UndiciParts['Client'],
      buildConnector: load('undici/lib/core/connect.js') as UndiciParts['buildConnector'],
    };
  } catch {
    const { Client, buildConnector } = loadIndex(load);
    return { Client, buildConnector };
  }
}

/** Loads the index and puts back what that replaces. */
export function loadIndex(load: (path: string) => unknown): typeof import('undici') {
  // Reading it makes Node load its own undici, which only then sets the symbol.
  void globalThis.Headers;
  const globals = globalThis as { [builtIn]?: unknown };
  const before = globals[builtIn];
  const index = load('undici') as typeof import('undici');
  if (before !== undefined && globals[builtIn] !== before) globals[builtIn] = before;
  return index;
}

const parts: UndiciParts = loadUndici(createRequire(import.meta.url));

export const Client: UndiciParts['Client'] = parts.Client;
export const buildConnector: UndiciParts['buildConnector'] = parts.buildConnector;
