/**
 * Catches: a variable that is ignored, read for the wrong service or as another option; a typing error that is not noticed;
 * a variable of Kubernetes that is taken for one of ours; a secret that is shown.
 */
import { checks } from '@fairlead/core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type Environment,
  type EnvironmentSettings,
  readEnvironment,
  serviceName,
  variableName,
} from './environment.js';
import { setting } from './setting.js';
import { settingsTables, type Tables } from './tables.js';
import { duration, integer, text } from './values.js';

const at = 'http://10.0.0.5:8080';

/** What was given for a service, by path. */
function given({ services }: EnvironmentSettings, name: string): Record<string, unknown> {
  return Object.fromEntries([...(services.get(name) ?? [])].map(([path, { value }]) => [path, value]));
}

function problemsOf(env: Environment, serviceNames: string[] = [], tables: Tables = settingsTables) {
  const { problems, serviceProblems } = readEnvironment(env, { serviceNames, tables });
  return [...problems, ...serviceProblems];
}

describe('variables', () => {
  it('set an option for all services, for the client, or for the guard, and say who said so', () => {
    const read = readEnvironment({ FAIRLEAD_TIMEOUT: '2s', FAIRLEAD_URL_QUERY: 'yes', FAIRLEAD_INBOUND_MAX_KEYS: '5' });
    expect([...read.everyService]).toEqual([['timeoutMs', { value: 2_000, by: 'FAIRLEAD_TIMEOUT' }]]);
    expect([...read.client]).toEqual([['urlQuery', { value: true, by: 'FAIRLEAD_URL_QUERY' }]]);
    expect([...read.inbound]).toEqual([['maxKeys', { value: 5, by: 'FAIRLEAD_INBOUND_MAX_KEYS' }]]);
    expect([read.problems, read.serviceProblems]).toEqual([[], []]);
  });

  it('count as not set when they are empty, and are trimmed', () => {
    const read = readEnvironment({
      FAIRLEAD_TIMEOUT: '',
      FAIRLEAD_TIMEOTU: '  ',
      FAIRLEAD_ATTEMPTS: ' 2\n',
      HOME: '/',
    });
    expect([...read.everyService.keys()]).toEqual(['attempts']);
    expect(read.problems).toEqual([]);
  });

  it('of others are left alone', () => {
    expect(problemsOf({ FAIRLEADER: 'x', MY_FAIRLEAD_TIMEOUT: 'x', fairlead_timeout: 'x', PATH: '/bin' })).toEqual([]);
  });

  it('can set an option of the client and of the guard at once', () => {
    const read = readEnvironment({ FAIRLEAD_TRACING: 'off' });
    expect([read.client.get('tracing'), read.inbound.get('tracing')]).toEqual(
      Array(2).fill({ value: 'off', by: 'FAIRLEAD_TRACING' }),
    );
    expect(problemsOf({ FAIRLEAD_TRACING: 'of' })).toHaveLength(1);
  });
});

