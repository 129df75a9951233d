/** @module A document that says who is there: from a file, or from a server that serves such documents. */
import { ConfigError, type ConfigProblem, closest, type Endpoint } from '@fairlead/core';
import { readEntries } from './entries.js';
import { parseJson } from './json.js';
import { readGroups } from './target-groups.js';

/** More problems than these are counted only: they are of one kind, and the message is to be read. */
const maxProblems = 20;

const forms =
  '{ "endpoints": ["http://10.0.0.5:8080"] }, { "services": { … } } or a list of target groups [{ "targets": ["10.0.0.5:8080"] }]';

/**
 * Reads a document:
 * - `{ "endpoints": [ … ] }`: origins, or objects with the fields of an endpoint
 * - `[{ "targets": [ … ], "labels": { … } }]`: target groups as Prometheus reads them
 * - `{ "services": { "payments": … } }`: one of the above, or a list of endpoints, for each of several services
 * @param service which of several services is wanted; null if the document holds one
 * @param where the document comes from, for messages
 * @throws ConfigError with everything that is wrong; nothing of a document counts unless all of it is right
 */
export function readDocument(bytes: Uint8Array, service: string | null, where: string): readonly Endpoint[] {
  const problems: ConfigProblem[] = [];
  const content = parseJson(bytes, problems);
  const found = problems.length > 0 ? [] : readContent(content, service, problems);
  const endpoints = unique(found, problems);
  if (problems.length > 0) throw new ConfigError(shortened(problems), where);
  return Object.freeze(endpoints);
}

function readContent(content: unknown, service: string | null, problems: ConfigProblem[]): Endpoint[] {
  if (Array.isArray(content)) return readGroups(content, service, '', problems);
  const document = (typeof content === 'object' && content !== null ? content : {}) as Record<string, unknown>;
  const keys = Object.keys(document);
  const unknown = keys.find((key) => key !== 'endpoints' && key !== 'services');
  if (keys.length !== 1 || unknown !== undefined) {
    const didYouMean = unknown === undefined ? null : closest(unknown, ['endpoints', 'services']);
    problems.push({
      name: unknown ?? 'content',
      value: unknown === undefined ? content : undefined,
      expected: forms,
      didYouMean,
    });
    return [];
  }
  if (keys[0] === 'services') return readServices(document.services, service, problems);
  if (service === null) return readEntries(document.endpoints, 'endpoints', problems);
  problems.push({ name: `#${service}`, expected: 'no service to be named: there is one only, under "endpoints"' });
  return [];
}

function readServices(services: unknown, service: string | null, problems: ConfigProblem[]): Endpoint[] {
  if (typeof services !== 'object' || services === null || Array.isArray(services)) {
    problems.push({ name: 'services', value: services, expected: 'an object with a name for each service' });
    return [];
  }
  const names = Object.keys(services);
  if (service === null || !Object.hasOwn(services, service)) {
    const expected = `one of the services in it, named after a #: ${names.slice(0, 20).join(', ') || 'there are none'}`;
    const didYouMean = service === null ? null : closest(service, names);
    problems.push({ name: service === null ? 'services' : `#${service}`, expected, didYouMean });
    return [];
  }
  const content = (services as Record<string, unknown>)[service];
  const at = `services.${service}`;
  if (!Array.isArray(content)) return readEntries(content, at, problems);
  const grouped = content.some((each) => typeof each === 'object' && each !== null && 'targets' in each);
  return grouped ? readGroups(content, null, at, problems) : readEntries(content, at, problems);
}

/** The same endpoint may be written twice, but not two endpoints by one id. */
function unique(found: readonly Endpoint[], problems: ConfigProblem[]): Endpoint[] {
  const byId = new Map<string, Endpoint>();
  for (const endpoint of found) {
    const known = byId.get(endpoint.id);
    if (known === undefined) byId.set(endpoint.id, endpoint);
    else if (known.origin !== endpoint.origin) {
      const expected = `to be of one endpoint, not of ${known.origin} and ${endpoint.origin}`;
      problems.push({ name: 'id', value: endpoint.id, expected });
    }
  }
  return [...byId.values()];
}

function shortened(problems: readonly ConfigProblem[]): readonly ConfigProblem[] {
  const shown = problems.slice(0, maxProblems).map(briefly);
  const rest = problems.length - shown.length;
  return rest === 0 ? shown : [...shown, { name: `${rest} more`, expected: 'the above to be right first' }];
}

/** A value may be a whole list that stands in the wrong place. */
function briefly(problem: ConfigProblem): ConfigProblem {
  const { value } = problem;
  if (typeof value !== 'object' && typeof value !== 'string') return problem;
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return text.length <= 80 ? problem : { ...problem, value: `${text.slice(0, 80)}…` };
}
