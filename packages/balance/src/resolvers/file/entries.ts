/** @module A list of endpoints as Fairlead's own files write it: origins, or objects with the fields of an endpoint. */
import {
  type Check,
  ConfigError,
  type ConfigProblem,
  check,
  checks,
  closest,
  createEndpoint,
  type Endpoint,
} from '@fairlead/core';

const rules: Readonly<Record<keyof Endpoint, Check>> = Object.freeze({
  origin: checks.text(),
  id: checks.text(),
  weight: check('a number above 0; who is to get nothing is left out', (v) => Number.isFinite(v) && (v as number) > 0),
  zone: checks.orNull(checks.text()),
  priority: checks.integer(0),
  attributes: checks.object(),
});

const fields: readonly string[] = Object.keys(rules);

/**
 * Reads such a list.
 * @param at where it stands, for messages
 * @param problems gets everything that is wrong with it
 */
export function readEntries(list: unknown, at: string, problems: ConfigProblem[]): Endpoint[] {
  if (!Array.isArray(list)) {
    problems.push({ name: at, value: list, expected: 'a list of endpoints' });
    return [];
  }
  const found: Endpoint[] = [];
  for (const [index, entry] of list.entries()) {
    const name = `${at}[${index}]`;
    const endpoint = typeof entry === 'string' ? made(entry, {}, name, problems) : readObject(entry, name, problems);
    if (endpoint !== null) found.push(endpoint);
  }
  return found;
}

function readObject(entry: unknown, at: string, problems: ConfigProblem[]): Endpoint | null {
  if (typeof entry !== 'object' || entry === null || Array.isArray(entry)) {
    problems.push({
      name: at,
      value: entry,
      expected: 'an origin such as http://10.0.0.5:8080, or an object with one',
    });
    return null;
  }
  const before = problems.length;
  for (const [field, value] of Object.entries(entry)) {
    if (!Object.hasOwn(rules, field)) {
      const didYouMean = closest(field, fields);
      problems.push({ name: `${at}.${field}`, expected: `one of ${fields.join(', ')}`, didYouMean });
    } else if (!rules[field as keyof Endpoint].test(value)) {
      problems.push({ name: `${at}.${field}`, value, expected: rules[field as keyof Endpoint].expected });
    }
  }
  const { origin, ...rest } = entry as Endpoint;
  if (origin === undefined) problems.push({ name: `${at}.origin`, expected: 'an origin such as http://10.0.0.5:8080' });
  return problems.length > before ? null : made(origin, rest, at, problems);
}

/** An endpoint, or null and what is wrong with it. */
export function made(
  origin: string,
  rest: Partial<Omit<Endpoint, 'origin'>>,
  at: string,
  problems: ConfigProblem[],
): Endpoint | null {
  try {
    return createEndpoint(origin, rest);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    problems.push(...error.problems.map((problem) => ({ ...problem, name: at })));
    return null;
  }
}
