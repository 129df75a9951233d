/** @module Tries again what failed, where that is safe, of use, and within the budget. */
import { check, checks, type Middleware, relay, resolveOptions } from '@fairlead/core';
import { isMode, type PolicyMode } from '../policy-mode.js';
import { FirstAttempt } from './first-attempt.js';
import { isRetryBudget, type RetryBudget, retryBudget } from './retry-budget.js';
import type { RetrySettings } from './retry-loop.js';

/** Options of {@link retry}. */
export interface RetryOptions {
  /**
   * Default `on`. In `shadow` nothing is repeated, and `policy.shadowed` is told for what would have been; it is paid from the
   * budget all the same. In both of the others calls are paid into the budget, in which hedges may share.
   */
  readonly mode: PolicyMode;
  /** All tries, with the first; 1 to 10. Default 3. 1 turns retries off. */
  readonly attempts: number;
  /** Longest wait before the second attempt, in ms. Default 25. */
  readonly baseMs: number;
  /** Longest wait before any attempt, in ms, unless a `Retry-After` asks for more. Default 250. */
  readonly maxMs: number;
  /**
   * Longest `Retry-After` that is waited for, in ms. Default 1 000. If the service asks for more, its reply is handed back
   * as it is. 0 never waits.
   */
  readonly maxRetryAfterMs: number;
  /** Statuses that an idempotent request is repeated after. Default 502, 503 and 504. */
  readonly statuses: readonly number[];
  /**
   * Replies to idempotent calls that announce a body of up to so many bytes are awaited whole, for a second at most, so that
   * a connection that breaks in the middle of one is a failed attempt, too. Up to 65 536, the default; 0 awaits none. Takes
   * a body that gathers by itself, as that of Fairlead's own transport.
   */
  readonly wholeReplyBytes: number;
  /** What retries are paid from. Default `'own'`, a budget of this layer alone; null for no limit. */
  readonly budget: RetryBudget | 'own' | null;
}

/** The defaults of {@link retry}. */
export const retryDefaults: Readonly<RetryOptions> = Object.freeze({
  mode: 'on',
  attempts: 3,
  baseMs: 25,
  maxMs: 250,
  maxRetryAfterMs: 1_000,
  statuses: Object.freeze([502, 503, 504]),
  wholeReplyBytes: 65_536,
  budget: 'own',
});

const isBudget = check(
  'a retryBudget(), the word own, or null',
  (value) => value === null || value === 'own' || isRetryBudget(value),
);

/**
 * Makes a layer that repeats failed attempts.
 *
 * Repeated are, whatever the method: what provably was not processed (errors with `sent: 'no'`, 503 with a "not processed"
 * mark). Repeated if the call is idempotent: transport errors, attempt timeouts, the `statuses`, and 429 with a
 * `Retry-After`. Never: a timeout or cancellation of the call, refusals by breaker or limits, a one-shot body that has been
 * started. Waits are full jitter, on top of a `Retry-After` if there is one; a wait that would outlast the call is not begun.
 *
 * A status is never turned into an error: if the last attempt was answered, that answer is returned. If it failed, its
 * error is thrown, with the earlier failures in `attempts`. Tells `retry.scheduled` and `retry.refused`.
 *
 * In a chain only the hop right above a failure repeats. What carries `x-fairlead-retry: no` is not repeated; neither is a
 * call that is made for an inbound request which is a repetition itself, unless it was never sent. A call that was given up
 * is marked on its scope, so that a guard can answer its own caller with that header.
 * @throws ConfigError if an option is wrong
 */
export function retry(options?: Partial<RetryOptions>): Middleware {
  const given = resolveOptions<RetryOptions>('retry', options, retryDefaults, {
    mode: isMode,
    attempts: checks.integer(1, 10),
    baseMs: checks.ms(),
    maxMs: checks.ms(),
    maxRetryAfterMs: checks.ms(),
    statuses: checks.listOf(checks.integer(400, 599)),
    wholeReplyBytes: checks.integer(0, 65_536),
    budget: isBudget,
  });
  const { mode, attempts } = given;
  const budget = given.budget === 'own' ? retryBudget() : given.budget;
  // Nearly every reply is below this, and is then not looked at any closer.
  const suspicious = Math.min(429, ...given.statuses);
  const settings: RetrySettings = { ...given, budget, suspicious, statuses: new Set(given.statuses) };

  if (attempts === 1 || mode === 'off') {
    return relay('retry', (call, next, receiver) => {
      if (call.attempt === 1) budget?.deposit(call.at);
      next(call, receiver);
    });
  }
  return relay('retry', (call, next, receiver) => {
    // An attempt that a layer above makes again is not a request of its own: it would pay for its own repetition.
    if (call.attempt === 1) budget?.deposit(call.at);
    next(call, new FirstAttempt(call, next, settings, receiver));
  });
}
