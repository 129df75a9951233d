/**
 * @module Puts a door in the place of the global dispatcher: that of the built-in fetch, WebSocket and EventSource, and of
 * everybody who uses undici without naming a dispatcher. There are two such places. The first takes handlers of undici 6 and
 * is read by Node 22 and 24, the second takes those of undici 7 and later and is read by Node 26 and by undici 8.
 */
import type { Dispatcher } from '../undici.js';
import { createAgent, createDoor, type DoorOptions } from './door.js';

const legacyPlace = Symbol.for('undici.globalDispatcher.1');
const place = Symbol.for('undici.globalDispatcher.2');

type Globals = Record<symbol, Dispatcher | undefined>;

/**
 * Installs a door for the hosts that `options.route` knows; all others get, untouched, what was there before.
 *
 * @returns puts back what was there, each place only if nobody has replaced it since. Where there was nothing (the second
 *   place on Node 22, as long as nobody has loaded undici 8), a plain `Agent` is left, as undici 8 itself would: it does not
 *   look again, and would find nothing to send with.
 */
export function installDoor(options: Pick<DoorOptions, 'route'>): () => void {
  const globals = globalThis as unknown as Globals;
  // Makes Node load its own undici, which only then fills its places.
  void globalThis.Headers;
  const legacyBefore = globals[legacyPlace];
  const before = globals[place] ?? createAgent();
  let installed = true;
  const door = createDoor({
    // Somebody may have put a dispatcher of their own around it, and keep it after it has been taken away.
    route: (host) => (installed ? options.route(host) : null),
    fallback: before,
    legacyFallback: legacyBefore ?? null,
  });
  globals[legacyPlace] = door;
  globals[place] = door;
  return () => {
    installed = false;
    // Assigned rather than set through undici, which would put a wrapper where the dispatcher of Node 24 was.
    if (globals[legacyPlace] === door) globals[legacyPlace] = legacyBefore;
    if (globals[place] === door) globals[place] = before;
  };
}
