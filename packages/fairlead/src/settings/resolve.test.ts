/**
 * Catches: a source that wins over a more important one, a setting whose origin is told wrongly, a configuration that is
 * accepted or reported in part.
 */
import { ConfigError } from '@fairlead/core';
import { describe, expect, it } from 'vitest';
import { resolveClient, resolveInbound } from './resolve.js';

const at = 'http://10.0.0.5:8080';

/** The problems of a configuration that must be refused. */
function problemsOf(run: () => unknown): { [name: string]: unknown }[] {
  try {
    run();
  } catch (error) {
    if (error instanceof ConfigError) return error.problems.map((each) => ({ ...each }));
    throw error;
  }
  throw new Error('was not refused');
}

function service(options: unknown, env: Record<string, string> = {}, name = 'payments') {
  const resolved = resolveClient(options as never, env).services.get(name);
  if (resolved === undefined) throw new Error(`no ${name}`);
  return resolved;
}

describe('precedence', () => {
  const env = { FAIRLEAD_SERVICE_PAYMENTS_ATTEMPTS: '4', FAIRLEAD_ATTEMPTS: '5', FAIRLEAD_SERVICE_LEDGER: at };

  it('is the code of a service, code for all, variables of the service, variables for all, defaults', () => {
    const both = { defaults: { attempts: 2 }, services: { payments: { from: at, attempts: 1 } } };
    const { values, sources } = service(both, env);
    expect([values.attempts, sources.attempts]).toEqual([1, 'code']);

    const shared = service({ defaults: { attempts: 2 }, services: { payments: at } }, env);
    expect([shared.values.attempts, shared.sources.attempts]).toEqual([2, 'code defaults']);

    const own = service({ services: { payments: at } }, env);
    expect([own.values.attempts, own.sources.attempts]).toEqual([4, 'FAIRLEAD_SERVICE_PAYMENTS_ATTEMPTS']);

    const all = service({ services: { payments: at } }, env, 'ledger');
    expect([all.values.attempts, all.sources.attempts]).toEqual([5, 'FAIRLEAD_ATTEMPTS']);

    const none = service({ services: { payments: at } });
    expect([none.values.attempts, none.sources.attempts]).toEqual([3, 'default']);
  });

  it('counts undefined as not given', () => {
    expect(service({ services: { payments: { from: at, attempts: undefined } } }, env).values.attempts).toBe(4);
  });

  it('takes settings of one group from different sources', () => {
    const { values } = service(
      { services: { payments: { from: at, retry: { baseMs: 10 } } } },
      { FAIRLEAD_RETRY_MAX: '2s' },
    );
    expect(values.retry).toMatchObject({ baseMs: 10, maxMs: 2_000, maxRetryAfterMs: 1_000 });
  });

  it('takes a limit whole: the burst of one never goes with the rate of another', () => {
    const env = { FAIRLEAD_LIMIT: '100/s;burst=900' };
    expect(service({ services: { payments: { from: at, limit: { perSecond: 5 } } } }, env).values.limit).toEqual({
      perSecond: 5,
      burst: 5,
    });
    expect(service({ services: { payments: { from: at, limit: false } } }, env).values.limit).toBe(false);
    expect(service({ services: { payments: at } }, env).values.limit).toEqual({ perSecond: 100, burst: 900 });
  });

  it('holds for client and guard as well, and one variable can set both', () => {
    const env = { FAIRLEAD_TRACING: 'off', FAIRLEAD_INBOUND_LIMIT: '6000/m', FAIRLEAD_NAME: 'gateway' };
    expect(resolveClient({}, env).client.values.tracing).toBe('off');
    expect(resolveClient({ tracing: 'own' }, env).client.values.tracing).toBe('own');
    const inbound = resolveInbound({ maxKeys: 5 }, env);
    expect(inbound.values).toMatchObject({
      tracing: 'off',
      name: 'gateway',
      limit: { perSecond: 100, burst: 100 },
      maxKeys: 5,
    });
    expect(inbound.sources).toMatchObject({ maxKeys: 'code', limit: 'FAIRLEAD_INBOUND_LIMIT', key: 'default' });
  });
});

