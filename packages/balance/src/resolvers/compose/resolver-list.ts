/** @module The lists of resolvers that others are made of. */
import { ConfigError, type ConfigProblem, type Resolver } from '@fairlead/core';

/**
 * @internal `list`, if it is one of resolvers.
 * @throws ConfigError that lists everything that is none
 */
export function resolverList(owner: string, list: readonly Resolver[]): readonly Resolver[] {
  if (!Array.isArray(list) || list.length === 0) {
    throw new ConfigError([{ name: owner, value: list, expected: 'a list with at least one resolver' }]);
  }
  const problems = (list as readonly unknown[]).flatMap((each, i): ConfigProblem[] => {
    const { name, watch } = Object(each) as Partial<Resolver>;
    const right = typeof name === 'string' && typeof watch === 'function';
    return right ? [] : [{ name: `${owner}[${i}]`, value: each, expected: 'a resolver' }];
  });
  if (problems.length > 0) throw new ConfigError(problems, `resolvers of ${owner}`);
  return [...list];
}
