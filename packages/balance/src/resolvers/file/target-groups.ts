/**
 * @module Target groups, the JSON that Prometheus reads from files (`file_sd_configs`) and over HTTP (`http_sd_configs`),
 * and for which every platform has a generator: `[{ "targets": ["10.0.0.5:8080"], "labels": { "zone": "a" } }]`.
 */
import { type ConfigProblem, closest, type Endpoint } from '@fairlead/core';
import { made } from './entries.js';

type Labels = Readonly<Record<string, string>>;

/** Labels that say whose targets they are; the first that a group has decides. */
const serviceLabels: readonly string[] = Object.freeze(['fairlead_service', 'service', 'job']);

const ownLabels: readonly string[] = Object.freeze([
  'fairlead_service',
  'fairlead_scheme',
  'fairlead_weight',
  'fairlead_zone',
  'fairlead_priority',
]);

/**
 * Reads target groups. These labels mean something; all are attributes of the endpoint, too:
 * - `fairlead_scheme`, else `__scheme__`: `http` (default) or `https`
 * - `fairlead_weight`: a number above 0
 * - `fairlead_zone`, else `zone`
 * - `fairlead_priority`: a whole number from 0
 * - `fairlead_service`, else `service`, else `job`: whose targets they are
 * @param service whose targets are wanted; null for all there are
 * @param problems gets everything that is wrong with them
 */
export function readGroups(
  groups: readonly unknown[],
  service: string | null,
  at: string,
  problems: ConfigProblem[],
): Endpoint[] {
  const found: Endpoint[] = [];
  const others = new Set<string>();
  let mine = 0;
  for (const [index, group] of groups.entries()) {
    const name = `${at}[${index}]`;
    const shape = shapeOf(group, name, problems);
    if (shape === null) continue;
    const whose = shape.labels[serviceLabels.find((label) => Object.hasOwn(shape.labels, label)) ?? ''];
    if (service !== null && whose !== service) {
      if (whose !== undefined) others.add(whose);
      continue;
    }
    mine++;
    readGroup(shape, name, problems, found);
  }
  // An empty list is an answer. One that speaks of others only may have been meant for somebody else.
  if (service !== null && mine === 0 && groups.length > 0 && problems.length === 0) {
    const there = [...others];
    const expected = `a group with the label ${serviceLabels.join(' or ')}; there are: ${there.slice(0, 20).join(', ') || 'none'}`;
    problems.push({ name: `#${service}`, expected, didYouMean: closest(service, there) });
  }
  return found;
}

interface Shape {
  readonly targets: readonly unknown[];
  readonly labels: Labels;
}

/** Generators in Go write a list or map without elements as null. */
function shapeOf(group: unknown, at: string, problems: ConfigProblem[]): Shape | null {
  const { targets, labels } = (typeof group === 'object' && group !== null ? group : {}) as Record<string, unknown>;
  if (targets === undefined || (targets !== null && !Array.isArray(targets))) {
    problems.push({
      name: at,
      value: group,
      expected: 'a group such as { "targets": ["10.0.0.5:8080"], "labels": {} }',
    });
    return null;
  }
  const wrong = Array.isArray(labels) || typeof (labels ?? {}) !== 'object';
  const bad = wrong ? null : Object.entries(labels ?? {}).find(([, value]) => typeof value !== 'string');
  if (wrong) problems.push({ name: `${at}.labels`, value: labels, expected: 'an object of strings' });
  else if (bad) problems.push({ name: `${at}.labels.${bad[0]}`, value: bad[1], expected: 'a string, as all labels' });
  else return { targets: targets ?? [], labels: (labels ?? {}) as Labels };
  return null;
}

function readGroup({ targets, labels }: Shape, at: string, problems: ConfigProblem[], found: Endpoint[]): void {
  const before = problems.length;
  const wrong = (label: string, expected: string): void => {
    problems.push({ name: `${at}.labels.${label}`, value: labels[label], expected });
  };
  for (const label of Object.keys(labels)) {
    if (!label.startsWith('fairlead_') || ownLabels.includes(label)) continue;
    const didYouMean = closest(label, ownLabels);
    problems.push({ name: `${at}.labels.${label}`, expected: `one of ${ownLabels.join(', ')}`, didYouMean });
  }
  const schemeLabel = labels.fairlead_scheme === undefined ? '__scheme__' : 'fairlead_scheme';
  const scheme = labels[schemeLabel] ?? 'http';
  if (scheme !== 'http' && scheme !== 'https') wrong(schemeLabel, 'http or https');
  const weight = numberOf(labels.fairlead_weight ?? '1');
  if (!(weight > 0 && Number.isFinite(weight))) wrong('fairlead_weight', 'a number above 0');
  const priority = numberOf(labels.fairlead_priority ?? '0');
  if (!(Number.isInteger(priority) && priority >= 0)) wrong('fairlead_priority', 'a whole number from 0');
  const zone = (labels.fairlead_zone ?? labels.zone) || null;
  const attributes = Object.freeze({ ...labels });
  const broken = problems.length > before;
  for (const [index, target] of targets.entries()) {
    const name = `${at}.targets[${index}]`;
    if (typeof target !== 'string' || target === '') {
      problems.push({ name, value: target, expected: 'a host with a port, such as 10.0.0.5:8080' });
    } else if (!broken) {
      const endpoint = made(originOf(target, scheme), { weight, zone, priority, attributes }, name, problems);
      if (endpoint !== null) found.push(endpoint);
    }
  }
}

/** JavaScript takes blank text for 0. */
function numberOf(text: string): number {
  return text.trim() === '' ? Number.NaN : Number(text);
}

/** Some generators write whole origins, and a socket has no port. */
function originOf(target: string, scheme: string): string {
  return /^(?:https?:\/\/|(?:http\+)?unix:)/i.test(target) ? target : `${scheme}://${target}`;
}
