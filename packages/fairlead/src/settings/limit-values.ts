/** @module The values of a guard's limit: one rate, or several limits that a request has to pass. */
import { type Call, type Check, check, checks } from '@fairlead/core';
import type { CallerKey, Limiter, SharedLimiter } from '@fairlead/server';
import { burstOf, type Rate, rate } from './compound-values.js';
import { splitList, type ValueKind } from './values.js';

/** What tells callers apart; a function gets the call and its request, as in a `rateLimit` that is a layer. */
export type CallerKeySetting = 'address' | 'apiKey' | 'identity' | CallerKey;

interface LimitParts {
  /** Shown to clients: letters, digits, `.`, `_` and `-`. Default `default`; each of several has one of its own. */
  readonly name?: string | undefined;
  /** What a request counts, or a function that says so; 0 lets it pass unasked. Default 1. */
  readonly cost?: number | ((call: Call) => number) | undefined;
  /** Whose requests count together. Default: the guard's `key`. */
  readonly key?: CallerKeySetting | undefined;
}

/** A rate for each caller, counted in this process. */
interface OwnLimit extends Rate, LimitParts {
  readonly limiter?: undefined;
}

/** Something that counts elsewhere, such as for a fleet. */
export interface GivenLimit extends LimitParts {
  readonly limiter: Limiter | SharedLimiter;
  readonly perSecond?: undefined;
  readonly burst?: undefined;
}

/** One limit. */
export type LimitSetting = OwnLimit | GivenLimit;

/** Whether `value` is one of {@link CallerKeySetting}. */
export const isCallerKey: Check<CallerKeySetting> = checks.either(
  checks.oneOf('address', 'apiKey', 'identity'),
  checks.fn('a function of the call and its request'),
) as Check<CallerKeySetting>;

const oneRate = rate();
const isName = (value: unknown): boolean => typeof value === 'string' && /^[A-Za-z0-9._-]+$/.test(value);
const parts: Readonly<Record<string, Check>> = Object.freeze({
  ...oneRate.parts,
  name: check('letters, digits, ".", "_" and "-"', isName),
  cost: checks.either(checks.number(0), checks.fn()),
  key: isCallerKey,
  limiter: check(
    'what counts: take(key, now, cost), or ask(key, cost, scope)',
    (value) => typeof Object(value).take === 'function' || typeof Object(value).ask === 'function',
  ),
});
const known: ReadonlySet<string> = new Set(Object.keys(parts));

function isLimit(value: unknown): boolean {
  const limit = Object(value) as Record<string, unknown>;
  const given = Object.entries(limit).filter(([, each]) => each !== undefined);
  const right = given.every(([name, each]) => known.has(name) && parts[name]?.test(each));
  return right && (limit.limiter === undefined ? oneRate.check.test(limit) : limit.perSecond === undefined);
}

function areLimits(value: unknown): boolean {
  if (!Array.isArray(value)) return isLimit(value);
  const names = new Set(value.map((each) => Object(each).name ?? 'default'));
  return value.length > 0 && value.every(isLimit) && names.size === value.length;
}

/** `100/s;burst=200`, or several with names: `burst 20/s, sustained 1000/h;burst=500`. In code objects, or a list of them. */
export function limits(): ValueKind<LimitSetting | readonly LimitSetting[]> {
  return {
    kind: 'rate, or list: name and rate',
    expected: `${oneRate.expected}, or several, each with a name: burst 20/s, sustained 1000/h`,
    example: oneRate.example,
    parts,
    check: check(
      'an object such as { perSecond: 100, burst: 200 }, or a list of such, each with a name of its own',
      areLimits,
    ),
    parse: (text) => {
      const items = splitList(text).map(namedRate);
      if (items.some((item) => item === undefined)) return undefined;
      const [first, second] = items as LimitSetting[];
      return second === undefined ? first : (items as LimitSetting[]);
    },
    complete: (value) => (Array.isArray(value) ? value.map(complete) : complete(value as LimitSetting)),
    format: (value) => [value].flat().map(format).join(', '),
  };
}

function namedRate(text: string): LimitSetting | undefined {
  const [, name, written = ''] = /^(?:([A-Za-z0-9._-]+)\s+)?(\S.*)$/.exec(text) ?? [];
  const parsed = oneRate.parse(written);
  return parsed === undefined || name === undefined ? parsed : { name, ...parsed };
}

function complete(limit: LimitSetting): LimitSetting {
  return limit.limiter === undefined ? { ...limit, burst: burstOf(limit) } : limit;
}

function format(limit: LimitSetting): string {
  const amount = oneRate.format(limit.limiter === undefined ? limit : limit.limiter);
  return limit.name === undefined ? amount : `${limit.name} ${amount}`;
}
