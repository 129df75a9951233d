/** @module Other copies of undici than ours: another one of the same version, and the two major versions before it. */
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type * as Undici from 'undici';

const require = createRequire(import.meta.url);

/** The places of the global dispatcher: that of undici 6 and Node 22 and 24, and that of undici 8 and Node 26. */
export const legacyPlace: symbol = Symbol.for('undici.globalDispatcher.1');
export const place: symbol = Symbol.for('undici.globalDispatcher.2');
export const globals: Record<symbol, unknown> = globalThis as never;
export const places = (): unknown[] => [globals[legacyPlace], globals[place]];

/** Loads one and leaves the global dispatchers as they were. */
function load(path: string): typeof Undici {
  const before = places();
  const copy = require(path) as typeof Undici;
  [globals[legacyPlace], globals[place]] = before;
  return copy;
}

function secondCopy(): typeof Undici {
  const path = mkdtempSync(join(tmpdir(), 'fairlead-undici-'));
  cpSync(dirname(require.resolve('undici/package.json')), path, { recursive: true });
  const copy = load(path);
  // What it loads later, when somebody first asks for it.
  void [copy.fetch, copy.WebSocket, copy.EventSource];
  rmSync(path, { recursive: true });
  return copy;
}

/** Each with its name. Their types are those of ours. */
export const copies: readonly (readonly [string, typeof Undici])[] = [
  ['a second copy', secondCopy()],
  ['undici 6', load('undici6')],
  ['undici 7', load('undici7')],
];
