/** @module Peers that need not be installed. */

/** The module, or null, and a line that says so, if its package is not installed. */
export async function installed<T>(name: string): Promise<T | null> {
  try {
    return (await import(name)) as T;
  } catch (error) {
    // A package that is there and fails to load is another matter.
    if ((error as { code?: unknown }).code !== 'ERR_MODULE_NOT_FOUND') throw error;
    console.log(`skipped  ${name}: it is not installed`);
    return null;
  }
}
