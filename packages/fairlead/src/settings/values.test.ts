/**
 * Catches: a text that is read as another value than it was meant for, one that should be refused and is read, and a value
 * that is not read back as it was written.
 */
import { checks } from '@fairlead/core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { looksLikeSource, rate, source, staticReply } from './compound-values.js';
import { formatDuration, parseDuration } from './duration.js';
import {
  boolean,
  codeOnly,
  duration,
  integer,
  list,
  number,
  oneOf,
  orInCode,
  orOff,
  ratio,
  text,
  type ValueKind,
} from './values.js';

/** What a variable with this text would give; undefined if it would be refused. */
function read<T>(kind: ValueKind<T>, given: string): T | undefined {
  const value = kind.parse(given);
  return value !== undefined && kind.check.test(value) ? value : undefined;
}

type Vectors = readonly (readonly [text: string, value: unknown])[];

const refused = undefined;
const tables: Readonly<Record<string, { kind: ValueKind<never>; vectors: Vectors }>> = {
  duration: {
    kind: duration() as never,
    vectors: [
      ['0s', 0],
      ['0h0m0s0ms', 0],
      ['500ms', 500],
      ['2s', 2_000],
      ['1m30s', 90_000],
      ['1h', 3_600_000],
      ['1h1m1s1ms', 3_661_001],
      ['30s1m', 90_000],
      ['1s1s', 2_000],
      ['00001s', 1_000],
      ['99999ms', 99_999],
      ['0', 0],
      ['1500', 1_500],
      ['2147483647', 2_147_483_647],
      ['2147483648', refused],
      ['99999h', refused],
      ['100000s', refused],
      ['1h1m1s1ms1ms', refused],
      ['1.5s', refused],
      ['-1s', refused],
      ['+1s', refused],
      ['-1', refused],
      ['1e3', refused],
      ['0x10', refused],
      ['1 s', refused],
      ['5 sec', refused],
      ['1S', refused],
      ['1d', refused],
      ['1us', refused],
      ['s', refused],
      ['1m30', refused],
      ['infinity', refused],
      ['١s', refused],
    ],
  },
  'duration from 1s to 1m': {
    kind: duration(1_000, 60_000) as never,
    vectors: [
      ['1s', 1_000],
      ['1m', 60_000],
      ['999ms', refused],
      ['1m1ms', refused],
    ],
  },
  boolean: {
    kind: boolean() as never,
    vectors: [
      ...['true', 'TRUE', 'yes', 'On', '1'].map((word) => [word, true] as const),
      ...['false', 'False', 'NO', 'off', '0'].map((word) => [word, false] as const),
      ...['2', 'y', 't', 'enabled', 'toString', '__proto__'].map((word) => [word, refused] as const),
    ],
  },
  integer: {
    kind: integer(1, 10) as never,
    vectors: [
      ['1', 1],
      ['10', 10],
      ['007', 7],
      ...['0', '11', '-3', '2.0', '1e1', '0x3', 'three', '99999999999999999999'].map(
        (word) => [word, refused] as const,
      ),
    ],
  },
  number: {
    kind: number(0) as never,
    vectors: [
      ['0', 0],
      ['2.5', 2.5],
      ...['-1', '.5', '5.', '1e3', '1,5', 'NaN', 'Infinity'].map((word) => [word, refused] as const),
    ],
  },
  ratio: {
    kind: ratio() as never,
    vectors: [
      ['0.2', 0.2],
      ['20%', 0.2],
      ['2.5%', 0.025],
      ['0', 0],
      ['100%', 1],
      ...['1.1', '101%', '20', '-1%', '%', '0,2', '20 %'].map((word) => [word, refused] as const),
    ],
  },
  'one of': {
    kind: oneOf('p2c', 'roundRobin') as never,
    vectors: [
      ['p2c', 'p2c'],
      ['ROUNDROBIN', 'roundRobin'],
      ['p3c', refused],
      ['', refused],
    ],
  },
  list: {
    kind: list(integer(1, 599)) as never,
    vectors: [
      ['502, 503,,502 ,', [502, 503]],
      ['502,0502', [502]],
      ['502', [502]],
      [',', refused],
      ['502,x', refused],
      ['502;503', refused],
      ['600', refused],
    ],
  },
  rate: {
    kind: rate() as never,
    vectors: [
      ['100/s', { perSecond: 100 }],
      ['6000/m', { perSecond: 100 }],
      ['3600/h', { perSecond: 1 }],
      ['0.5/s', { perSecond: 0.5 }],
      ['100/s;burst=200', { perSecond: 100, burst: 200 }],
      ['100/s ; burst=200', { perSecond: 100, burst: 200 }],
      ...['100', '0/s', '-1/s', '100/s;burst=0', '100/s;burst=1.5', '100/s;burst=', '100/d', '/s', '1e2/s'].map(
        (word) => [word, refused] as const,
      ),
    ],
  },
  'static reply': {
    kind: staticReply() as never,
    vectors: [
      ['503', { status: 503 }],
      ['200 {"items":[]}', { status: 200, headers: { 'content-type': 'application/json' }, body: '{"items":[]}' }],
      ['200 two words', { status: 200, headers: { 'content-type': 'text/plain; charset=utf-8' }, body: 'two words' }],
      ...['199', '600', '20', '2000', 'ok', '{"items":[]}'].map((word) => [word, refused] as const),
    ],
  },
  source: {
    kind: source() as never,
    vectors: [
      ['dns://payments:8080', 'dns://payments:8080'],
      ['http://a:1, http://b:2,http://a:1', ['http://a:1', 'http://b:2']],
      ['consul://c/payments?tag=a,b', 'consul://c/payments?tag=a,b'],
    ],
  },
};

