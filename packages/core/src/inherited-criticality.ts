/** @module How critical the request is that something is done for. */
import type { Criticality } from './criticality.js';
import type { Scope } from './scope.js';

/** The class of the request that the work under `scope` is done for; undefined if nobody has said, and outside of any. */
export function inheritedCriticality(scope: Scope): Criticality | undefined {
  for (let each: Scope | null = scope; each !== null; each = each.parent) {
    if (each.criticality !== undefined) return each.criticality;
  }
  return undefined;
}