describe('services', () => {
  it('are declared by a source, and named like hosts', () => {
    const read = readEnvironment({
      FAIRLEAD_SERVICE_ORDER_HISTORY: 'dns://orders:80',
      FAIRLEAD_SERVICE_A: `${at},${at}1`,
    });
    expect([...read.services.keys()]).toEqual(['order-history', 'a']);
    expect(given(read, 'a')).toEqual({ from: [at, `${at}1`] });
  });

  it('keep the name that code gave them', () => {
    const read = readEnvironment({ FAIRLEAD_SERVICE_ORDER_HISTORY: at }, { serviceNames: ['order_history'] });
    expect([...read.services.keys()]).toEqual(['order_history']);
  });

  it('have options, whichever comes first in the environment', () => {
    const env = { FAIRLEAD_SERVICE_ORDER_HISTORY_TIMEOUT: '1s', FAIRLEAD_SERVICE_ORDER_HISTORY: at };
    expect(given(readEnvironment(env), 'order-history')).toEqual({ from: at, timeoutMs: 1_000 });
    const named = readEnvironment({ FAIRLEAD_SERVICE_A_RETRY_MAX: '1s' }, { serviceNames: ['a'] });
    expect(given(named, 'a')).toEqual({ 'retry.maxMs': 1_000 });
  });

  it('may be called like an option: a source is never one', () => {
    const read = readEnvironment({
      FAIRLEAD_SERVICE_ORDER: at,
      FAIRLEAD_SERVICE_ORDER_LIMIT: at,
      FAIRLEAD_SERVICE_HOST: at,
    });
    expect([...read.services.keys()]).toEqual(['order', 'order-limit', 'host']);
    expect(read.serviceProblems).toEqual([]);
  });

  it('are refused where a name means two of them', () => {
    const names = ['a-b', 'a_b', 'a.b', 'c'];
    expect(problemsOf({ FAIRLEAD_SERVICE_A_B_ATTEMPTS: '2', FAIRLEAD_SERVICE_C_ATTEMPTS: '2' }, names)).toMatchObject([
      { name: 'FAIRLEAD_SERVICE_A_B_ATTEMPTS', expected: expect.stringContaining('a-b and a_b and a.b') },
    ]);
    expect(problemsOf({ FAIRLEAD_SERVICE_A_B: at }, names)).toHaveLength(1);
    expect(problemsOf({ FAIRLEAD_ATTEMPTS: '2' }, names)).toEqual([]);
  });

  it('are refused where a name is an option of one service and another option of another', () => {
    const services = { FAIRLEAD_SERVICE_PAY: at, FAIRLEAD_SERVICE_PAY_ATTEMPT: at };
    expect(problemsOf({ ...services, FAIRLEAD_SERVICE_PAY_ATTEMPT_TIMEOUT: '1s' })).toMatchObject([
      {
        name: 'FAIRLEAD_SERVICE_PAY_ATTEMPT_TIMEOUT',
        expected: expect.stringContaining('ATTEMPT_TIMEOUT of PAY or TIMEOUT of PAY_ATTEMPT'),
      },
    ]);
    // With one of the two declared, there is nothing to choose.
    const one = readEnvironment({ FAIRLEAD_SERVICE_PAY_ATTEMPT: at, FAIRLEAD_SERVICE_PAY_ATTEMPT_TIMEOUT: '1s' });
    expect(given(one, 'pay-attempt')).toEqual({ from: at, timeoutMs: 1_000 });
  });

  it('have to be declared', () => {
    expect(problemsOf({ FAIRLEAD_SERVICE_LEDGER_TIMEOUT: '1s' })).toMatchObject([
      { name: 'FAIRLEAD_SERVICE_LEDGER_TIMEOUT', expected: expect.stringContaining('FAIRLEAD_SERVICE_LEDGER') },
    ]);
    expect(problemsOf({ FAIRLEAD_SERVICE_PAYMNTS_TIMEOUT: '1s' }, ['payments'])).toMatchObject([
      { didYouMean: 'FAIRLEAD_SERVICE_PAYMENTS_TIMEOUT' },
    ]);
  });

  it('need a source that is one', () => {
    const text = expect.stringContaining('dns://payments:8080');
    expect(problemsOf({ FAIRLEAD_SERVICE_LEDGER: 'u:hunter2@ledger:80' }, ['ledger'])).toEqual([
      { name: 'FAIRLEAD_SERVICE_LEDGER', value: '(redacted)@ledger:80', expected: text },
    ]);
    expect(problemsOf({ FAIRLEAD_SERVICE_LEDGER: 'ledger:80' })).toMatchObject([
      { name: 'FAIRLEAD_SERVICE_LEDGER', expected: text },
    ]);
    expect(problemsOf({ FAIRLEAD_SERVICE_: at, FAIRLEAD_SERVICE_ledger: at })).toHaveLength(2);
  });

  it('can all be set from a name and back, by hosts', () => {
    const label = fc.stringMatching(/^[a-z][a-z0-9]{0,5}$/);
    fc.assert(
      fc.property(fc.array(label, { minLength: 1, maxLength: 4 }), (labels) => {
        const name = labels.join('-');
        expect(serviceName(variableName(name))).toBe(name);
        const read = readEnvironment({ [`FAIRLEAD_SERVICE_${variableName(name)}`]: at });
        expect(given(read, name)).toEqual({ from: at });
      }),
    );
  });
});

describe('what is wrong', () => {
  it('is told all at once', () => {
    const env = {
      FAIRLEAD_TIMEOUT: '5 sec',
      FAIRLEAD_PICKER: 'p3c',
      FAIRLEAD_TIMEOTU: '1s',
      FAIRLEAD_TIMEO: '1s',
      FAIRLEAD_X: '1',
    };
    expect(problemsOf(env)).toEqual([
      { name: 'FAIRLEAD_TIMEOUT', value: '5 sec', expected: expect.stringContaining('a duration such as 500ms') },
      { name: 'FAIRLEAD_PICKER', value: 'p3c', expected: 'one of p2c, roundRobin', didYouMean: 'p2c' },
      { name: 'FAIRLEAD_TIMEOTU', expected: 'a known variable', didYouMean: 'FAIRLEAD_TIMEOUT' },
      { name: 'FAIRLEAD_TIMEO', expected: 'a known variable', didYouMean: 'FAIRLEAD_TIMEOUT' },
      { name: 'FAIRLEAD_X', expected: 'a known variable', didYouMean: null },
    ]);
  });

  it('is a variable for something that only code can give', () => {
    expect(problemsOf({ FAIRLEAD_ON: 'x', FAIRLEAD_BREAKER_JUDGE: 'x', FAIRLEAD_FROM: at })).toHaveLength(3);
  });

  it('never throws, whatever the variables are', () => {
    const name = fc.oneof(fc.string(), fc.stringMatching(/^(SERVICE_)?[A-Z_]{0,12}(TIMEOUT|PORT|LIMIT)?$/));
    fc.assert(
      fc.property(fc.dictionary(name, fc.string()), (variables) => {
        const env = Object.fromEntries(Object.entries(variables).map(([rest, value]) => [`FAIRLEAD_${rest}`, value]));
        readEnvironment(env, { serviceNames: ['a', 'timeout'] });
      }),
    );
  });
});

