/** @module Policies: what is done about calls that fail, take too long, or are too many. */
export * from './backoff.js';
export * from './breaker.js';
export * from './deadline.js';
export * from './fallback.js';
export * from './hedge.js';
export * from './inject-fault.js';
export * from './keyed-buckets.js';
export * from './mirror.js';
export * from './pace.js';
export * from './policy-mode.js';
export * from './race.js';
export * from './retry.js';
export { type RetryBudget, type RetryBudgetOptions, retryBudget, retryBudgetDefaults } from './retry-budget.js';
export * from './throttle.js';
export * from './timeout.js';
export * from './token-bucket.js';
