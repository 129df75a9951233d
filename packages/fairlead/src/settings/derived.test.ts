// Would catch: a service that is given a time for its calls and none for its attempts, and then spends all of it on one
// endpoint that does not answer.
import { describe, expect, it } from 'vitest';
import { resolveClient } from './resolve.js';
import type { ServiceOptions } from './service-settings.js';

function attemptTimeout(options: Omit<ServiceOptions, 'from'>, env: Record<string, string> = {}): unknown[] {
  const { services } = resolveClient({ services: { a: { from: 'http://a:1', ...options } } }, env);
  const { values, sources } = services.get('a') as NonNullable<ReturnType<typeof services.get>>;
  return [values.attemptTimeoutMs, sources.attemptTimeoutMs];
}

describe('the time of an attempt', () => {
  it.each([
    [{}, {}, 10_000, 'default'],
    [{ timeoutMs: 2_000 }, {}, 1_000, 'default, half of timeoutMs'],
    [{}, { FAIRLEAD_TIMEOUT: '3s' }, 1_500, 'default, half of timeoutMs'],
    [{ timeoutMs: 1 }, {}, 1, 'default, half of timeoutMs'],
    [{ timeoutMs: 20_000 }, {}, 10_000, 'default'],
    [{ timeoutMs: 2_000, attempts: 1 }, {}, 10_000, 'default'],
    [{ timeoutMs: 2_000, attemptTimeoutMs: 1_500 }, {}, 1_500, 'code'],
    [{ timeoutMs: 2_000, attemptTimeoutMs: false }, {}, false, 'code'],
    [{ timeoutMs: false }, {}, 10_000, 'default'],
    [{ timeoutMs: 2_000 }, { FAIRLEAD_ATTEMPT_TIMEOUT: '2s' }, 2_000, 'FAIRLEAD_ATTEMPT_TIMEOUT'],
  ] as const)('with %j and %j is %s (%s)', (options, env, value, source) => {
    expect(attemptTimeout(options, env)).toEqual([value, source]);
  });
});
