/** @module What is wrong with policies that only all settings together show: where copies go, and faults in production. */
import { ConfigError, type ConfigProblem, closest } from '@fairlead/core';
import { injectFault } from '@fairlead/policies';
import type { Resolved } from './merge.js';
import { nameOf } from './rules.js';
import type { ServiceSettings } from './service-settings.js';

/** Services by name. */
type Services = ReadonlyMap<string, Resolved<ServiceSettings>>;

/** Where a service names another one, and what would come back to it in a circle. */
const links = [
  { path: 'mirror.to', of: ({ mirror }: ServiceSettings) => mirror.to, what: 'copies' },
  { path: 'fallback.service', of: ({ fallback }: ServiceSettings) => fallback.service, what: 'calls' },
] as const;

/** What is wrong with the policies of `services`. */
export function policyProblems(services: Services): ConfigProblem[] {
  return [...services].flatMap(([name, resolved]) => [
    ...links.flatMap((link) => linkProblems(services, link, name, resolved)),
    ...standInProblems(`services.${name}`, resolved),
    ...faultProblems(`services.${name}`, resolved),
  ]);
}

function linkProblems(
  services: Services,
  { path, of, what }: (typeof links)[number],
  name: string,
  resolved: Resolved<ServiceSettings>,
): ConfigProblem[] {
  const next = (service: string): string | null => {
    const settings = services.get(service)?.values;
    const to = settings === undefined ? null : of(settings);
    // What is said of all services is of no effect for the one that it names.
    return to === service ? null : to;
  };
  const to = next(name);
  if (to === null) return [];
  const problem = { name: nameOf(`services.${name}`, path, resolved), value: to };
  if (!services.has(to)) {
    const others = [...services.keys()].filter((each) => each !== name);
    return [{ ...problem, expected: 'the name of another service', didYouMean: closest(to, others) }];
  }
  // What comes back would be sent on again, and so on for ever.
  const passed = new Set<string>();
  for (let at: string | null = to; at !== null && !passed.has(at); at = next(at)) {
    if (at === name) return [{ ...problem, expected: `a service whose ${what} do not come back to ${name}` }];
    passed.add(at);
  }
  return [];
}

function standInProblems(owner: string, resolved: Resolved<ServiceSettings>): ConfigProblem[] {
  const { to, service } = resolved.values.fallback;
  if (to === null || service === null) return [];
  return [{ name: nameOf(owner, 'fallback.service', resolved), value: service, expected: 'off beside fallback.to' }];
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
