/** Would catch: a typo that is ignored, a wrong value that is applied, one problem told where there are three. */
import { describe, expect, it } from 'vitest';
import { ConfigError } from './errors.js';
import { type Check, type Checks, check, checks, closest, optionProblems, resolveOptions } from './options.js';

interface Options {
  attempts: number;
  delayMs: number;
  jitter: boolean;
  on: readonly string[] | null;
}

const defaults: Readonly<Options> = Object.freeze({ attempts: 3, delayMs: 100, jitter: true, on: null });
const rules: Checks<Options> = {
  attempts: checks.integer(1, 10),
  delayMs: checks.ms(),
  jitter: checks.boolean(),
  on: checks.orNull(checks.listOf(checks.text())),
};
const resolve = (given?: unknown): Readonly<Options> =>
  resolveOptions('retry', given as Partial<Options>, defaults, rules);

describe('resolveOptions', () => {
  it('fills in defaults, takes undefined for not given, and freezes a copy', () => {
    const given = { attempts: 5, delayMs: undefined, on: null };
    const options = resolve(given);
    expect(options).toEqual({ attempts: 5, delayMs: 100, jitter: true, on: null });
    expect(Object.isFrozen(options)).toBe(true);
    expect(given).toEqual({ attempts: 5, delayMs: undefined, on: null });
    expect(resolve()).toEqual(defaults);
    expect(resolve({})).not.toBe(defaults);
  });

  it('reports every problem at once, with name, value, what was expected, and what was probably meant', () => {
    let error: unknown;
    try {
      resolve({ atempts: 5, delayMs: '100', jitter: 1, on: ['a', ''], unknown: 1 });
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toBeInstanceOf(ConfigError);
    expect((error as ConfigError).message.split('\n')).toEqual([
      'options of retry: 5 problems',
      '  retry.atempts: expected one of attempts, delayMs, jitter, on; did you mean attempts?',
      '  retry.delayMs = "100": expected a number of milliseconds from 0 to 2147483647',
      '  retry.jitter = 1: expected true or false',
      '  retry.on = ["a",""]: expected a list, each a non-empty string, or null',
      '  retry.unknown: expected one of attempts, delayMs, jitter, on',
    ]);
  });

  it.each([null, 'attempts=3', 3, [], true])('refuses %j in place of options', (given) => {
    expect(() => resolve(given)).toThrow('expected an object with options');
  });

  it('does not take what every object inherits for an option', () => {
    for (const name of ['constructor', 'toString', '__proto__']) {
      const given = JSON.parse(`{ "${name}": 1 }`);
      expect(optionProblems('retry', given, rules)).toMatchObject([{ name: `retry.${name}` }]);
    }
    expect(optionProblems('retry', undefined, rules)).toEqual([]);
  });
});

describe('checks', () => {
  it.each<[string, Check, unknown[], unknown[]]>([
    ['ms', checks.ms(), [0, 0.5, 2 ** 31 - 1], [-1, 2 ** 31, '1', null, Number.NaN, Number.POSITIVE_INFINITY]],
    ['ms within', checks.ms(5, 10), [5, 10], [4.9, 10.1]],
    ['integer', checks.integer(1), [1, Number.MAX_SAFE_INTEGER], [0, 1.5, '1', Number.NaN, Number.POSITIVE_INFINITY]],
    ['integer within', checks.integer(1, 3), [1, 3], [0, 4]],
    ['number', checks.number(0), [0, 1e300], [-0.1, '1', Number.NaN, Number.POSITIVE_INFINITY]],
    ['number within', checks.number(0, 1), [0, 1], [1.1]],
    ['above', checks.above(0), [0.001], [0, -1, Number.NaN, Number.POSITIVE_INFINITY, '1']],
    ['ratio', checks.ratio(), [0, 0.2, 1], [-0.1, 1.1, 20, '0.2', Number.NaN]],
    ['boolean', checks.boolean(), [true, false], [0, 'true', null]],
    ['text', checks.text(), ['a'], ['', 1, null]],
    ['fn', checks.fn(), [() => 1, class {}], ['f', {}, null]],
    ['oneOf', checks.oneOf('a', 'b'), ['a', 'b'], ['c', '', null, 0]],
    ['listOf', checks.listOf(checks.text()), [[], ['a']], [['a', 1], 'a', { length: 0 }, null]],
    ['object', checks.object(), [{}, new Map()], [null, [], 'a', () => 1]],
    ['any', checks.any(), [null, 0, {}], []],
    ['orNull', checks.orNull(checks.text()), [null, 'a'], ['', undefined, 0]],
    ['optional', checks.optional(checks.text()), [undefined, 'a'], ['', null]],
    ['either', checks.either(checks.text(), checks.boolean()), ['a', false], ['', 1]],
    ['check', check('an even number', (v) => (v as number) % 2 === 0), [2], [3]],
  ])('%s', (_, rule, right, wrong) => {
    expect(right.filter((value) => !rule.test(value))).toEqual([]);
    expect(wrong.filter((value) => rule.test(value))).toEqual([]);
    expect(rule.expected).not.toBe('');
  });
});

describe('closest', () => {
  it.each([
    ['atempts', 'attempts'],
    ['ATTEMPTS', 'attempts'],
    ['attemps', 'attempts'],
    ['dealyMs', 'delayMs'],
    ['onn', 'on'],
    ['no', 'on'],
    ['o', 'on'],
    ['off', null],
    ['timeoutMs', null],
    ['', null],
  ])('%j means %j', (word, meant) => {
    expect(closest(word, ['attempts', 'delayMs', 'jitter', 'on'])).toBe(meant);
  });

  it('takes the nearest of several', () => {
    expect(closest('cat', ['cart', 'cut', 'cat'])).toBe('cat');
    expect(closest('timeout', ['timeouts', 'timeour'])).toBe('timeouts');
  });
});
