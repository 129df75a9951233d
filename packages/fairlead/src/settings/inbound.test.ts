/** Catches: a limit or a way to stop that is accepted and cannot be, or that is written in a variable and read as another. */
import { ConfigError } from '@fairlead/core';
import { describe, expect, it } from 'vitest';
import { limits } from './limit-values.js';
import { resolveInbound } from './resolve.js';

const byVariables = (env: Record<string, string>) => resolveInbound({}, env).values;

function problemsOf(options: object, env: Record<string, string> = {}): { name: string }[] {
  try {
    resolveInbound(options, env);
  } catch (error) {
    if (error instanceof ConfigError) return [...error.problems];
    throw error;
  }
  throw new Error('was not refused');
}

describe('limits', () => {
  it.each([
    ['100/s', { perSecond: 100 }],
    ['100/s;burst=200', { perSecond: 100, burst: 200 }],
    ['all 60/m', { name: 'all', perSecond: 1 }],
    [
      'burst 20/s, sustained 3600/h;burst=5',
      [
        { name: 'burst', perSecond: 20 },
        { name: 'sustained', perSecond: 1, burst: 5 },
      ],
    ],
  ])('in a variable: %s', (text, expected) => {
    expect(byVariables({ FAIRLEAD_INBOUND_LIMIT: text }).limit).toMatchObject(expected);
    const kind = limits();
    expect(kind.parse(kind.format(kind.parse(text) as never))).toEqual(kind.parse(text));
  });

  it.each(['20/s, 10/s', 'a 20/s, a 10/s', 'a b 20/s', '20', 'a/b 20/s', 'burst 20/s, 1000/h, 5/m', ','])(
    'not in a variable: %s',
    (text) => {
      const [problem] = problemsOf({}, { FAIRLEAD_INBOUND_LIMIT: text });
      expect(problem).toMatchObject({
        name: 'FAIRLEAD_INBOUND_LIMIT',
        value: text,
        expected: expect.stringContaining('each with a name'),
      });
    },
  );

  const limiter = { take: () => {}, perSecond: 1, burst: 1 };
  it.each([
    [
      [
        { name: 'a', perSecond: 1 },
        { name: 'b', limiter, key: 'identity', cost: 2 },
      ],
    ],
    [{ perSecond: 1, key: () => 'x', cost: () => 1 }],
    [false],
  ])('in code: %j', (limit) => {
    expect(() => resolveInbound({ limit } as never, {})).not.toThrow();
  });

  it.each([
    [[]],
    [[{ perSecond: 1 }, { perSecond: 2 }]],
    [[{ name: 'a', perSecond: 1 }, null]],
    [{ name: 'a b', perSecond: 1 }],
    [{ perSecond: 1, limiter }],
    [{ limiter: {} }],
    [{ perSecond: 1, key: 'address ' }],
    [{ perSecond: 1, cost: -1 }],
    [[{ name: 'a', perSecond: 1, busrt: 2 }]],
    ['100/s'],
    [true],
  ])('not in code: %j', (limit) => {
    expect(problemsOf({ limit }).map(({ name }) => name.split('.', 2).join('.'))).toContain('guard.limit');
  });

  it('name a part that is misspelt', () => {
    expect(problemsOf({ limit: { perSecond: 1, busrt: 2 } })).toMatchObject([
      { name: 'guard.limit.busrt', didYouMean: 'burst' },
    ]);
  });
});

describe('stopping', () => {
  it.each(['SIGTEM', 'SIGKILL', 'TERM'])('not on %s, which nobody would ever hear', (signal) => {
    expect(problemsOf({ drain: { signals: [signal] } })).toMatchObject([{ name: 'guard.drain.signals' }]);
    expect(() => byVariables({ FAIRLEAD_INBOUND_DRAIN_SIGNALS: `SIGTERM,${signal}` })).toThrow(ConfigError);
  });

  it('on other signals, and with patience for the cleanup', () => {
    const env = { FAIRLEAD_INBOUND_DRAIN_SIGNALS: 'SIGTERM, SIGINT', FAIRLEAD_INBOUND_DRAIN_CLEANUP_TIMEOUT: '10s' };
    expect(byVariables(env).drain).toMatchObject({ signals: ['SIGTERM', 'SIGINT'], cleanupTimeoutMs: 10_000 });
    expect(problemsOf({}, { FAIRLEAD_INBOUND_DRAIN_SIGNALS: 'TERM' })).toMatchObject([
      { name: 'FAIRLEAD_INBOUND_DRAIN_SIGNALS', value: 'TERM' },
    ]);
    expect(problemsOf({ drain: { farewell: 'bye', signals: 'SIGTERM' } })).toMatchObject([
      { name: 'guard.drain.farewell' },
      { name: 'guard.drain.signals' },
    ]);
  });
});

it('shedding whose bounds do not fit is told with everything else', () => {
  const env = { FAIRLEAD_INBOUND_SHED_MAX_LIMIT: '3', FAIRLEAD_INBOUND_CRITICALITY: 'vital' };
  expect(
    problemsOf({}, env)
      .map(({ name }) => name)
      .sort(),
  ).toEqual(['FAIRLEAD_INBOUND_CRITICALITY', 'FAIRLEAD_INBOUND_SHED_MAX_LIMIT']);
  expect(byVariables({ FAIRLEAD_INBOUND_CRITICALITY: 'sheddable' }).criticality).toBe('sheddable');
});

it('who a caller is, by variables', () => {
  const env = { FAIRLEAD_INBOUND_KEY: 'Identity', FAIRLEAD_INBOUND_IPV6_BITS: '56' };
  expect(byVariables(env)).toMatchObject({ key: 'identity', ipv6Bits: 56 });
  expect(problemsOf({}, { FAIRLEAD_INBOUND_KEY: 'adress', FAIRLEAD_INBOUND_IPV6_BITS: '16' })).toMatchObject([
    { name: 'FAIRLEAD_INBOUND_KEY', didYouMean: 'address' },
    { name: 'FAIRLEAD_INBOUND_IPV6_BITS' },
  ]);
});
