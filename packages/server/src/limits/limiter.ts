/** @module Who counts for a rate limit: in this process, or in one place for a fleet. */
import type { Scope } from '@fairlead/core';

/** What a {@link Limiter} has decided. The object may be used again for the next decision, so read it at once. */
export interface LimitVerdict {
  readonly allowed: boolean;
  /** The most that can be had at once. */
  readonly limit: number;
  /** What can be had now, a whole number. */
  readonly remaining: number;
  /** Until there is at least one unit more than `remaining`, in ms; 0 if there is as much as there can be. */
  readonly resetMs: number;
  /** Until the same request would be allowed, in ms; 0 if it was, Infinity if it never will be. Not below `resetMs`. */
  readonly retryAfterMs: number;
}

/** What every limiter says about itself. */
export interface Quota {
  /** What is granted per second in the long run. */
  readonly perSecond: number;
  /** What can be had at once after a rest. */
  readonly burst: number;
  /** How long that rest is, in ms. Default `burst` divided by `perSecond`. */
  readonly windowMs?: number;
}

/** Counts per key, in this process: a table of token buckets, for instance. */
export interface Limiter extends Quota {
  /** Takes `cost` (default 1) for `key` at monotonic time `now`, or nothing at all if there is not enough. */
  take(key: string, now: number, cost?: number): LimitVerdict;
  /**
   * Takes a `take` of `cost` back, because another limit has refused the same request. Called at once, with the same `now`,
   * or after the answer of a shared limiter. A limit that stands in a list with others must have it.
   */
  giveBack?(key: string, now: number, cost: number): void;
}

/** Counts per key for a fleet: buckets in Redis, for instance. Needs time for an answer, unless it knows already. */
export interface SharedLimiter extends Quota {
  /**
   * Takes `cost` for `key`, or nothing at all if there is not enough. Rejects only with the reason of `scope`, if that
   * ends first.
   */
  ask(key: string, cost: number, scope: Scope): LimitVerdict | Promise<LimitVerdict>;
  /** Takes an `ask` of `cost` back that was made at monotonic time `since` or later; see {@link Limiter.giveBack}. */
  giveBack?(key: string, since: number, cost: number): void;
}

/** Whether the limiter is one for a fleet. */
export function isShared(limiter: Limiter | SharedLimiter): limiter is SharedLimiter {
  return typeof (limiter as Partial<SharedLimiter>).ask === 'function';
}
