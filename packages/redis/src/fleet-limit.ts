/** @module The layer that holds calls to a limit shared by a fleet. */
import {
  type Call,
  type Checks,
  check,
  checks,
  type Handler,
  type Middleware,
  named,
  rejected,
  resolveOptions,
} from '@fairlead/core';
import type { FleetBuckets } from './fleet-buckets.js';
import type { FleetVerdict } from './verdict.js';

/** Options of {@link fleetLimit}. */
export interface FleetLimitOptions {
  /** Who counts. No default. */
  readonly buckets: FleetBuckets;
  /** Whose quota a call counts against. No default. */
  readonly key: (call: Call) => string;
  /** Name of the policy, shown to inbound clients: letters, digits, `.`, `_` and `-`. Default `default`. */
  readonly name: string;
  /** What a call counts, or a function that says so; 0 lets it pass unasked. Default 1. */
  readonly cost: number | ((call: Call) => number);
}

/** Defaults of {@link FleetLimitOptions}, but for those that must be given. */
export const fleetLimitDefaults: Readonly<Pick<FleetLimitOptions, 'name' | 'cost'>> = Object.freeze({
  name: 'default',
  cost: 1,
});

const rules: Checks<FleetLimitOptions> = {
  buckets: check('what fleetBuckets gives', (v) => typeof (v as Partial<FleetBuckets> | null)?.ask === 'function'),
  key: checks.fn('a function from a call to a string'),
  name: check('letters, digits, ".", "_" and "-"', (v) => typeof v === 'string' && /^[A-Za-z0-9._-]+$/.test(v)),
  cost: checks.either(checks.number(0), checks.fn()),
};

/**
 * Makes a layer, for either direction, that asks `buckets` about each call and waits for the answer if there is a question
 * to Redis in it, at most their `timeoutMs`. What it refuses is a `RejectedError` by `limit` with the time after which the same call would be allowed,
 * Infinity if it never would be; `guard()` answers it with 429. Tells `limit.refused`. A call that is canceled meanwhile ends with the reason.
 * @throws ConfigError if an option is missing, unknown or wrong
 */
export function fleetLimit(
  options: Pick<FleetLimitOptions, 'buckets' | 'key'> & Partial<FleetLimitOptions>,
): Middleware {
  // Null is what both checks refuse, so that a missing option is reported like a wrong one.
  const given = { ...options, buckets: options?.buckets ?? null, key: options?.key ?? null };
  const resolved = resolveOptions<FleetLimitOptions>(
    'fleetLimit',
    given as FleetLimitOptions,
    fleetLimitDefaults as FleetLimitOptions,
    rules,
  );
  const { buckets, key, name, cost } = resolved;

  const settle = (call: Call, next: Handler, caller: string, { allowed, retryAfterMs }: FleetVerdict) => {
    if (allowed) return next(call);
    const { service } = call;
    call.runtime.on?.({ type: 'limit.refused', service, by: 'limit', key: caller, retryAfterMs });
    const error = rejected('limit', service, `${service}: over the fleet's limit "${name}"`, retryAfterMs);
    return Promise.reject(Object.assign(error, { policies: [name], key: caller }));
  };
  return named('fleetLimit', (call, next) => {
    try {
      const units = typeof cost === 'number' ? cost : cost(call);
      if (units === 0) return next(call);
      const caller = key(call);
      const verdict = buckets.ask(caller, units, call.scope);
      if (!(verdict instanceof Promise)) return settle(call, next, caller, verdict);
      return verdict.then((answer) => settle(call, next, caller, answer));
    } catch (error) {
      return Promise.reject(error);
    }
  });
}
