/** @module Which Service, and which of its ports: `kubernetes://payments.prod:http`. */
import { type Check, ConfigError, type ConfigProblem, check, closest } from '@fairlead/core';

/** What a `kubernetes://` source names. */
export interface KubernetesTarget {
  /** Name of the Service. */
  readonly service: string;
  /** Its namespace; null for the one that this process runs in. */
  readonly namespace: string | null;
  /**
   * Which port: its name in the Service, or the number that the pods listen on. That is the Service's `targetPort`; the
   * number that the Service itself shows is nowhere in its EndpointSlices. Null for the only one that there is, or the
   * one without a name.
   */
  readonly port: string | number | null;
  /** The context of a kubeconfig by which the API server is reached; null or absent for the usual way. */
  readonly context?: string | null;
  /** See `KubernetesApiOptions`; for all Services of that API server which say the same. */
  readonly spreadMs?: number;
  /** Likewise. */
  readonly family?: 4 | 6;
  /**
   * `dns`: the Service may be an ExternalName. While there are no slices of it, its addresses are those of its name in the
   * cluster's DNS, at `port`, which has to be a number. Absent: without slices there is nobody.
   */
  readonly externalName?: 'dns';
}

const label = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;

const isLabel = (value: unknown): boolean => typeof value === 'string' && label.test(value);

/** A DNS label (RFC 1123), as names of Services and namespaces are. */
export const labelCheck: Check<string> = check('a name of up to 63 lower-case letters, digits and -', isLabel);

/** The name of a port (it has a letter in it), or its number. */
export const portCheck: Check<string | number> = check('the name of a port, or a number from 1 to 65535', (v) =>
  typeof v === 'number' ? isPortNumber(v) : isLabel(v) && /[a-z]/.test(v as string),
);

/** Whether `value` can be connected to. The API server stores 0, -1 and 70000 without complaint. */
export function isPortNumber(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 1 && (value as number) <= 65_535;
}

/**
 * Reads `kubernetes://service.namespace:port`, where the namespace may be left out for that of this process, and the port
 * where there is only one. A query may say `context` (of a kubeconfig), `spreadMs`, `family` and `externalName`.
 * @throws ConfigError that lists everything that is wrong with it
 */
export function parseTarget(text: string): KubernetesTarget {
  const match = /^kubernetes:\/\/([^:/?#@]*)(?::([^:/?#@]*))?\/?(?:\?([^#]*))?$/i.exec(text);
  if (match === null) throw wrong([{ name: 'source', value: text, expected: form }]);
  const [service = '', namespace = null, ...rest] = (match[1] as string).split('.');
  const given = match[2];
  const port = given !== undefined && /^\d+$/.test(given) ? Number(given) : (given ?? null);
  const problems: ConfigProblem[] = [];
  if (!labelCheck.test(service)) problems.push(problem('service', service, labelCheck));
  if (namespace !== null && !labelCheck.test(namespace)) problems.push(problem('namespace', namespace, labelCheck));
  if (port !== null && !portCheck.test(port)) problems.push(problem('port', given, portCheck));
  if (rest.length > 0) {
    // Most likely the DNS name of the Service.
    const didYouMean = `kubernetes://${service}.${namespace}${given === undefined ? '' : `:${given}`}`;
    problems.push({ name: 'source', value: text, expected: 'nothing after the namespace', didYouMean });
  }
  const more = queryOf(match[3], problems);
  if (problems.length > 0) throw wrong(problems);
  return { service, namespace, port, ...more };
}

const form = 'kubernetes://service.namespace:port?context=NAME, where all but the service may be left out';

type Query = Pick<KubernetesTarget, 'context' | 'spreadMs' | 'family' | 'externalName'>;

/** What each parameter of the query may be; null if it may not be that. */
const parameters: Readonly<Record<keyof Query, (value: string) => Query | null>> = {
  context: (value) => (value === '' ? null : { context: value }),
  spreadMs: (value) => (/^[1-9]\d{0,8}$/.test(value) ? { spreadMs: Number(value) } : null),
  externalName: (value) => (value === 'dns' ? { externalName: 'dns' } : null),
  family: (value) => (value === '4' || value === '6' ? { family: value === '4' ? 4 : 6 } : null),
};

function queryOf(text: string | undefined, problems: ConfigProblem[]): Query {
  let query: Query = { context: null };
  const seen = new Set<string>();
  for (const [name, value] of new URLSearchParams(text ?? '')) {
    const read = Object.hasOwn(parameters, name) ? parameters[name as keyof Query] : null;
    const given = seen.has(name) ? null : (read?.(value) ?? null);
    seen.add(name);
    if (given !== null) query = { ...query, ...given };
    else problems.push({ name, value, expected: form, didYouMean: closest(name, Object.keys(parameters)) });
  }
  return query;
}

function problem(name: string, value: unknown, { expected }: Check): ConfigProblem {
  return { name, value, expected };
}

function wrong(problems: readonly ConfigProblem[]): ConfigError {
  return new ConfigError(problems, 'kubernetes');
}