describe('the service links of Kubernetes', () => {
  /** What a Service of this name with two ports makes. */
  function links(service: string): Record<string, string> {
    const name = service.toUpperCase().replaceAll('-', '_');
    return {
      [`${name}_SERVICE_HOST`]: '10.96.0.7',
      [`${name}_SERVICE_PORT`]: '80',
      [`${name}_SERVICE_PORT_HTTP`]: '80',
      [`${name}_SERVICE_PORT_TIMEOUT`]: '9000',
      [`${name}_PORT`]: 'tcp://10.96.0.7:80',
      [`${name}_PORT_80_TCP`]: 'tcp://10.96.0.7:80',
      [`${name}_PORT_80_TCP_PROTO`]: 'tcp',
      [`${name}_PORT_80_TCP_PORT`]: '80',
      [`${name}_PORT_80_TCP_ADDR`]: '10.96.0.7',
      [`${name}_PORT_53_UDP`]: 'udp://[fd00::7]:53',
      [`${name}_PORT_53_UDP_ADDR`]: 'fd00::7',
    };
  }

  it.each(['fairlead', 'fairlead-demo', 'fairlead-inbound', 'fairlead-service-payments', 'fairlead-service'])(
    'are no problem and set nothing, for a Service called %s',
    (service) => {
      const read = readEnvironment(links(service), { serviceNames: ['payments'] });
      expect([read.problems, read.serviceProblems]).toEqual([[], []]);
      expect([read.client.size, read.everyService.size, read.inbound.size]).toEqual([0, 0, 0]);
      expect([...read.services].map(([name, values]) => [name, values.size])).toEqual([['payments', 0]]);
    },
  );

  it('are told by their values, too: neither sources nor typing errors are links', () => {
    const read = readEnvironment({ FAIRLEAD_SERVICE_REPORT_PORT: at, FAIRLEAD_SERVICE_B_SERVICE_HOST: 'dns://b' });
    expect([...read.services.keys()]).toEqual(['report-port', 'b-service-host']);
    expect(problemsOf({ FAIRLEAD_IMPORT_PORT: 'yes', FAIRLEAD_SERVICE_HOST: 'ledger' })).toHaveLength(2);
  });
});

describe('secrets', () => {
  const tables: Tables = {
    ...settingsTables,
    client: {
      pin: setting(integer(1_000, 9_999), undefined, 'A secret.', { secret: true }) as never,
      word: setting(
        text('a word', 'x', (value) => /^\w+$/.test(value)),
        undefined,
        'A secret.',
        { secret: true },
      ) as never,
      ttlMs: setting(duration(), 1, 'No secret.') as never,
      call: setting({ ...duration(), check: checks.ms(5) }, 5, 'At least 5 ms.') as never,
    },
  };

  const readFile = (path: string): string => {
    if (path === '/run/pin') return ' 1234\n';
    if (path === '/run/long') return '12345678\n';
    throw new Error(`ENOENT ${path}`);
  };

  it('can be read from files', () => {
    const read = readEnvironment({ FAIRLEAD_PIN_FILE: '/run/pin' }, { tables, readFile });
    expect([...read.client]).toEqual([['pin', { value: 1_234, by: 'FAIRLEAD_PIN_FILE' }]]);
    expect(read.problems).toEqual([]);
  });

  it('are never shown, wherever they stood', () => {
    for (const env of [{ FAIRLEAD_PIN: '12345678' }, { FAIRLEAD_PIN_FILE: '/run/long' }]) {
      expect(readEnvironment(env, { tables, readFile }).problems).toMatchObject([{ value: '(redacted)' }]);
    }
    expect(
      JSON.stringify(problemsOf({ FAIRLEAD_CONSUL_TOKEN: 'hunter2', FAIRLEAD_WRD: 'hunter2' }, [], tables)),
    ).not.toContain('hunter2');
  });

  it('are a problem if the file cannot be read, or if there are two', () => {
    expect(readEnvironment({ FAIRLEAD_PIN_FILE: '/nowhere' }, { tables, readFile }).problems).toMatchObject([
      { name: 'FAIRLEAD_PIN_FILE', value: '/nowhere', expected: 'the path of a file that can be read' },
    ]);
    const both = { FAIRLEAD_PIN: '1234', FAIRLEAD_PIN_FILE: '/run/pin' };
    expect(readEnvironment(both, { tables, readFile }).problems).toMatchObject([
      { expected: expect.stringContaining('not both') },
    ]);
  });

  it('are the only settings with files', () => {
    expect(readEnvironment({ FAIRLEAD_TTL_FILE: '/run/pin' }, { tables, readFile }).problems).toHaveLength(1);
  });

  it('need not be secret to be checked after parsing', () => {
    expect(readEnvironment({ FAIRLEAD_CALL: '4ms' }, { tables }).problems).toMatchObject([{ value: '4ms' }]);
  });
});
