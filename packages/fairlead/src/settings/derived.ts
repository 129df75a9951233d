/** @module Defaults that depend on other settings. */
import type { Resolved } from './merge.js';
import type { ServiceSettings } from './service-settings.js';

/**
 * The settings of a service with what nobody has set worked out from what somebody has. The time of an attempt is at most
 * half of the time of the call, where there are retries: with more, an endpoint that never answers would take all of the
 * time of the calls that it gets, none of them could be tried elsewhere, and nobody would find out that it is the endpoint.
 */
export function withDerived(resolved: Resolved<ServiceSettings>): Resolved<ServiceSettings> {
  const { values, sources } = resolved;
  const { timeoutMs, timeoutMode, attemptTimeoutMs, attempts, retry } = values;
  const repeats = attempts > 1 && retry.mode !== 'off';
  if (sources.attemptTimeoutMs !== 'default' || !repeats) return resolved;
  if (timeoutMs === false || timeoutMode === 'off' || attemptTimeoutMs === false) return resolved;
  const share = Math.max(1, Math.floor(timeoutMs / 2));
  if (share >= attemptTimeoutMs) return resolved;
  return Object.freeze({
    values: Object.freeze({ ...values, attemptTimeoutMs: share }),
    sources: Object.freeze({ ...sources, attemptTimeoutMs: 'default, half of timeoutMs' }),
  });
}
