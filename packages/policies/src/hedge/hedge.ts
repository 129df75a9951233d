/** @module Asks somebody else too when an answer takes longer than answers do. */
import {
  type Call,
  type Check,
  check,
  checks,
  type Handler,
  isOnce,
  type Middleware,
  named,
  type Reply,
  resolveOptions,
} from '@fairlead/core';
import { isMode } from '../policy-mode.js';
import { isRetryBudget } from '../retry/retry-budget.js';
import { HedgeRace } from './hedge-race.js';
import { type HedgeOptions, HedgeRules } from './hedge-rules.js';

export { hedged } from './hedge-race.js';
export type { HedgeOptions } from './hedge-rules.js';

/** The defaults of {@link hedge}. */
export const hedgeDefaults: Readonly<HedgeOptions> = Object.freeze({
  mode: 'on',
  attempts: 3,
  delayMs: null,
  quantile: 0.95,
  minDelayMs: 1,
  minCalls: 50,
  ratio: 0.1,
  minWinRatio: 0.6,
  statuses: Object.freeze([502, 503, 504]),
  budget: null,
});

const isBudget: Check = check('a retryBudget(), or null', (value) => value === null || isRetryBudget(value));

/**
 * Makes a layer that sends a request once more, elsewhere, if it has not been answered within the time that nearly all
 * answers take, and again after the same time. The first good answer wins; the others are canceled on the wire. An attempt
 * that fails does not end the call while another one is out; if the last one fails, its failure is the call's, and a matter
 * for `retry`.
 *
 * Only idempotent calls are hedged, and only bodies that can be sent again. Stands below `retry`, so that each of its
 * attempts is hedged by itself, and above the attempt timeout and the balancer, which chooses an endpoint that was not
 * tried yet. Where the service is loaded it stops by itself: hedges that win no
 * more often than chance are no use.
 *
 * One layer is for one service: latencies are observed. Tells `hedge.sent`, `hedge.won`, `hedge.refused`.
 *
 * Source: Dean and Barroso, "The Tail at Scale", CACM 2013; backup requests of Finagle; gRFC A6 for what stops it.
 * @throws ConfigError if an option is wrong
 */
export function hedge(options?: Partial<HedgeOptions>): Middleware {
  const given = resolveOptions<HedgeOptions>('hedge', options, hedgeDefaults, {
    mode: isMode,
    attempts: checks.integer(2, 5),
    delayMs: checks.orNull(checks.ms(1)),
    quantile: check('a share from 0.5 to below 1', (v) => typeof v === 'number' && v >= 0.5 && v < 1),
    minDelayMs: checks.ms(),
    minCalls: checks.integer(20),
    ratio: checks.ratio(),
    minWinRatio: checks.ratio(),
    statuses: checks.listOf(checks.integer(400, 599)),
    budget: isBudget,
  });
  if (given.mode === 'off') return named('hedge', (call: Call, next: Handler): Promise<Reply> => next(call));
  const rules = new HedgeRules(given);
  return named('hedge', (call: Call, next: Handler): Promise<Reply> => {
    if (!call.idempotent || isOnce(call.body)) return next(call);
    rules.called(call.at);
    return rules.delayMs === Number.POSITIVE_INFINITY
      ? watch(rules, call, next)
      : new HedgeRace(rules, call, next).begin();
  });
}

/** Nothing is known yet of how long answers take. */
function watch(rules: HedgeRules, call: Call, next: Handler): Promise<Reply> {
  return next(call).then((reply) => {
    if (!rules.statuses.has(reply.status)) rules.took(reply.at - call.at, reply.at);
    return reply;
  });
}
