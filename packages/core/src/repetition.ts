/**
 * @module What the hops of a chain tell each other about repeating, so that only the one right above a failure repeats:
 * down, that a request is a repetition itself; up, that everything has been tried. Both are kept on the scope of the inbound
 * request, which is above those of the calls made in its service, and only where there is something to keep.
 */
import type { Scope } from './scope.js';

/** The request header that tells which attempt this is, from 1: Envoy's. Not there means the first. */
export const attemptHeader = 'x-envoy-attempt-count';

/** The reply header by which a hop that has given up says `no`: it has repeated already, or was told not to. */
export const retryHeader = 'x-fairlead-retry';

/** Which attempt of its caller the request is that the work under `scope` is done for; 1 for the first, and outside of any. */
export function inheritedAttempt(scope: Scope): number {
  for (let each: Scope | null = scope; each !== null; each = each.parent) {
    if (each.inheritedAttempt !== undefined) return each.inheritedAttempt;
  }
  return 1;
}

/** A call under `scope` failed, and to repeat it any more would be wrong: whoever answers for it may say so. */
export function giveUp(scope: Scope): void {
  for (let each: Scope | null = scope; each !== null; each = each.parent) each.gaveUp = true;
}
