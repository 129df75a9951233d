/** @module Puts a client in the place of the built-in fetch and of the global dispatcher, and takes it away again. */
import { createFetch, type FetchOptions, installDoor } from '@fairlead/transport';

/**
 * Replaces `globalThis.fetch` by a lean one, and the global dispatcher, which everything else that sends uses, by a door.
 * Hosts that are no services go to `options.external`, by default to the fetch that was there, and to the dispatcher that
 * was there.
 * @returns puts back what was there, unless somebody else has replaced it since
 */
export function installGlobal(options: FetchOptions): () => void {
  const before = globalThis.fetch;
  let installed = true;
  // Somebody may keep it, or have put it back, after it has been taken away.
  const route: FetchOptions['route'] = (host) => (installed ? options.route(host) : null);
  const replacement = createFetch({ ...options, route, external: options.external ?? before }) as typeof fetch;
  const removeDoor = installDoor(options);
  globalThis.fetch = replacement;
  return () => {
    installed = false;
    removeDoor();
    if (globalThis.fetch === replacement) globalThis.fetch = before;
  };
}
