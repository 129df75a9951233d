/**
 * @module Refuses callers that ask for more than their quota, and tells all of them where they stand: `RateLimit` and
 * `RateLimit-Policy` in the form of draft-ietf-httpapi-ratelimit-headers-10 and -11.
 */
import {
  type Call,
  ConfigError,
  type Dispatch,
  type Middleware,
  type Receiver,
  relay,
  resolveOptions,
} from '@fairlead/core';
import { exchangeOf } from '../exchange.js';
import { Limit } from './limit.js';
import { limitSet } from './limit-set.js';
import type { LimitVerdict } from './limiter.js';
import { overLimit } from './over-limit.js';
import { type RateLimitInit, type RateLimitOptions, rateLimitChecks, rateLimitDefaults } from './rate-limit-options.js';

/**
 * Makes the layer. What it refuses is a `RejectedError` by `limit`, which the guard answers with 429.
 *
 * Given a list, a request has to pass all of its limits, and is charged by all of them or by none.
 * @throws ConfigError if an option is missing, unknown or wrong; if two limits of a list have the same name, or one has a
 * limiter that cannot give back
 */
export function rateLimit(options: RateLimitInit | readonly RateLimitInit[]): Middleware {
  if (!Array.isArray(options)) return oneLimit(limitOf(options as RateLimitInit));
  const limits = (options as RateLimitInit[]).map(limitOf);
  checkList(limits);
  return limits.length === 1 ? oneLimit(limits[0] as Limit) : limitSet(limits);
}

function limitOf(options: RateLimitInit): Limit {
  // Null is what both checks refuse, so that a missing option is reported like a wrong one.
  const given = { ...options, limiter: options?.limiter ?? null, key: options?.key ?? null };
  return new Limit(
    resolveOptions<RateLimitOptions>(
      'rateLimit',
      given as RateLimitOptions,
      rateLimitDefaults as RateLimitOptions,
      rateLimitChecks,
    ),
  );
}

function checkList(limits: readonly Limit[]): void {
  const names = limits.map(({ name }) => name);
  const twice = names.filter((name, i) => names.indexOf(name) !== i);
  const greedy = limits.length < 2 ? [] : limits.filter(({ limiter }) => typeof limiter.giveBack !== 'function');
  const problems = [
    ...twice.map((value) => ({ name: 'rateLimit.name', value, expected: 'a name of its own for each limit' })),
    ...greedy.map(({ name }) => ({
      name: `rateLimit.limiter of "${name}"`,
      expected: 'a limiter with giveBack(key, now, cost), since another limit may refuse what this one has charged',
    })),
    ...(limits.length === 0 ? [{ name: 'rateLimit', value: limits, expected: 'at least one limit' }] : []),
  ];
  if (problems.length > 0) throw new ConfigError(problems, 'options of rateLimit');
}

/** The layer of a single limit, which has nothing to give back and nothing to put in order. */
function oneLimit(limit: Limit): Middleware {
  const settle = (call: Call, next: Dispatch, receiver: Receiver, key: string, verdict: LimitVerdict): void => {
    limit.tell(exchangeOf(call), verdict);
    if (verdict.allowed) next(call, receiver);
    else receiver.onError(overLimit(call, [{ limit, key, verdict }]));
  };
  return relay('rateLimit', (call, next, receiver) => {
    let key: string;
    let verdict: LimitVerdict | Promise<LimitVerdict>;
    try {
      const units = limit.unitsOf(call);
      if (units === 0) {
        next(call, receiver);
        return;
      }
      key = limit.key(call, exchangeOf(call).request);
      verdict = limit.ask(call, key, units);
    } catch (error) {
      receiver.onError(error);
      return;
    }
    if (!(verdict instanceof Promise)) settle(call, next, receiver, key, verdict);
    else {
      verdict.then(
        (answer) => settle(call, next, receiver, key, answer),
        (error: unknown) => receiver.onError(error),
      );
    }
  });
}
