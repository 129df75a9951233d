/** @module Puts a client's fetch in the place of the built-in one, and takes it away again. */

/**
 * Replaces `globalThis.fetch`.
 * @returns puts back what was there, unless somebody else has replaced it since
 */
export function installGlobal(replacement: typeof fetch): () => void {
  const before = globalThis.fetch;
  globalThis.fetch = replacement;
  return () => {
    if (globalThis.fetch === replacement) globalThis.fetch = before;
  };
}