describe('groups with a switch', () => {
  it('are false when they are off, and have no settings then', () => {
    const { values, sources } = service({ services: { payments: { from: at, breaker: false } } });
    expect(values.breaker).toBe(false);
    expect(Object.keys(sources).filter((path) => path.startsWith('breaker'))).toEqual(['breaker']);
  });

  it('can be switched off by a variable although code tunes them, and on by code although a variable says off', () => {
    const tuned = { services: { payments: { from: at, breaker: { errorRatio: 0.3 } } } };
    expect(service(tuned).values.breaker).toMatchObject({ errorRatio: 0.3, minCalls: 20 });
    expect(service(tuned, { FAIRLEAD_BREAKER: 'off' }).values.breaker).toBe(false);
    const on = { services: { payments: { from: at, breaker: true } } };
    expect(service(on, { FAIRLEAD_BREAKER: 'off' }).values.breaker).toMatchObject({ errorRatio: 0.5 });
  });

  it('that are off by default are on with any of their settings', () => {
    expect(resolveInbound({}, {}).values.health).toBe(false);
    expect(resolveInbound({ health: { liveness: '/alive' } }, {}).values.health).toMatchObject({
      liveness: '/alive',
      readiness: '/readyz',
    });
    const byVariable = resolveInbound({}, { FAIRLEAD_INBOUND_HEALTH_LIVENESS: '/alive' });
    expect(byVariable.values.health).toMatchObject({ liveness: '/alive' });
    expect(byVariable.sources.health).toBe('FAIRLEAD_INBOUND_HEALTH_LIVENESS');
    expect(resolveInbound({ health: { liveness: '/alive' } }, { FAIRLEAD_INBOUND_HEALTH: 'off' }).values.health).toBe(
      false,
    );
  });
});

describe('sources of endpoints', () => {
  it('are text, lists or resolvers, alone or among options', () => {
    const resolver = { name: 'mine', watch: () => {} };
    const { services } = resolveClient(
      { services: { a: at, b: [at, 'http://10.0.0.6'], c: resolver, d: { from: resolver } } },
      { FAIRLEAD_SERVICE_E_F: `${at}, http://10.0.0.6` },
    );
    expect([...services].map(([name, { values }]) => [name, values.from])).toEqual([
      ['a', at],
      ['b', [at, 'http://10.0.0.6']],
      ['c', resolver],
      ['d', resolver],
      ['e-f', [at, 'http://10.0.0.6']],
    ]);
    expect(services.get('c')?.values.from).toBe(resolver);
  });

  it('are looked for in the environment where code has none', () => {
    const { values, sources } = service({ services: { payments: { attempts: 2 } } }, { FAIRLEAD_SERVICE_PAYMENTS: at });
    expect([values.from, sources.from]).toEqual([at, 'FAIRLEAD_SERVICE_PAYMENTS']);
  });

  it('are asked for where there is none, and refused where nobody understands them', () => {
    const problems = problemsOf(() =>
      resolveClient(
        { services: { payments: {}, ledger: 'dnss://ledger', legacy: [], audit: 'http://user:hunter2@audit/path' } },
        { FAIRLEAD_SERVICE_ORDERS: 'consul://token:hunter2@consul/orders' },
      ),
    );
    expect(problems.map(({ name }) => name).sort()).toEqual([
      'FAIRLEAD_SERVICE_ORDERS',
      'services.audit.from: endpoint',
      'services.ledger.from',
      'services.legacy.from',
      'services.payments.from',
    ]);
    expect(problems.find(({ name }) => name === 'services.ledger.from')).toMatchObject({ didYouMean: 'dns://ledger' });
    expect(JSON.stringify(problems)).not.toContain('hunter2');
  });

  it('may have schemes that are given', () => {
    const schemes = { consul: () => ({ name: 'consul', watch: () => {} }) };
    const { services } = resolveClient({}, { FAIRLEAD_SERVICE_ORDERS: 'consul://orders' }, { schemes });
    expect(services.get('orders')?.values.from).toBe('consul://orders');
  });

  it('are nothing that all services could share', () => {
    const problems = problemsOf(() => resolveClient({ defaults: { from: at } as never }, {}));
    expect(problems).toMatchObject([{ name: 'defaults.from' }]);
  });
});

