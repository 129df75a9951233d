/** @module Policies: what is done about calls that fail, take too long, or are too many. */

export * from './breaker/breaker.js';
export * from './fallback/fallback.js';
export * from './hedge/hedge.js';
export * from './hedge/race.js';
export * from './limits/keyed-buckets.js';
export * from './limits/throttle.js';
export * from './limits/token-bucket.js';
export * from './pace/pace.js';
export * from './policy-mode.js';
export * from './retry/backoff.js';
export * from './retry/retry.js';
export { type RetryBudget, type RetryBudgetOptions, retryBudget, retryBudgetDefaults } from './retry/retry-budget.js';
export * from './time/deadline.js';
export * from './time/timeout.js';
export * from './trials/inject-fault.js';
export * from './trials/mirror.js';
