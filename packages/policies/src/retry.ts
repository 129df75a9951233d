/** @module Tries again what failed, where that is safe, of use, and within the budget. */
import { check, checks, type Middleware, named, type Reply, resolveOptions } from '@fairlead/core';
import { isRetryBudget, type RetryBudget, retryBudget } from './retry-budget.js';
import { RetryLoop, type RetrySettings } from './retry-loop.js';
import { repeatableError, repeatableReply } from './retry-reason.js';

/** Options of {@link retry}. */
export interface RetryOptions {
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
  /** What retries are paid from. Default `'own'`, a budget of this layer alone; null for no limit. */
  readonly budget: RetryBudget | 'own' | null;
}

/** The defaults of {@link retry}. */
export const retryDefaults: Readonly<RetryOptions> = Object.freeze({
  attempts: 3,
  baseMs: 25,
  maxMs: 250,
  maxRetryAfterMs: 1_000,
  statuses: Object.freeze([502, 503, 504]),
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
 * @throws ConfigError if an option is wrong
 */
export function retry(options?: Partial<RetryOptions>): Middleware {
  const given = resolveOptions<RetryOptions>('retry', options, retryDefaults, {
    attempts: checks.integer(1, 10),
    baseMs: checks.ms(),
    maxMs: checks.ms(),
    maxRetryAfterMs: checks.ms(),
    statuses: checks.listOf(checks.integer(400, 599)),
    budget: isBudget,
  });
  const budget = given.budget === 'own' ? retryBudget() : given.budget;
  const settings: RetrySettings = { ...given, budget, statuses: new Set(given.statuses) };
  // Nearly every reply is below this, and is then not looked at any closer.
  const suspicious = Math.min(429, ...given.statuses);

  if (given.attempts === 1) {
    return named('retry', (call, next) => {
      if (call.attempt === 1) budget?.deposit(call.at);
      return next(call);
    });
  }
  return named('retry', (call, next) => {
    // An attempt that a layer above makes again is not a request of its own: it would pay for its own repetition.
    if (call.attempt === 1) budget?.deposit(call.at);
    // The first attempt pays nothing for the others: p-retry is entered only once it has failed.
    return next(call).then(
      (reply): Reply | Promise<Reply> => {
        if (reply.status < suspicious) return reply;
        const repeatable = repeatableReply(reply, settings.statuses);
        return repeatable === 'never' ? reply : new RetryLoop(call, next, settings).after(reply, null, repeatable);
      },
      (error: unknown): Promise<Reply> => {
        const repeatable = repeatableError(error);
        if (repeatable === 'never') throw error;
        return new RetryLoop(call, next, settings).after(null, error, repeatable);
      },
    );
  });
}
