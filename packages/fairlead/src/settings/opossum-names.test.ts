/**
 * Catches: options of a breaker under the names of opossum that are refused, mean something else in settings than in a
 * breaker, or whose problems are told of somebody else.
 */
import { ConfigError } from '@fairlead/core';
import { expect, it } from 'vitest';
import type { ClientOptions } from './client-settings.js';
import { resolveClient } from './resolve.js';

const breakerOf = (options: ClientOptions): unknown => resolveClient(options, {}).services.get('a')?.values.breaker;

it('are options of a service, and of all', () => {
  const breaker = { errorThresholdPercentage: 30, volumeThreshold: 0, resetTimeout: 2_000, rollingCountTimeout: 500 };
  const meant = { errorRatio: 0.3, minCalls: 1, openMs: 2_000, windowMs: 500 };
  const quiet = { rollingCountBuckets: 5, name: 'a', engine: 'opossum' } as const;
  expect(breakerOf({ services: { a: { from: 'http://a', breaker: { ...breaker, ...quiet } } } })).toMatchObject({
    ...meant,
    engine: 'opossum',
  });
  expect(
    breakerOf({ defaults: { breaker }, services: { a: { from: 'http://a', breaker: { probes: 3 } } } }),
  ).toMatchObject({
    ...meant,
    probes: 3,
  });
  expect(breakerOf({ services: { a: { from: 'http://a', breaker: { enabled: false } } } })).toMatchObject({
    mode: 'off',
  });
});

it('what is wrong with them is told with everything else', () => {
  const breaker = { timeout: 3_000, errorThresholdPercentage: 200, resetTimeout: 1, openMs: 1 };
  try {
    resolveClient({ defaults: { breaker: { timeout: 1 } as object }, services: { a: { attempts: 0, breaker } } }, {});
    expect.unreachable();
  } catch (error) {
    expect((error as ConfigError).problems.map(({ name }) => name)).toEqual([
      'defaults.breaker.timeout',
      'services.a.breaker.timeout',
      'services.a.breaker.errorThresholdPercentage',
      'services.a.breaker.resetTimeout',
      'services.a.attempts',
      'services.a.from',
    ]);
    expect(error).toBeInstanceOf(ConfigError);
  }
  for (const wrong of [3, null, []]) {
    expect(() => breakerOf({ services: { a: { from: 'http://a', breaker: wrong as never } } })).toThrow(ConfigError);
  }
});
