/** @module The refusal of a request that is over one of its limits, or several. */
import { type Call, rejected } from '@fairlead/core';
import type { LimitRefusal } from '../refusal.js';
import type { Limit } from './limit.js';
import type { LimitVerdict } from './limiter.js';

/** A limit that a request has violated. */
export interface Violation {
  readonly limit: Limit;
  readonly key: string;
  readonly verdict: LimitVerdict;
}

/** Tells each, and makes an error of them: with the time after which none would refuse the same request again. */
export function overLimit(call: Call, violations: readonly Violation[]): LimitRefusal {
  const { service, runtime } = call;
  let longestMs = 0;
  for (const { key, verdict } of violations) {
    const { retryAfterMs } = verdict;
    longestMs = Math.max(longestMs, retryAfterMs);
    runtime.on?.({ type: 'limit.refused', service, by: 'limit', key, retryAfterMs });
  }
  const names = violations.map(({ limit }) => limit.name);
  const error = rejected('limit', service, `${service}: over the limit "${names.join('", "')}"`, longestMs);
  return Object.assign(error, { policies: names, key: violations[0]?.key ?? '' });
}
