/**
 * @module What was possible at all. For a call that did not get its answer: is there a sequence of attempts that the policy
 * permits, at any places and with any waits, of which one would have been answered in full before the deadline? The oracle
 * knows every fault before it happens, and what each answer will take. It is held to what makes a repetition safe, to the
 * number of attempts, to the longest wait before each, and to the time of an attempt; to no budget and no breaker.
 */

import { type Fate, fateOf } from './fate.ts';
import type { Place } from './faults.ts';

/** What the policy permits. */
export interface Permitted {
  readonly attempts: number;
  readonly attemptTimeoutMs: number;
  readonly timeoutMs: number;
  readonly baseMs: number;
  readonly maxMs: number;
}

/** One call, as far as an oracle cares. */
export interface Question {
  readonly number: number;
  readonly at: number;
  readonly idempotent: boolean;
}

/** How closely starts within a wait are looked at, in ms. */
const STEP_MS = 10;

/** Whether `call` could have been answered. */
export function possible(call: Question, places: readonly Place[], permitted: Permitted): boolean {
  const deadline = call.at + permitted.timeoutMs;
  const from = (earliest: number, latest: number, attempt: number): boolean => {
    const failures = new Set<number>();
    for (let at = earliest; ; at = Math.min(at + STEP_MS, latest)) {
      for (const place of places) {
        const fate = fateOf(call.number, place, at);
        if (good(fate, at, deadline, permitted)) return true;
        const again = fate.unsent || call.idempotent;
        if (again) failures.add(Math.ceil(at + Math.min(fate.headMs, permitted.attemptTimeoutMs)));
      }
      if (at >= latest) break;
    }
    if (attempt >= permitted.attempts || failures.size === 0) return false;
    // Whatever begins later can wait for what begins earlier: the whole span is open to the next attempt.
    const waitMs = Math.min(permitted.maxMs, permitted.baseMs * 2 ** (attempt - 1));
    const [first, last] = [Math.min(...failures), Math.min(deadline, Math.max(...failures) + waitMs)];
    return first < deadline && from(first, last, attempt + 1);
  };
  return from(call.at, call.at, 1);
}

function good(fate: Fate, at: number, deadline: number, { attemptTimeoutMs }: Permitted): boolean {
  return fate.good && fate.headMs <= attemptTimeoutMs && at + fate.endMs <= deadline;
}
