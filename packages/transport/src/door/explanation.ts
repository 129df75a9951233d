/**
 * @module What Fairlead knows about an error, on errors that are somebody else's: callers of undici and of node:http tell
 * what happened by the very object that those or the system made, so it stays that object, and ours hangs on it.
 */
import { FairleadError } from '@fairlead/core';

/** Shared by all copies of this package. */
const key: unique symbol = Symbol.for('fairlead.explanation') as never;

/**
 * What Fairlead knows about an error that a dispatcher of ours, or a request of node:http through the bridge, failed with:
 * service, endpoint, phase, and what was tried before it. Null for every other error.
 */
export function explanationOf(error: unknown): FairleadError | null {
  if (error instanceof FairleadError) return error;
  if (typeof error !== 'object' || error === null) return null;
  return (error as { [key]?: FairleadError })[key] ?? null;
}

/** Hangs `explanation` on `error`, and gives that back. One that is frozen stays without. */
export function explain(error: Error, explanation: FairleadError): Error {
  if (error === explanation || !Object.isExtensible(error)) return error;
  // One broken connection may fail many calls with one error: the last that was told has its explanation there.
  Object.defineProperty(error, key, { value: explanation, configurable: true, writable: true });
  return error;
}
