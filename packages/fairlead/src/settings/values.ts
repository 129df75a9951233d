/**
 * @module The kinds of values that a setting can have: how each is written in an environment variable, and how it is
 * checked when code gives it. A kind says in words what would have been right, for errors and for the reference page.
 */
import { type Check, check, checks } from '@fairlead/core';
import { formatDuration, parseDuration } from './duration.js';

/** How values of one kind are read, written and checked. */
export interface ValueKind<T> {
  /** One or two words for the reference page: `duration`. */
  readonly kind: string;
  /** Completes "expected …" for text. */
  readonly expected: string;
  /** A value as it would be written. */
  readonly example: string;
  /** Checks a value given in code, and every parsed one. */
  readonly check: Check;
  /** The only words allowed, if there are only some. */
  readonly words?: readonly string[];
  /** The options of a value that is an object, so that a misspelt one can be named. */
  readonly parts?: Readonly<Record<string, Check>>;
  /** Fills in the parts that were left out. */
  complete?(value: T): T;
  /** The value that `text` (trimmed, not empty) stands for; undefined if it stands for none. */
  parse(text: string): T | undefined;
  /** Writes a value so that `parse` reads it back. */
  format(value: T): string;
}

const decimal = /^-?[0-9]+(\.[0-9]+)?$/;

/** A duration; in code a number of ms. */
export function duration(minMs = 0, maxMs: number = 2 ** 31 - 1): ValueKind<number> {
  const floor = minMs > 0 ? `, at least ${formatDuration(minMs)}` : '';
  const ceiling = maxMs < 2 ** 31 - 1 ? `, at most ${formatDuration(maxMs)}` : '';
  return {
    kind: 'duration',
    expected: `a duration such as 500ms, 2s or 1m30s${floor}${ceiling}`,
    example: formatDuration(Math.max(minMs, Math.min(maxMs, 90_000))),
    check: checks.ms(minMs, maxMs),
    parse: parseDuration,
    format: formatDuration,
  };
}

const truths: Readonly<Record<string, boolean>> = Object.freeze({
  true: true,
  yes: true,
  on: true,
  '1': true,
  false: false,
  no: false,
  off: false,
  '0': false,
});

/** A switch. */
export function boolean(): ValueKind<boolean> {
  return {
    kind: 'boolean',
    expected: 'one of true, false, yes, no, on, off, 1, 0',
    example: 'true',
    check: checks.boolean(),
    parse: (text) => {
      const word = text.toLowerCase();
      return Object.hasOwn(truths, word) ? truths[word] : undefined;
    },
    format: String,
  };
}

/** A whole number. */
export function integer(min: number, max: number = Number.MAX_SAFE_INTEGER): ValueKind<number> {
  const rule = checks.integer(min, max);
  return {
    kind: 'whole number',
    expected: rule.expected,
    example: String(Math.max(min, Math.min(max, 3))),
    check: rule,
    parse: (text) => (/^-?[0-9]{1,16}$/.test(text) ? Number(text) : undefined),
    format: String,
  };
}

/** A number in decimal notation: neither hexadecimal nor with an exponent, which are more often slips than meant. */
export function number(min: number, max: number = Number.MAX_VALUE): ValueKind<number> {
  const rule = checks.number(min, max);
  return {
    kind: 'number',
    expected: rule.expected,
    example: String(Math.max(min, Math.min(max, 10))),
    check: rule,
    parse: (text) => (decimal.test(text) ? Number(text) : undefined),
    format: String,
  };
}

/** A share: `0.2` or `20%`; in code a number from 0 to 1. */
export function ratio(): ValueKind<number> {
  return {
    kind: 'share',
    expected: 'a share such as 0.2 or 20%, from 0 to 1',
    example: '20%',
    check: checks.ratio(),
    parse: (text) => {
      const percent = text.endsWith('%');
      const digits = percent ? text.slice(0, -1) : text;
      if (!decimal.test(digits)) return undefined;
      return percent ? Number(digits) / 100 : Number(digits);
    },
    format: String,
  };
}

