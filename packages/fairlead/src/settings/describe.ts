/** @module Settings as `describe()` shows them: what holds, and who said so. Secrets are not shown. */
import type { Resolved } from './merge.js';
import { redactText } from './redaction.js';
import { valueAt } from './rules.js';
import { type AnyTable, isGroup, settingAt } from './setting.js';

/** One setting. */
export interface SettingDescription {
  /** The value that holds, as it would be written in a variable where it can be. */
  readonly value: string;
  /** `code`, the name of a variable, or `default`. */
  readonly from: string;
}

/** Every setting of `table` that holds, by its path. */
export function describeSettings(
  table: AnyTable,
  resolved: Resolved<unknown>,
): Readonly<Record<string, SettingDescription>> {
  const described: Record<string, SettingDescription> = {};
  for (const [path, from] of Object.entries(resolved.sources))
    described[path] = { value: shown(table, path, resolved), from };
  return described;
}

function shown(table: AnyTable, path: string, { values }: Resolved<unknown>): string {
  const setting = settingAt(table, path);
  const value = valueAt(values, path);
  if (setting?.secret === true && value !== null && value !== undefined) return '(secret)';
  if (isGroup(table, path)) return value === false ? 'off' : 'on';
  if (value === undefined || value === null) return 'none';
  if (typeof value === 'function') return 'a function';
  return redactText(setting?.value.format(value) ?? String(value));
}
