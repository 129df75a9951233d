/** @module What can be set for the policies of a service. Times are in ms, shares from 0 to 1. */
import type { Call, Outcome, Verdict } from '@fairlead/core';
import type { FallbackFunction, FallbackReply, PaceLimiter, PolicyMode } from '@fairlead/policies';

/** When to try again. */
export interface RetrySettings {
  /** `shadow` repeats nothing and counts what it would have repeated. Default `on`. */
  readonly mode: PolicyMode;
  /** Longest wait before the second attempt. Default 25. */
  readonly baseMs: number;
  /** Longest wait before any attempt. Default 250. */
  readonly maxMs: number;
  /** Longest `Retry-After` that is waited for. Default 1 000. */
  readonly maxRetryAfterMs: number;
  /** Statuses that an idempotent request is repeated after. Default 502, 503, 504. */
  readonly statuses: readonly number[];
  /**
   * Replies to idempotent calls with a body of up to so many bytes are awaited whole, so that one that breaks in the middle is
   * a failed attempt, too. Up to 65 536, the default; 0 awaits none.
   */
  readonly wholeReplyBytes: number;
}

/** How many retries there may be. */
export interface BudgetSettings {
  /** Retries per request. Default 0.1. */
  readonly ratio: number;
  /** Retries per second that are allowed whatever the traffic. Default 10. */
  readonly minPerSecond: number;
  /** Of these, how many per second may fail, too. Default 1. */
  readonly minFailingPerSecond: number;
  /** So many processes call the service and share `minFailingPerSecond`. Default 1. */
  readonly processes: number;
  /** How long a request counts. Default 10 000. */
  readonly ttlMs: number;
}

/** When to ask somebody else, too. */
export interface HedgeSettings {
  /** `shadow` counts the calls that it would have hedged. Default `on`. */
  readonly mode: PolicyMode;
  /** All attempts that may be out at the same time, with the first, from 2 to 5. Default 3. */
  readonly attempts: number;
  /** How long to wait before each further attempt. Default null: as long as 95 % of answers take. */
  readonly delayMs: number | null;
  /** The share of answers that is not waited for longer than, where `delayMs` is null. Default 0.95. */
  readonly quantile: number;
  /** Further attempts per call at most. Default 0.1. */
  readonly ratio: number;
  /** Share of further attempts that must win for hedging to go on. Default 0.6. */
  readonly minWinRatio: number;
}

/** When to stop calling a service. */
export interface BreakerSettings {
  /** `shadow` refuses nothing and counts what it would have refused. Default `on`. */
  readonly mode: PolicyMode;
  /** Share of failures at which it opens. Default 0.5. */
  readonly errorRatio: number;
  /** Calls that must be in the window before it may open. Default 20. */
  readonly minCalls: number;
  /** How long a call counts. Default 10 000. */
  readonly windowMs: number;
  /** How long it stays open at first. Default 5 000. */
  readonly openMs: number;
  /** How long it stays open at most, after probes that failed. Default 30 000. */
  readonly maxOpenMs: number;
  /** Each time is shortened by up to this share of itself, at random. Default 0.2. */
  readonly jitterRatio: number;
  /** Probes that must succeed before it closes. Default 1. */
  readonly probes: number;
  /** When a probe that has not ended counts as failed. Default 10 000. */
  readonly probeTimeoutMs: number;
  /** A call that took longer is a slow one. Default null: none is. */
  readonly slowMs: number | null;
  /** Share of slow calls at which it opens. Default 0.9. */
  readonly slowRatio: number;
  /** What an outcome says of the service. Default: core's `judge`. */
  readonly judge: (outcome: Outcome) => Verdict;
  /** What counts. Default `own`; `opossum` decides alike, and a failure costs more. */
  readonly engine: 'own' | 'opossum';
}

