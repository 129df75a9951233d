/** @module Options of a breaker that go by the names of opossum. */
import { ConfigError, type ConfigProblem } from '@fairlead/core';
import { withoutOpossumNames } from '@fairlead/policies';
import { redact } from './redaction.js';

/**
 * `options` of a service, or of all, with those of the breaker in names of our own.
 * @param owner whose options they are, for problems: `services.payments`
 * @param problems gets what is wrong
 */
export function withOwnBreakerNames(owner: string, options: unknown, problems: ConfigProblem[]): unknown {
  const { breaker } = Object(options) as { breaker?: unknown };
  // Whatever is no object is told by the check that follows.
  if (typeof breaker !== 'object' || breaker === null || Array.isArray(breaker)) return options;
  try {
    return { ...(options as object), breaker: withoutOpossumNames(breaker) };
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    for (const { name, ...problem } of error.problems) {
      const shown = 'value' in problem ? { ...problem, value: redact(problem.value, false) } : problem;
      problems.push({ ...shown, name: `${owner}.${name}` });
    }
    return { ...(options as object), breaker: undefined };
  }
}
