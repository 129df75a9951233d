/** @module What a rate limit needs to know. */
import type { IncomingMessage } from 'node:http';
import { type Call, type Checks, check, checks } from '@fairlead/core';
import type { Limiter, SharedLimiter } from './limiter.js';

/** Tells callers apart. Give untrusted input a bound: every different key costs memory. */
export type CallerKey = (call: Call, request: IncomingMessage) => string;

/** Options of `rateLimit`. */
export interface RateLimitOptions {
  /** Who counts: in this process, or for a fleet. There is no default. */
  readonly limiter: Limiter | SharedLimiter;
  /** Whose quota a request counts against. There is no default; see `clientAddress` and `apiKey`. */
  readonly key: CallerKey;
  /** Name of the policy, shown to clients: letters, digits, `.`, `_` and `-`. Default `default`. */
  readonly name: string;
  /** What a request counts, or a function that says so; 0 lets it pass unasked. Default 1. */
  readonly cost: number | ((call: Call) => number);
  /** Whether to tell it in `RateLimit` and `RateLimit-Policy`, the fields of the draft. Default true. */
  readonly draftHeaders: boolean;
  /**
   * Whether to tell it in `X-RateLimit-Limit`, `-Remaining` and `-Reset` (seconds), too, for clients that read nothing else.
   * There is room for one limit in these: of several, the one of which least is left. Default false.
   */
  readonly legacyHeaders: boolean;
}

/** What must be given to `rateLimit`, and what may be. */
export type RateLimitInit = Pick<RateLimitOptions, 'limiter' | 'key'> & Partial<RateLimitOptions>;

/** Defaults of {@link RateLimitOptions}, but for those that must be given. */
export const rateLimitDefaults: Pick<RateLimitOptions, 'name' | 'cost' | 'draftHeaders' | 'legacyHeaders'> =
  Object.freeze({
    name: 'default',
    cost: 1,
    draftHeaders: true,
    legacyHeaders: false,
  });

function isLimiter(value: unknown): boolean {
  const { take, ask, perSecond, burst, windowMs = 1 } = (value ?? {}) as Partial<Limiter & SharedLimiter>;
  const asks = typeof take === 'function' || typeof ask === 'function';
  return asks && [perSecond, burst, windowMs].every((n) => typeof n === 'number' && n > 0);
}

/** @internal */
export const rateLimitChecks: Checks<RateLimitOptions> = {
  limiter: check('a limiter: take(key, now, cost), or ask(key, cost, scope), with perSecond and burst', isLimiter),
  key: checks.fn('a function from a call and its request to a string'),
  name: check('letters, digits, ".", "_" and "-"', (v) => typeof v === 'string' && /^[A-Za-z0-9._-]+$/.test(v)),
  cost: checks.either(checks.number(0), checks.fn()),
  draftHeaders: checks.boolean(),
  legacyHeaders: checks.boolean(),
};
