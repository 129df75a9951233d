/** @module Who is there. */
import type { Endpoint } from './endpoint.js';
import type { Runtime } from './runtime.js';
import type { Scope } from './scope.js';

/**
 * What a resolver tells: everything it knows at this moment, or that it could not find out. Never a delta. An empty list
 * is an authoritative "nobody"; an error leaves what was known before in force. `ageMs` is for what is not known from the
 * source itself at this moment but remembered from so long ago; it counts until the source answers.
 */
export type ResolverUpdate =
  | { readonly endpoints: readonly Endpoint[]; readonly ageMs?: number }
  | { readonly error: Error };

/** Finds out who is there, and goes on telling. */
export interface Resolver {
  /** What is being resolved, for messages and `describe()`: `dns://payments:8080`. */
  readonly name: string;
  /**
   * Starts watching. Calls `tell` (also synchronously, if it likes) until `scope` is canceled, then releases everything.
   * Must not throw: a source that cannot be reached is an error told. Nor does `tell` throw. A scope that was canceled before
   * is told nothing. Timers are background timers: looking for endpoints keeps no process alive.
   */
  watch(tell: (update: ResolverUpdate) => void, scope: Scope, runtime: Runtime): void;
  /**
   * Somebody who uses what was told finds that most of it cannot be connected to: whoever is watching should ask the source
   * at once, rather than when it is time. Optional. It is called seldom, since the caller minds a limit; it must not throw,
   * and does nothing for a watch whose source fails already and is tried again at a pace of its own.
   */
  refresh?(): void;
}
