/** @module How many calls per second may be made. */
import { type Call, checks, type Gate, nothingToReport, rejected, resolveOptions } from '@fairlead/core';
import { isMode, type PolicyMode } from '../policy-mode.js';
import { Gcra, soundCost } from './gcra.js';

/** Options of {@link tokenBucket}. */
export interface TokenBucketOptions {
  /** Default `on`. In `shadow` nothing is refused, and `policy.shadowed` is told for what would have been. */
  readonly mode: PolicyMode;
  /** Units that flow in, per second. Default 100. */
  readonly perSecond: number;
  /** Units that the bucket holds, and so the most that can be had at once; from 1. Default 100. */
  readonly burst: number;
  /** What a call costs, in units. What is not a number from 0 counts as 1. Default null: every call costs 1. */
  readonly cost: ((call: Call) => number) | null;
}

/** The defaults of {@link tokenBucket}. */
export const tokenBucketDefaults: Readonly<TokenBucketOptions> = Object.freeze({
  mode: 'on',
  perSecond: 100,
  burst: 100,
  cost: null,
});

/**
 * Makes a gate that admits at most `burst + perSecond * t` units in any time t, and refuses the rest at once, with the time
 * after which the same call would be admitted. One number of state, no timer. Tells `limit.refused`.
 *
 * A call that costs more than `burst` is never admitted; its refusal names no time.
 *
 * Source: GCRA, see {@link Gcra}.
 * @throws ConfigError if an option is wrong
 */
export function tokenBucket(options?: Partial<TokenBucketOptions>): Gate {
  const given = resolveOptions<TokenBucketOptions>('tokenBucket', options, tokenBucketDefaults, {
    mode: isMode,
    perSecond: checks.above(0),
    burst: checks.number(1),
    cost: checks.orNull(checks.fn('a function of the call')),
  });
  const { mode, perSecond, burst, cost } = given;
  if (mode === 'off') return { name: 'tokenBucket', enter: () => nothingToReport };
  const gcra = new Gcra(perSecond, burst);
  const message = `: refused by limit, ${perSecond} per second`;
  let fullAt = 0;

  return {
    name: 'tokenBucket',
    enter(call) {
      const now = call.at;
      const units = cost === null ? 1 : soundCost(cost(call));
      const after = gcra.spend(fullAt, now, units);
      const waitMs = gcra.waitMs(after, now);
      if (waitMs === 0) {
        fullAt = after;
        return nothingToReport;
      }
      const { service, runtime } = call;
      if (mode === 'shadow') {
        runtime.on?.({ type: 'policy.shadowed', service, policy: 'tokenBucket', would: 'refuse' });
        return nothingToReport;
      }
      const retryAfterMs = units > burst ? null : waitMs;
      runtime.on?.({ type: 'limit.refused', service, by: 'limit', key: null, retryAfterMs });
      return rejected('limit', service, service + message, retryAfterMs);
    },
  };
}