describe('what is wrong', () => {
  it('is told all at once, with name, value, what was expected and what was probably meant', () => {
    const problems = problemsOf(() =>
      resolveClient(
        {
          trasing: 'off',
          tracing: 'of',
          services: {
            payments: {
              from: at,
              atempts: 2,
              timeoutMs: '2s',
              retry: { bazeMs: 1 },
              breaker: 3,
              limit: { perSecnd: 1 },
            },
          },
        } as never,
        { FAIRLEAD_TIMEOUT: '5 sec', FAIRLEAD_SERVICE_PAYMENTS_PICKER: 'p3c', FAIRLEAD_SERVICE_PAYMENTS_ATEMPTS: '3' },
      ),
    );
    expect(problems).toMatchObject([
      { name: 'client.trasing', didYouMean: 'tracing' },
      { name: 'client.tracing', value: 'of', expected: 'one of auto, own, off' },
      { name: 'services.payments.atempts', didYouMean: 'attempts' },
      { name: 'services.payments.timeoutMs', value: '2s' },
      { name: 'services.payments.retry.bazeMs', expected: expect.stringContaining('baseMs'), didYouMean: 'baseMs' },
      { name: 'services.payments.breaker', value: 3 },
      { name: 'services.payments.limit.perSecnd', didYouMean: 'perSecond' },
      { name: 'FAIRLEAD_TIMEOUT', value: '5 sec', expected: expect.stringContaining('500ms, 2s or 1m30s') },
      { name: 'FAIRLEAD_SERVICE_PAYMENTS_PICKER', value: 'p3c', didYouMean: 'p2c' },
      { name: 'FAIRLEAD_SERVICE_PAYMENTS_ATEMPTS', didYouMean: 'FAIRLEAD_SERVICE_PAYMENTS_ATTEMPTS' },
    ]);
  });

  it.each([[null], [5], ['text'], [[]], [() => {}]])('is %s in the place of options', (wrong) => {
    expect(problemsOf(() => resolveClient(wrong as never, {}))).toMatchObject([{ name: 'client' }]);
    expect(problemsOf(() => resolveInbound(wrong as never, {}))).toMatchObject([{ name: 'guard' }]);
    if (wrong !== null) return;
    expect(problemsOf(() => resolveClient({ services: wrong as never }, {}))).toMatchObject([{ name: 'services' }]);
  });

  it('is a name that no URL can have', () => {
    const services = { Payments: at, 'a b': at, '': at, 'x/y': at, ok_name: at };
    expect(problemsOf(() => resolveClient({ services }, {}))).toMatchObject([
      { name: 'services.Payments', didYouMean: 'payments' },
      { name: 'services.a b', didYouMean: null },
      { name: 'services.', didYouMean: null },
      { name: 'services.x/y', didYouMean: null },
    ]);
  });

  it('is a setting that makes no sense beside another one', () => {
    const wrong = {
      from: at,
      timeoutMs: 100,
      attemptTimeoutMs: 200,
      retry: { baseMs: 500 },
      health: { maxEjectMs: 10 },
    };
    expect(problemsOf(() => resolveClient({ services: { payments: wrong } }, {}))).toMatchObject([
      {
        name: 'services.payments.attemptTimeoutMs',
        value: '200ms',
        expected: 'at most 100ms, which is timeoutMs (code)',
      },
      { name: 'services.payments.retry.baseMs', expected: 'at most 250ms, which is retry.maxMs (default)' },
      { name: 'services.payments.health.maxEjectMs', expected: 'at least 5s, which is health.baseEjectMs (default)' },
    ]);
  });

  it('is not a short call with the attempt timeout of the defaults, nor a group that is off', () => {
    expect(service({ services: { payments: { from: at, timeoutMs: 100 } } }).values.timeoutMs).toBe(100);
    const off = { from: at, timeoutMs: false, attemptTimeoutMs: 60_000, health: false };
    expect(service({ services: { payments: off } }).values).toMatchObject({ timeoutMs: false, health: false });
  });

  it('shows no secrets that code gave in the wrong place', () => {
    const url = 'http://user:hunter2@host';
    const wrong = { from: { url }, transport: { tls: 'hunter2', host: url }, limit: { perSecond: url }, retry: url };
    const problems = problemsOf(() => resolveClient({ services: { payments: wrong } } as never, {}));
    expect(problems.map(({ name }) => name)).toEqual([
      'services.payments.from',
      'services.payments.transport.tls',
      'services.payments.transport.host',
      'services.payments.limit.perSecond',
      'services.payments.retry',
    ]);
    expect(JSON.stringify(problems)).not.toContain('hunter2');
  });

  it('is told once if it is wrong for all services', () => {
    const env = { FAIRLEAD_RETRY_BASE: '10s' };
    const problems = problemsOf(() => resolveClient({ services: { a: at, b: at } }, env));
    expect(problems).toMatchObject([{ name: 'FAIRLEAD_RETRY_BASE', value: '10s' }]);
  });

  it('is no business of a guard if it concerns single services', () => {
    const env = { FAIRLEAD_SERVICE_LEDGER_TIMEOUT: '1s', FAIRLEAD_SERVICE_LEDGER_TIMEOT: '1s' };
    expect(resolveInbound({}, env).values.name).toBe('inbound');
    expect(problemsOf(() => resolveInbound({}, { ...env, FAIRLEAD_TIMEOUT: 'x' }))).toMatchObject([
      { name: 'FAIRLEAD_TIMEOUT' },
    ]);
  });
});