describe.each(Object.entries(tables))('a value of kind %s', (_, { kind, vectors }) => {
  it.each(vectors)('reads %j as %j', (given, expected) => {
    expect(read(kind, given)).toEqual(expected);
  });

  it('reads its own example, and what it writes of it', () => {
    const value = read(kind, kind.example);
    expect(value).toBeDefined();
    expect(read(kind, kind.format(value as never))).toEqual(value);
  });

  it('is never read from any text as something that its check refuses, and does not throw', () => {
    fc.assert(
      fc.property(fc.string(), (given) => {
        const value = kind.parse(given);
        if (value !== undefined && kind.check.test(value)) expect(read(kind, kind.format(value))).toEqual(value);
      }),
    );
  });
});

describe('a duration', () => {
  it.each([
    [0, '0s'],
    [1, '1ms'],
    [1_000, '1s'],
    [90_000, '1m30s'],
    [3_661_001, '1h1m1s1ms'],
    [86_400_000, '24h'],
    [0.4, '0s'],
    [1.6, '2ms'],
    [359_999_999_999, '99999h59m59s999ms'],
    [360_000_000_000, '360000000000'],
  ])('of %d ms is written %s', (ms, written) => {
    expect(formatDuration(ms)).toBe(written);
  });

  it('is read back as it was written', () => {
    fc.assert(
      fc.property(fc.nat(2 ** 40), (ms) => {
        expect(parseDuration(formatDuration(ms))).toBe(ms);
      }),
    );
  });

  it('is the sum of its parts', () => {
    const part = fc.tuple(fc.nat(99_999), fc.constantFrom('h', 'm', 's', 'ms'));
    const unit = { h: 3_600_000, m: 60_000, s: 1_000, ms: 1 };
    fc.assert(
      fc.property(fc.array(part, { minLength: 1, maxLength: 4 }), (parts) => {
        const sum = parts.reduce((total, [count, name]) => total + count * unit[name], 0);
        expect(parseDuration(parts.map(([count, name]) => count + name).join(''))).toBe(sum);
      }),
    );
  });
});

describe('numbers, shares and rates', () => {
  it('are read back as they were written', () => {
    fc.assert(
      fc.property(fc.nat(), fc.integer({ min: 1 }), fc.integer({ min: 0, max: 1_000 }), (n, burst, thousandth) => {
        expect(read(number(0), number(0).format(n / 8))).toBe(n / 8);
        expect(read(ratio(), ratio().format(thousandth / 1_000))).toBe(thousandth / 1_000);
        const value = { perSecond: (n + 1) / 8, burst };
        expect(read(rate(), rate().format(value))).toEqual(value);
      }),
    );
  });

  it('are completed with a burst of one second, at least 1', () => {
    expect(rate().complete?.({ perSecond: 2.5 })).toEqual({ perSecond: 2.5, burst: 3 });
    expect(rate().complete?.({ perSecond: 0.01 })).toEqual({ perSecond: 0.01, burst: 1 });
    expect(rate().complete?.({ perSecond: 100, burst: 7 })).toEqual({ perSecond: 100, burst: 7 });
  });
});

describe('what can be added to a kind', () => {
  it('is a word for off, with the value it has in code', () => {
    const timeout = orOff(duration(1), false);
    expect([read(timeout, 'OFF'), read(timeout, '2s'), read(timeout, 'none'), read(timeout, '0')]).toEqual([
      false,
      2_000,
      undefined,
      undefined,
    ]);
    expect([timeout.check.test(false), timeout.check.test(null), timeout.format(false)]).toEqual([true, false, 'off']);
    const delay = orOff(duration(), null, 'auto');
    expect([read(delay, 'auto'), delay.check.test(null), read(delay, 'off')]).toEqual([null, true, undefined]);
    expect(orOff(rate(), false).complete?.(false)).toBe(false);
  });

  it('is what only code can give', () => {
    const key = orInCode(oneOf('address'), checks.fn());
    expect([key.check.test(() => ''), key.check.test('address'), key.check.test('x')]).toEqual([true, true, false]);
    expect(read(key, 'address')).toBe('address');
    expect(read(codeOnly('function', checks.fn()), 'x')).toBeUndefined();
  });
});

it('text is checked by whoever wants it', () => {
  const path = text('a path', '/livez', (value) => value.startsWith('/'));
  expect([read(path, '/livez'), read(path, 'livez')]).toEqual(['/livez', undefined]);
});

it('a source of several sources stays as it is written', () => {
  const text = 'http://a,http://b|http://c,http://a';
  expect(source().parse(text)).toBe(text);
});

it('only what begins with a scheme looks like a source', () => {
  for (const yes of ['http://a', 'dns+srv://_http._tcp.a', 'k8s://a', 'file:a.json', 'unix:/a'])
    expect(looksLikeSource(yes)).toBe(true);
  for (const no of ['payments:8080', '2s', '100/s;burst=200', '200 {"url":"http://a"}', '//a', 'http://', '1a://b'])
    expect(looksLikeSource(no)).toBe(false);
});
