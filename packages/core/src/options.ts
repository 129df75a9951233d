/**
 * @module Checks of options. Every layer takes one optional object; it is checked when the layer is made, all problems
 * are reported at once, and nothing is applied unless everything is right.
 */
import { ConfigError, type ConfigProblem } from './errors.js';

/** Says whether a value is right, and in words what right would be. */
export interface Check<T = unknown> {
  /** Completes "expected …". */
  readonly expected: string;
  test(value: unknown): value is T;
}

/** Makes a check out of a predicate. */
export function check<T>(expected: string, test: (value: unknown) => boolean): Check<T> {
  return { expected, test: test as Check<T>['test'] };
}

const isNumber = (value: unknown): value is number => typeof value === 'number' && Number.isFinite(value);

/** The usual checks. */
export const checks = {
  /** A number of milliseconds. */
  ms: (min = 0, max = 2 ** 31 - 1): Check<number> =>
    check(`a number of milliseconds from ${min} to ${max}`, (v) => isNumber(v) && v >= min && v <= max),
  integer: (min: number, max = Number.MAX_SAFE_INTEGER): Check<number> =>
    check(
      max === Number.MAX_SAFE_INTEGER ? `a whole number from ${min}` : `a whole number from ${min} to ${max}`,
      (v) => Number.isInteger(v) && (v as number) >= min && (v as number) <= max,
    ),
  number: (min: number, max = Number.MAX_VALUE): Check<number> =>
    check(
      max === Number.MAX_VALUE ? `a number from ${min}` : `a number from ${min} to ${max}`,
      (v) => isNumber(v) && v >= min && v <= max,
    ),
  above: (min: number): Check<number> => check(`a number above ${min}`, (v) => isNumber(v) && v > min),
  ratio: (): Check<number> => check('a share from 0 to 1', (v) => isNumber(v) && v >= 0 && v <= 1),
  boolean: (): Check<boolean> => check('true or false', (v) => typeof v === 'boolean'),
  text: (): Check<string> => check('a non-empty string', (v) => typeof v === 'string' && v !== ''),
  fn: (what = 'a function'): Check<(...args: never[]) => unknown> => check(what, (v) => typeof v === 'function'),
  oneOf: <T extends string>(...words: T[]): Check<T> =>
    check(`one of ${words.join(', ')}`, (v) => words.includes(v as T)),
  listOf: <T>(each: Check<T>): Check<readonly T[]> =>
    check(`a list, each ${each.expected}`, (v) => Array.isArray(v) && v.every((item) => each.test(item))),
  object: (what = 'an object'): Check<object> =>
    check(what, (v) => typeof v === 'object' && v !== null && !Array.isArray(v)),
  any: (): Check<unknown> => check('anything', () => true),
  /** Also allows null. */
  orNull: <T>(each: Check<T>): Check<T | null> => check(`${each.expected}, or null`, (v) => v === null || each.test(v)),
  /** Also allows undefined. */
  optional: <T>(each: Check<T>): Check<T | undefined> => check(each.expected, (v) => v === undefined || each.test(v)),
  /** Either of two. */
  either: <A, B>(a: Check<A>, b: Check<B>): Check<A | B> =>
    check(`${a.expected}, or ${b.expected}`, (v) => a.test(v) || b.test(v)),
};

/** A check for each option that exists. */
export type Checks<T> = { readonly [K in keyof T]-?: Check };

/**
 * Checks `given` and fills in `defaults`. An option that is undefined counts as not given.
 * @param owner whose options they are: `retry`
 * @throws ConfigError with every problem: unknown names (with the one that was probably meant), wrong types and values
 */
export function resolveOptions<T extends object>(
  owner: string,
  given: Partial<T> | undefined,
  defaults: Readonly<T>,
  rules: Checks<T>,
): Readonly<T> {
  const problems = optionProblems(owner, given, rules);
  if (problems.length > 0) throw new ConfigError(problems, `options of ${owner}`);
  const merged: Record<string, unknown> = { ...defaults };
  for (const [name, value] of Object.entries(given ?? {})) if (value !== undefined) merged[name] = value;
  return Object.freeze(merged) as Readonly<T>;
}

/** What {@link resolveOptions} would object to. */
export function optionProblems<T extends object>(owner: string, given: unknown, rules: Checks<T>): ConfigProblem[] {
  if (given === undefined) return [];
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    return [{ name: owner, value: given, expected: 'an object with options' }];
  }
  const problems: ConfigProblem[] = [];
  const known = Object.keys(rules);
  for (const [name, value] of Object.entries(given)) {
    if (!Object.hasOwn(rules, name)) {
      problems.push({
        name: `${owner}.${name}`,
        expected: `one of ${known.join(', ')}`,
        didYouMean: closest(name, known),
      });
    } else if (value !== undefined) {
      const rule = (rules as Record<string, Check>)[name] as Check;
      if (!rule.test(value)) problems.push({ name: `${owner}.${name}`, value, expected: rule.expected });
    }
  }
  return problems;
}

/** The one of `words` that was probably meant by `word`: at most two edits away (one, if it is short); else null. */
export function closest(word: string, words: readonly string[]): string | null {
  const allowed = word.length < 5 ? 1 : 2;
  let best: string | null = null;
  let least = allowed + 1;
  for (const candidate of words) {
    const distance = editDistance(word.toLowerCase(), candidate.toLowerCase(), allowed);
    if (distance < least) {
      least = distance;
      best = candidate;
    }
  }
  return best;
}

/** Optimal string alignment: insertions, deletions, substitutions, and two neighbours swapped, each one edit. */
function editDistance(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) > limit) return limit + 1;
  let before: number[] = [];
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      let least = Math.min(
        (row[j - 1] as number) + (same ? 0 : 1),
        (row[j] as number) + 1,
        (next[j - 1] as number) + 1,
      );
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        least = Math.min(least, (before[j - 2] as number) + 1);
      }
      next.push(least);
    }
    before = row;
    row = next;
  }
  return row[b.length] as number;
}
