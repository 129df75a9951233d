/** @module What one source says: code and environment are both read into this form before they are put together. */
import { type ConfigProblem, closest, optionProblems } from '@fairlead/core';
import { redact } from './redaction.js';
import { type AnyTable, isGroup, namesBelow, settingAt } from './setting.js';

/** One value, and who gave it: `code`, or the name of a variable. */
export interface GivenValue {
  readonly value: unknown;
  readonly by: string;
}

/** The values that one source gives, by the paths of their settings. */
export type Given = ReadonlyMap<string, GivenValue>;

/**
 * Reads options that were given in code. Only what the table knows gets through, so neither `__proto__` nor anything else
 * that an object could be poisoned with does.
 * @param owner whose options they are, for problems: `services.payments`
 * @param options the object that code gave; undefined gives nothing
 * @param problems gets everything that is wrong
 * @param aside options at the top that are no settings and are read by somebody else: `services`
 */
export function readOptions(
  table: AnyTable,
  owner: string,
  options: unknown,
  problems: ConfigProblem[],
  aside: readonly string[] = [],
  by = 'code',
): Given {
  const given = new Map<string, GivenValue>();
  readGroup('', options);
  return given;

  function readGroup(prefix: string, group: unknown): void {
    if (group === undefined) return;
    const name = prefix === '' ? owner : `${owner}.${prefix.slice(0, -1)}`;
    if (typeof group !== 'object' || group === null || Array.isArray(group)) {
      problems.push({ name, value: redact(group, false), expected: 'an object with options' });
      return;
    }
    const known = prefix === '' ? [...namesBelow(table, prefix), ...aside] : namesBelow(table, prefix);
    for (const [key, value] of Object.entries(group)) {
      if (prefix === '' && aside.includes(key)) continue;
      if (known.includes(key)) readValue(prefix + key, value);
      else
        problems.push({
          name: `${name}.${key}`,
          expected: `one of ${known.join(', ')}`,
          didYouMean: closest(key, known),
        });
    }
  }

  function readValue(path: string, value: unknown): void {
    if (value === undefined) return;
    const setting = settingAt(table, path);
    if (isGroup(table, path) && (setting === undefined || typeof value !== 'boolean')) {
      readGroup(`${path}.`, value);
      return;
    }
    const { value: kind, secret = false } = setting as NonNullable<typeof setting>;
    const name = `${owner}.${path}`;
    const before = problems.length;
    // A misspelt part is named by itself; whatever else is wrong is said of the whole.
    if (kind.parts !== undefined && typeof value === 'object' && value !== null && !Array.isArray(value)) {
      for (const problem of optionProblems(name, value, kind.parts)) {
        problems.push('value' in problem ? { ...problem, value: redact(problem.value, secret) } : problem);
      }
    }
    if (problems.length > before) return;
    if (kind.check.test(value)) given.set(path, { value, by });
    else problems.push({ name, value: redact(value, secret), expected: kind.check.expected });
  }
}
