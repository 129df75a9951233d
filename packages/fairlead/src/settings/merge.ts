/** @module Puts together what code, environment and defaults say, and remembers who said what. */
import type { Given, GivenValue } from './given.js';
import { type AnyTable, isGroup, settingAt } from './setting.js';
import type { ValueKind } from './values.js';

/** Settings that hold, and where each came from. Frozen throughout. */
export interface Resolved<T> {
  readonly values: T;
  /** By path: `code`, the name of a variable, or `default`. A group that is off has no entries but its own. */
  readonly sources: Readonly<Record<string, string>>;
}

/**
 * Takes each setting from the first layer that gives it, else from the table's default. A group that is off by default is
 * on as soon as any of its settings is given, unless somebody says otherwise; a group that is off is `false`.
 * @param layers the most important first; checked already
 */
export function mergeLayers<T>(table: AnyTable, layers: readonly Given[]): Resolved<T> {
  const root: Group = {};
  const groups = new Map<string, Group | false>([['', root]]);
  const sources: Record<string, string> = {};
  for (const path of Object.keys(table)) {
    const cut = path.lastIndexOf('.');
    const above = cut < 0 ? '' : path.slice(0, cut);
    const name = path.slice(cut + 1);
    const group = groups.get(above) ?? startGroup(groups, root, above);
    if (group === false) continue;
    const { value, by } = isGroup(table, path) ? pickSwitch(table, path, layers) : pick(table, path, layers);
    sources[path] = by;
    if (!isGroup(table, path)) group[name] = freezeWhole(value, settingAt(table, path)?.value);
    else if (value === true) startGroup(groups, group, path);
    else groups.set(path, (group[name] = false));
  }
  for (const group of groups.values()) if (group !== false) Object.freeze(group);
  return Object.freeze({ values: root as T, sources: Object.freeze(sources) });
}

type Group = Record<string, unknown>;

function startGroup(groups: Map<string, Group | false>, above: Group, path: string): Group {
  const group: Group = {};
  above[path.slice(path.lastIndexOf('.') + 1)] = group;
  groups.set(path, group);
  return group;
}

function pick(table: AnyTable, path: string, layers: readonly Given[]): GivenValue {
  for (const layer of layers) {
    const given = layer.get(path);
    if (given !== undefined) return given;
  }
  return { value: settingAt(table, path)?.default, by: 'default' };
}

function pickSwitch(table: AnyTable, path: string, layers: readonly Given[]): GivenValue {
  const picked = pick(table, path, layers);
  if (picked.by !== 'default' || picked.value === true) return picked;
  for (const layer of layers) {
    for (const [each, { by }] of layer) if (each.startsWith(`${path}.`)) return { value: true, by };
  }
  return picked;
}

/**
 * Lists and objects that are values are copied, so that whoever gave them cannot change them afterwards. Objects that do
 * something, such as resolvers, stay the same object.
 */
function freezeWhole(given: unknown, kind: ValueKind<unknown> | undefined): unknown {
  if (Array.isArray(given)) return Object.freeze([...((kind?.complete?.(given) as unknown[]) ?? given)]);
  if (kind?.parts === undefined || typeof given !== 'object' || given === null) return given;
  return Object.freeze({ ...(kind.complete?.(given) ?? given) });
}
