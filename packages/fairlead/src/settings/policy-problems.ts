/** @module What is wrong with policies that only all settings together show: where copies go, and faults in production. */
import { ConfigError, type ConfigProblem, closest } from '@fairlead/core';
import { injectFault } from '@fairlead/policies';
import type { Resolved } from './merge.js';
import { nameOf } from './rules.js';
import type { ServiceSettings } from './service-settings.js';

/** Services by name. */
type Services = ReadonlyMap<string, Resolved<ServiceSettings>>;

/** What is wrong with the policies of `services`. */
export function policyProblems(services: Services): ConfigProblem[] {
  return [...services].flatMap(([name, resolved]) => [
    ...mirrorProblems(services, name, resolved),
    ...faultProblems(`services.${name}`, resolved),
  ]);
}

function mirrorProblems(services: Services, name: string, resolved: Resolved<ServiceSettings>): ConfigProblem[] {
  const { to } = resolved.values.mirror;
  if (to === null || to === name) return [];
  const problem = { name: nameOf(`services.${name}`, 'mirror.to', resolved), value: to };
  if (!services.has(to)) {
    const others = [...services.keys()].filter((each) => each !== name);
    return [{ ...problem, expected: 'the name of another service', didYouMean: closest(to, others) }];
  }
  // A copy that comes back would be copied again, and so on for ever.
  const passed = new Set<string>();
  for (let at: string | null = to; at !== null && !passed.has(at); at = nextOf(services, at)) {
    if (at === name) return [{ ...problem, expected: `a service whose copies do not come back to ${name}` }];
    passed.add(at);
  }
  return [];
}

function nextOf(services: Services, name: string): string | null {
  const to = services.get(name)?.values.mirror.to ?? null;
  return to === name ? null : to;
}

/** The policy itself knows; only asked here so that it is told with everything else. */
function faultProblems(owner: string, resolved: Resolved<ServiceSettings>): ConfigProblem[] {
  const { injectFault: settings } = resolved.values;
  if (settings === false) return [];
  try {
    injectFault(settings);
    return [];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems.map((problem) => ({ ...problem, name: nameOf(owner, problem.name, resolved) }));
  }
}