/** A share from `min` to below 1. */
export function shareFrom(min: number): ValueKind<number> {
  const expected = `a share such as 0.9 or 90%, from ${min} to below 1`;
  const inRange = check(expected, (value) => checks.ratio().test(value) && value >= min && value < 1);
  return { ...ratio(), expected, example: '90%', check: inRange };
}

/** A number above `min`, at most `max`. */
export function numberAbove(min: number, max: number = Number.MAX_VALUE): ValueKind<number> {
  const most = max === Number.MAX_VALUE ? '' : `, at most ${max}`;
  const expected = `a number above ${min}${most}`;
  const inRange = check(expected, (value) => checks.number(min, max).test(value) && value > min);
  return { ...number(min, max), expected, example: String(Math.min(max, min + 10)), check: inRange };
}

/** Text as it is, if `fits` says so. */
export function text(what: string, example: string, fits: (value: string) => boolean): ValueKind<string> {
  return {
    kind: 'text',
    expected: what,
    example,
    check: check(what, (value) => typeof value === 'string' && fits(value)),
    parse: (given) => given,
    format: (value) => value,
  };
}

/** One of a few words, told apart without regard to case. */
export function oneOf<T extends string>(...words: T[]): ValueKind<T> {
  const rule = checks.oneOf(...words);
  return {
    kind: words.join(', '),
    expected: rule.expected,
    example: words[0] as string,
    check: rule,
    words,
    parse: (given) => words.find((word) => word.toLowerCase() === given.toLowerCase()),
    format: (value) => value,
  };
}

/** A list with commas: items trimmed, empty ones dropped, repeated ones kept once. */
export function list<T>(each: ValueKind<T>): ValueKind<readonly T[]> {
  return {
    kind: `list: ${each.kind}`,
    expected: `a list with commas, each ${each.expected}`,
    example: each.example,
    check: checks.listOf(each.check),
    parse: (given) => {
      const items = [...new Set(splitList(given))].map((item) => each.parse(item));
      return items.length > 0 && items.every((item) => item !== undefined) ? [...new Set(items as T[])] : undefined;
    },
    format: (value) => value.map((item) => each.format(item)).join(','),
  };
}

/** The items of a list: trimmed, without the empty ones. */
export function splitList(given: string): string[] {
  return given
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');
}

/** A value that can also be switched off: `off`, in code `off`'s value. Another word can be given for it. */
export function orOff<T, Off extends false | null>(kind: ValueKind<T>, off: Off, word = 'off'): ValueKind<T | Off> {
  return {
    ...kind,
    kind: `${kind.kind}, or ${word}`,
    expected: `${kind.expected}, or ${word}`,
    check: check(`${kind.check.expected}, or ${off}`, (value) => value === off || kind.check.test(value)),
    parse: (given) => (given.toLowerCase() === word ? off : kind.parse(given)),
    format: (value) => (value === off ? word : kind.format(value as T)),
    complete: (value) => (value === off || kind.complete === undefined ? value : kind.complete(value as T)),
  };
}

/** A value that only code can give, such as a function. */
export function codeOnly<T>(what: string, rule: Check): ValueKind<T> {
  return { kind: what, expected: what, example: '', check: rule, parse: () => undefined, format: () => '' };
}

/** Also allows what `rule` allows, but only in code: a function, an object with methods. */
export function orInCode<T, U>(kind: ValueKind<T>, rule: Check<U>): ValueKind<T | U> {
  const { complete } = kind;
  return {
    ...kind,
    complete: (value) => (complete !== undefined && kind.check.test(value) ? complete(value as T) : value),
    check: checks.either(kind.check, rule),
    format: (value) => (kind.check.test(value) ? kind.format(value as T) : ''),
  };
}