/** When to send a service less than is asked of it. */
export interface ThrottleSettings {
  /** `shadow` refuses nothing and counts what it would have refused. Default `on`. */
  readonly mode: PolicyMode;
  /** How many calls are let through for each that is accepted, above 1. Default 2. */
  readonly k: number;
  /** How long a call counts, from 1 s to 120 s. Default 10 000. */
  readonly windowMs: number;
  /** The most that is refused, as a share below 1. Default 0.95. */
  readonly maxRatio: number;
  /** Calls that must be in the window before anything is refused. Default 20. */
  readonly minCalls: number;
}

/** How calls wait for their turn. */
export interface PaceSettings {
  /** `shadow` makes nothing wait and counts what would have. Default `on`. */
  readonly mode: PolicyMode;
  /** Calls let go per second, from 0.001 to 2 000. Default 10. */
  readonly perSecond: number;
  /** Calls that may wait; one more is refused. Default 1 000. */
  readonly maxQueue: number;
  /** From 0, which goes first, to 9. Default null: 5 for every call. */
  readonly priority: ((call: Call) => number) | null;
  /** Whether 429, `Retry-After` and `RateLimit` fields of the answers change the pace. Default true. */
  readonly learn: boolean;
  /** A `fleetPace()`, or a `Bottleneck` in Redis mode, which a fleet shares. Default null: the pace is that of this process alone. */
  readonly limiter: PaceLimiter | null;
}

/** Where copies of calls go. */
export interface MirrorSettings {
  /** The name of another service of this client. Default null: no copies are made. */
  readonly to: string | null;
  /** `shadow` sends nothing and counts what it would have sent. Default `on`. */
  readonly mode: PolicyMode;
  /** Share of calls that are copied. Default 0.01. */
  readonly ratio: number;
  /** Copies that may be under way at the same time. Default 100. */
  readonly maxInFlight: number;
  /** How long a copy may take with its body. Default 10 000. */
  readonly timeoutMs: number;
  /** Whether calls are copied that are not idempotent. Default false. */
  readonly unsafe: boolean;
}

/** Which faults, and whom they hit. */
export interface InjectFaultSettings {
  /** `shadow` counts the calls that it would have hit. Default `on`. */
  readonly mode: PolicyMode;
  /** Share of attempts that are hit. Default 0. */
  readonly ratio: number;
  /** Only calls with this request header, in lower case. Default null: all. */
  readonly header: string | null;
  /** Added before an attempt is sent. Default 0. */
  readonly latencyMs: number;
  /** Answered with this status instead of being sent, from 200 to 599. Default null. */
  readonly abortStatus: number | null;
  /** Fails as if the connection had been reset; not together with `abortStatus`. Default false. */
  readonly reset: boolean;
  /** Time added before each piece of the reply's body. Default 0. */
  readonly slowBodyMs: number;
  /** Also where `NODE_ENV` is `production`, which is refused otherwise. Default false. */
  readonly force: boolean;
}

/** What stands in for an answer that did not come. */
export interface FallbackSettings {
  /** `shadow` replaces nothing and counts what it would have replaced. Default `on`. */
  readonly mode: PolicyMode;
  /** The stand-in, or what makes it. Default null: none. */
  readonly to: FallbackReply | FallbackFunction | null;
  /** The name of another service of this client that is asked instead, in the place of `to`. Default null: none. */
  readonly service: string | null;
  /** Keeps the last good answers to GET and HEAD, of which one that fits comes first; false, the default, for none. */
  readonly stale: false | StaleSettings;
  /** Replies with this status or a higher one are replaced, too. Default null: no reply is. */
  readonly fromStatus: number | null;
  /** Which errors are replaced. Default: those that say that the service could not be reached in time. */
  readonly when: (error: unknown) => boolean;
}

/** Which old answers may stand in. */
export interface StaleSettings {
  /** How long after it was given. Default 300 000. */
  readonly maxAgeMs: number;
  /** Answers kept. Default 1 000. */
  readonly maxEntries: number;
  /** Bytes of all of them. Default 16 777 216. */
  readonly maxBytes: number;
  /** Bytes of the body of one. Default 65 536. */
  readonly maxBodyBytes: number;
  /** Tells callers apart who get different answers; null for what must not be kept. Default null: nothing of theirs is. */
  readonly key: ((call: Call) => string | null) | null;
}
