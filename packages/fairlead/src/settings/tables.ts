/** @module All tables, and the variables that they stand for. */

import { clientTable } from './client-table.js';
import { inboundTable } from './inbound-table.js';
import { serviceTable } from './service-table.js';
import { type AnyTable, type Setting, settingAt, variableOf } from './setting.js';

/** What every variable begins with. */
export const variablePrefix = 'FAIRLEAD_';

/** Whom a setting is for. */
export type SettingScope = 'client' | 'service' | 'inbound';

/** A table for each scope. */
export type Tables = Readonly<Record<SettingScope, AnyTable>>;

/** Fairlead's own. */
export const settingsTables: Tables = Object.freeze({
  client: clientTable,
  service: serviceTable,
  inbound: inboundTable,
});

/** A setting that a variable sets. */
export interface Target {
  readonly scope: SettingScope;
  readonly path: string;
  readonly setting: Setting<unknown>;
}

/** The settings behind each variable, by its name without the prefix; more than one if scopes share it. */
export function variablesOf(tables: Tables): ReadonlyMap<string, readonly Target[]> {
  const variables = new Map<string, Target[]>();
  for (const scope of ['client', 'service', 'inbound'] as const) {
    for (const path of Object.keys(tables[scope])) {
      const setting = settingAt(tables[scope], path) as Setting<unknown>;
      const variable = variableIn(scope, path, setting);
      if (variable === null) continue;
      const targets = variables.get(variable);
      if (targets === undefined) variables.set(variable, [{ scope, path, setting }]);
      else targets.push({ scope, path, setting });
    }
  }
  return variables;
}

/** The variable of a setting without {@link variablePrefix}; for a service, the part that also follows the service's name. */
export function variableIn(scope: SettingScope, path: string, setting: Setting<unknown>): string | null {
  const variable = variableOf(path, setting);
  return scope === 'inbound' && variable !== null && setting.env === undefined ? `INBOUND_${variable}` : variable;
}
