/** @module A list of endpoints that never changes. */
import { ConfigError, type ConfigProblem, createEndpoint, type Endpoint, type Resolver } from '@fairlead/core';

/**
 * A resolver that tells `list`, once and at once.
 * @param list origins such as `http://10.0.0.5:8080`, or endpoints
 * @throws ConfigError if the list is empty, or with the problems of all entries
 */
export function fixed(list: readonly (string | Endpoint)[]): Resolver {
  if (!Array.isArray(list) || list.length === 0) {
    throw new ConfigError([{ name: 'fixed', value: list, expected: 'a list with at least one origin or endpoint' }]);
  }
  const problems: ConfigProblem[] = [];
  const endpoints: Endpoint[] = [];
  for (const entry of list as readonly (string | Endpoint)[]) {
    try {
      // createEndpoint says what is wrong with an origin, also with one that is no string at all.
      endpoints.push(
        typeof entry === 'object' && entry !== null ? createEndpoint(entry.origin, entry) : createEndpoint(entry),
      );
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      problems.push(...error.problems.map(shown));
    }
  }
  if (problems.length > 0) throw new ConfigError(problems, 'endpoints');
  Object.freeze(endpoints);
  return {
    name: endpoints.map((endpoint) => endpoint.origin).join(','),
    watch(tell, scope) {
      if (!scope.canceled) tell({ endpoints });
    },
  };
}

function shown(problem: ConfigProblem): ConfigProblem {
  return typeof problem.value === 'string' ? { ...problem, value: withoutCredentials(problem.value) } : problem;
}

/** @internal `source` as it can be shown: what stands before an `@` may be a password. */
export function withoutCredentials(source: string): string {
  return source.replace(/^([a-z][a-z0-9+.-]*:\/\/)?.*@/i, '$1***@');
}
