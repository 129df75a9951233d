/**
 * @module Refuses callers that ask for more than their quota, and tells all of them where they stand: `RateLimit` and
 * `RateLimit-Policy` in the form of draft-ietf-httpapi-ratelimit-headers-10 and -11.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import {
  type Call,
  type Checks,
  check,
  checks,
  type Middleware,
  named,
  rejected,
  resolveOptions,
} from '@fairlead/core';
import { exchangeOf } from './exchange.js';
import { type LimitRefusal, wholeSeconds } from './refusal.js';

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

/** Counts per key: a table of token buckets, for instance. */
export interface Limiter {
  /** Takes `cost` (default 1) for `key` at monotonic time `now`, or nothing at all if there is not enough. */
  take(key: string, now: number, cost?: number): LimitVerdict;
  /** What is granted per second in the long run. */
  readonly perSecond: number;
  /** What can be had at once after a rest. */
  readonly burst: number;
  /** How long that rest is, in ms. Default `burst` divided by `perSecond`. */
  readonly windowMs?: number;
}

/** Tells callers apart. Give untrusted input a bound: every different key costs memory. */
export type CallerKey = (call: Call, request: IncomingMessage) => string;

/** Options of {@link rateLimit}. */
export interface RateLimitOptions {
  /** Who counts. There is no default. */
  readonly limiter: Limiter;
  /** Whose quota a request counts against. There is no default; see `clientAddress` and `apiKey`. */
  readonly key: CallerKey;
  /** Name of the policy, shown to clients: letters, digits, `.`, `_` and `-`. Default `default`. */
  readonly name: string;
  /** What a request counts, or a function that says so; 0 lets it pass unasked. Default 1. */
  readonly cost: number | ((call: Call) => number);
  /**
   * Whether to tell it in `X-RateLimit-Limit`, `-Remaining` and `-Reset` (seconds), too, for clients that read nothing else.
   * There is room for one limit in these: of several, the one of which least is left. Default false.
   */
  readonly legacyHeaders: boolean;
}

/** Defaults of {@link RateLimitOptions}, but for those that must be given. */
export const rateLimitDefaults: Pick<RateLimitOptions, 'name' | 'cost' | 'legacyHeaders'> = Object.freeze({
  name: 'default',
  cost: 1,
  legacyHeaders: false,
});

function isLimiter(value: unknown): boolean {
  const { take, perSecond, burst, windowMs = 1 } = (value ?? {}) as Partial<Limiter>;
  return typeof take === 'function' && [perSecond, burst, windowMs].every((n) => typeof n === 'number' && n > 0);
}

const rules: Checks<RateLimitOptions> = {
  limiter: check('a limiter: take(key, now, cost) with perSecond and burst', isLimiter),
  key: checks.fn('a function from a call and its request to a string'),
  name: check('letters, digits, ".", "_" and "-"', (v) => typeof v === 'string' && /^[A-Za-z0-9._-]+$/.test(v)),
  cost: checks.either(checks.number(0), checks.fn()),
  legacyHeaders: checks.boolean(),
};

/**
 * Makes the layer. What it refuses is a `RejectedError` by `limit`, which the guard answers with 429.
 * @throws ConfigError if an option is missing, unknown or wrong
 */
export function rateLimit(options: Pick<RateLimitOptions, 'limiter' | 'key'> & Partial<RateLimitOptions>): Middleware {
  // Null is what both checks refuse, so that a missing option is reported like a wrong one.
  const given = { ...options, limiter: options?.limiter ?? null, key: options?.key ?? null };
  const resolved = resolveOptions<RateLimitOptions>(
    'rateLimit',
    given as RateLimitOptions,
    rateLimitDefaults as RateLimitOptions,
    rules,
  );
  const { limiter, key, name, cost, legacyHeaders } = resolved;
  const policy = policyField(name, limiter);
  const prefix = `"${name}";r=`;

  return named('rateLimit', (call, next) => {
    try {
      const units = typeof cost === 'number' ? cost : cost(call);
      if (units === 0) return next(call);
      const { request, response } = exchangeOf(call);
      const caller = key(call, request);
      const verdict = limiter.take(caller, call.at, units);
      const { allowed, retryAfterMs } = verdict;
      const state = `${prefix}${verdict.remaining};t=${wholeSeconds(verdict.resetMs)}`;
      if (!response.headersSent) {
        addToList(response, 'RateLimit-Policy', policy);
        addToList(response, 'RateLimit', state);
        if (legacyHeaders) tellLegacy(response, verdict);
      }
      if (allowed) return next(call);
      call.runtime.on?.({ type: 'limit.refused', service: call.service, by: 'limit', key: caller, retryAfterMs });
      const error = rejected('limit', call.service, `${call.service}: over the limit "${name}"`, retryAfterMs);
      return Promise.reject(Object.assign(error, { policy: name, key: caller }) satisfies LimitRefusal);
    } catch (error) {
      return Promise.reject(error);
    }
  });
}

/**
 * `"default";q=100;w=60`: the draft has whole seconds and whole units only, so the rate is told over the shortest whole
 * number of seconds in which a spent burst comes back.
 */
function policyField(name: string, { perSecond, burst, windowMs = (burst / perSecond) * 1000 }: Limiter): string {
  const seconds = Math.max(1, wholeSeconds(windowMs));
  const exact = seconds * 1000 === windowMs;
  return `"${name}";q=${Math.max(1, Math.floor(exact ? burst : perSecond * seconds))};w=${seconds}`;
}

/** Both fields are lists, to which every limit of a stack adds its own member. */
function addToList(response: ServerResponse, field: string, member: string): void {
  const before = response.getHeader(field);
  response.setHeader(field, before === undefined ? member : `${String(before)}, ${member}`);
}

/** The three fields in which servers told their limits before there was a draft, by the same quota as the others. */
function tellLegacy(response: ServerResponse, { limit, remaining, resetMs }: LimitVerdict): void {
  const before = response.getHeader('X-RateLimit-Remaining');
  if (before !== undefined && Number(before) <= remaining) return;
  response.setHeader('X-RateLimit-Limit', String(limit));
  response.setHeader('X-RateLimit-Remaining', String(remaining));
  response.setHeader('X-RateLimit-Reset', String(wholeSeconds(resetMs)));
}
