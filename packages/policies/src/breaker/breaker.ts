/** @module Stops calling a service that fails, until it has shown that it works again. */
import { checks, resolveOptions } from '@fairlead/core';
import { isMode } from '../policy-mode.js';
import { type OpossumNames, withoutOpossumNames } from './breaker-opossum-names.js';
import { type Breaker, type BreakerOptions, breakerDefaults } from './breaker-options.js';
import { ServiceBreaker } from './breaker-state.js';

export { type OpossumNames, withoutOpossumNames } from './breaker-opossum-names.js';
export * from './breaker-options.js';

/**
 * Makes a circuit breaker for one service. Closed, it counts successes and failures over `windowMs`; at `minCalls` calls of
 * which `errorRatio` failed, or `slowRatio` took longer than `slowMs`, it opens and refuses every call with a
 * `RejectedError` by `breaker` that says when to come back. After `openMs` `probes` calls are let in: if all of them succeed
 * the breaker closes with an empty window, if one fails, is slow or does not end it opens for twice as long. Outcomes that
 * say nothing of the service (`ignored`, `overload`) are not counted.
 *
 * It belongs to a service, above retries: single endpoints are looked after by the balancer. Use one for one service only.
 * Tells `breaker.opened`, `breaker.halfOpened` and `breaker.closed`; in shadow, `policy.shadowed`. Options may also go by
 * the names of opossum, see {@link OpossumNames}.
 *
 * Source: Nygard, "Release It!"; slow calls and several probes as in Resilience4j; exponential open time
 * with jitter as Brooker has it for retries.
 * @throws ConfigError if an option is wrong
 */
export function breaker(options?: Partial<BreakerOptions> & OpossumNames): Breaker {
  return new ServiceBreaker(
    resolveOptions<BreakerOptions>('breaker', withoutOpossumNames(options), breakerDefaults, {
      mode: isMode,
      errorRatio: checks.ratio(),
      minCalls: checks.integer(1),
      windowMs: checks.ms(100),
      slowMs: checks.orNull(checks.ms(1)),
      slowRatio: checks.ratio(),
      openMs: checks.ms(1),
      maxOpenMs: checks.ms(1),
      jitterRatio: checks.ratio(),
      probes: checks.integer(1, 100),
      probeTimeoutMs: checks.ms(1),
      judge: checks.fn('a function of the outcome'),
      engine: checks.oneOf('own', 'opossum'),
    }),
  );
}
