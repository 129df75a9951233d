/** @module What has to hold between settings: each is right by itself, and still they make no sense together. */
import type { ConfigProblem } from '@fairlead/core';
import type { Resolved } from './merge.js';
import { type AnyTable, settingAt } from './setting.js';

/** One setting must not be above another. */
export interface AtMost {
  readonly path: string;
  readonly limit: string;
  /**
   * `both` if it only matters where both were given: a default gives way then, as that of an attempt's timeout does to the
   * timeout of the call. `either` if one that was given would have no effect because of the default of the other.
   */
  readonly given: 'both' | 'either';
}

/** What has to hold between the settings of a service. */
export const serviceRules: readonly AtMost[] = [
  { path: 'attemptTimeoutMs', limit: 'timeoutMs', given: 'both' },
  { path: 'retry.baseMs', limit: 'retry.maxMs', given: 'either' },
  { path: 'breaker.openMs', limit: 'breaker.maxOpenMs', given: 'both' },
  { path: 'health.baseEjectMs', limit: 'health.maxEjectMs', given: 'either' },
  { path: 'loadReports.periodMs', limit: 'loadReports.expireMs', given: 'either' },
];

/** What has to hold between the settings of a guard. */
export const inboundRules: readonly AtMost[] = [
  { path: 'drain.delayMs', limit: 'drain.timeoutMs', given: 'either' },
  { path: 'shed.minLimit', limit: 'shed.maxLimit', given: 'either' },
];

/**
 * What does not hold. A setting that is off is neither above nor below anything.
 * @param owner whose settings they are, to name those that code gave: `services.payments`
 */
export function ruleProblems(
  table: AnyTable,
  owner: string,
  resolved: Resolved<unknown>,
  rules: readonly AtMost[],
): ConfigProblem[] {
  return rules.flatMap(({ path, limit, given }) => {
    const value = valueAt(resolved.values, path);
    const most = valueAt(resolved.values, limit);
    const byDefault = [path, limit].filter((each) => resolved.sources[each] === 'default').length;
    if (typeof value !== 'number' || typeof most !== 'number' || value <= most) return [];
    if (byDefault === 2 || (byDefault === 1 && given === 'both')) return [];
    // Named is what was given; the other one is what it has to agree with.
    const [name, other, relation] =
      resolved.sources[path] === 'default' ? [limit, path, 'at least'] : [path, limit, 'at most'];
    const source = resolved.sources[other] as string;
    const format = (at: string): string => settingAt(table, at)?.value.format(valueAt(resolved.values, at)) ?? '';
    const expected = `${relation} ${format(other)}, which is ${other} (${source})`;
    return [{ name: nameOf(owner, name, resolved), value: format(name), expected }];
  });
}

/** What a setting is called by whom has given it: an option of `owner`, or a variable. */
export function nameOf(owner: string, path: string, { sources }: Resolved<unknown>): string {
  const source = sources[path] as string;
  return /^(code|default)/.test(source) ? `${owner}.${path}` : source;
}

/** The value of a setting; undefined if its group is off. */
export function valueAt(values: unknown, path: string): unknown {
  return path.split('.').reduce<unknown>((group, name) => (Object(group) as Record<string, unknown>)[name], values);
}
