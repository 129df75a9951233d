/** Catches: options that poison objects, or that change after they were checked. */
import { ConfigError } from '@fairlead/core';
import { describe, expect, it } from 'vitest';
import { resolveClient } from './resolve.js';

const at = 'http://10.0.0.5:8080';

/** What is wrong with options. */
function problemsOf(options: unknown): readonly unknown[] {
  try {
    resolveClient(options as never, {});
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}

describe('objects from outside', () => {
  it.each(['__proto__', 'constructor', 'prototype'])('cannot poison anything with %s', (key) => {
    const poison = JSON.parse(`{"${key}": {"polluted": true, "attempts": 9}}`) as object;
    const wrong = [
      poison,
      { services: poison },
      { defaults: poison },
      { services: { payments: JSON.parse(`{"from": "${at}", "${key}": {"polluted": true}}`) } },
      { services: { payments: { from: at, retry: poison } } },
      { services: { payments: { from: at, limit: JSON.parse(`{"perSecond": 1, "${key}": {"polluted": true}}`) } } },
    ];
    for (const options of wrong) expect(problemsOf(options)).toHaveLength(1);
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
  });

  it('cannot be changed afterwards, and resolved settings are frozen throughout', () => {
    const limit = { perSecond: 1, burst: 1 };
    const statuses = [503];
    const { services } = resolveClient({ services: { payments: { from: at, limit, retry: { statuses } } } }, {});
    const { values, sources } = services.get('payments') ?? expect.fail('no payments');
    limit.perSecond = 1_000;
    statuses.push(500);
    expect(values).toMatchObject({ limit: { perSecond: 1 }, retry: { statuses: [503] } });
    for (const each of [
      values,
      sources,
      values.retry,
      values.limit,
      values.breaker,
      values.retry.statuses,
      values.transport,
    ]) {
      expect(Object.isFrozen(each)).toBe(true);
    }
  });

  it('keep their identity if they do something', () => {
    const clock = { now: () => 0 };
    expect(resolveClient({ clock: clock as never }, {}).client.values.clock).toBe(clock);
  });
});
