/**
 * @module What a setting is. The tables of settings are the one place that knows them all: options given in code,
 * environment variables, defaults and the reference page are read from them.
 */
import type { Resolver } from '@fairlead/core';
import type { Rate } from './compound-values.js';
import type { GivenLimit } from './limit-values.js';
import type { ValueKind } from './values.js';

/** One row of a table. */
export interface Setting<T> {
  readonly value: ValueKind<T>;
  /** What holds if nobody says otherwise; undefined if nothing does. */
  readonly default: T | undefined;
  /** One sentence for the reference page. */
  readonly doc: string;
  /** The version that brought it. */
  readonly since: string;
  /** The variable without its prefix, where it does not follow from the path; null if there is none. */
  readonly env?: string | null;
  /** Never shown; can also be read from the file that the variable with `_FILE` names. Default false. */
  readonly secret?: boolean;
}

/** Makes a row. `since` is the first version unless `more` says otherwise. */
export function setting<T, D extends T | undefined>(
  value: ValueKind<T>,
  byDefault: D,
  doc: string,
  more?: Partial<Pick<Setting<T>, 'env' | 'secret' | 'since'>>,
): Setting<T> {
  return { value, default: byDefault, doc, since: '0.1.0', ...more };
}

/** Values that are given whole. */
type Whole =
  | number
  | string
  | boolean
  | readonly unknown[]
  | GivenLimit
  | Resolver
  | ((...args: never[]) => unknown)
  | undefined;

/**
 * Every other object is a group of settings. Groups are never null, so whatever can be null is given whole, too. Of what has
 * a rate in it, only a rate is one.
 */
type Leaf<T> = null extends T
  ? true
  : T extends Rate
    ? Rate extends T
      ? true
      : false
    : T extends Whole
      ? true
      : false;

/** Tells a leaf from a group without being distributed over a union. */
type IsLeaf<T> = false extends Leaf<T> ? false : true;

/** The paths of all settings in `T`. A group that can be switched off (`false | {…}`) has a path for the switch as well. */
export type PathOf<T> = {
  [K in keyof T & string]: IsLeaf<T[K]> extends true
    ? K
    : false extends T[K]
      ? K | `${K}.${PathOf<Exclude<T[K], false>>}`
      : `${K}.${PathOf<T[K]>}`;
}[keyof T & string];

/** The type of the setting at `P`; that of a switch is boolean. */
export type ValueAt<T, P extends string> = P extends `${infer Head}.${infer Rest}`
  ? Head extends keyof T
    ? ValueAt<Exclude<T[Head], false>, Rest>
    : never
  : P extends keyof T
    ? IsLeaf<T[P]> extends true
      ? T[P]
      : boolean
    : never;

/** A row for every setting of `T`, by its path; the compiler sees to it that none is missing or too many. */
export type Table<T> = { readonly [P in PathOf<T>]: Setting<ValueAt<T, P>> };

/** What code may give of `T`: each option is optional, and a group that can be switched off is also true or false. */
export type OptionsOf<T> = {
  readonly [K in keyof T]?:
    | (IsLeaf<T[K]> extends true
        ? T[K]
        : false extends T[K]
          ? boolean | OptionsOf<Exclude<T[K], false>>
          : OptionsOf<T[K]>)
    | undefined;
};

/** A table as the engine sees it: which settings they are does not matter to it. */
export type AnyTable = Readonly<Record<string, Setting<unknown>>>;

/** Looks a row up; the names come from outside, so what every object inherits must not be found. */
export function settingAt(table: AnyTable, path: string): Setting<unknown> | undefined {
  return Object.hasOwn(table, path) ? table[path] : undefined;
}

/** The first parts of the paths below `prefix` (`retry.`, or empty), each once. */
export function namesBelow(table: AnyTable, prefix: string): string[] {
  const below = Object.keys(table).filter((path) => path.startsWith(prefix));
  return [...new Set(below.map((path) => path.slice(prefix.length).split('.', 1)[0] as string))];
}

/** Whether there are settings below `path`, so that it names a group or the switch of one. */
export function isGroup(table: AnyTable, path: string): boolean {
  return Object.keys(table).some((each) => each.startsWith(`${path}.`));
}

/**
 * The variable of a setting, without `FAIRLEAD_` and the prefix of its scope: `retry.baseMs` is `RETRY_BASE`, since a
 * duration brings its own unit. Null if only code can give it.
 */
export function variableOf(path: string, setting: Setting<unknown>): string | null {
  if (setting.env !== undefined) return setting.env;
  return path
    .replace(/Ms$/, '')
    .replace(/([a-z0-9])([A-Z])/g, '$1_$2')
    .replaceAll('.', '_')
    .toUpperCase();
}
