/** @module Which service, of which Consul: `consul://10.0.0.1:8500/payments?dc=eu&tag=v2`. */
import { ConfigError, type ConfigProblem, closest } from '@fairlead/core';
import type { ConsulOptions } from './consul.js';

/** What a `consul://` source names. */
export interface ConsulTarget {
  /** Host and port of Consul; null for that of {@link consulAccess}. */
  readonly server: string | null;
  /** The service, and what is wanted of it. */
  readonly options: Pick<ConsulOptions, 'service'> & Partial<ConsulOptions>;
}

type Parameter = (value: string) => Partial<ConsulOptions> | null;

const flag = (value: string, off: boolean): boolean => (off ? value !== 'false' : value === '' || value === 'true');

/** Named as in Consul's API, where it has a name there. */
const parameters: Readonly<Record<string, Parameter>> = Object.freeze({
  dc: (datacenter) => ({ datacenter }),
  ns: (namespace) => ({ namespace }),
  partition: (partition) => ({ partition }),
  tag: () => null,
  filter: (filter) => ({ filter }),
  passing: (value) => ({ passing: flag(value, true) }),
  stale: (value) => (flag(value, false) ? { consistency: 'stale' } : {}),
  consistent: (value) => (flag(value, false) ? { consistency: 'consistent' } : {}),
  address: (address) => ({ address }),
  zone: (zoneMeta) => ({ zoneMeta }),
  protocol: (protocol) => ({ protocol: protocol as 'http' }),
});

/**
 * Reads `consul://service` or `consul://host:port/service`, with the parameters `dc`, `ns`, `partition`, `tag` (also
 * several times), `filter`, `passing=false`, `stale`, `consistent`, `address`, `zone` and `protocol`.
 * @throws ConfigError that lists everything that is wrong with it
 */
export function parseConsul(text: string): ConsulTarget {
  const match = /^consul:\/\/(?:([^/?#@]+)\/)?([^/?#@:]+)\/?(?:\?([^#]*))?$/i.exec(text);
  if (match === null) {
    const value = text.replace(/\/\/.*@/, '//***@').replace(/\?.*/s, '');
    throw wrong([{ name: 'source', value, expected: 'consul://service or consul://host:port/service' }]);
  }
  const problems: ConfigProblem[] = [];
  const given = new URLSearchParams(match[3] ?? '');
  let options: Partial<ConsulOptions> = {};
  for (const [name, value] of given) {
    const read = Object.hasOwn(parameters, name) ? parameters[name] : undefined;
    if (read === undefined) problems.push(unknown(name));
    else options = { ...options, ...read(value) };
  }
  if (problems.length > 0) throw wrong(problems);
  const tags = given.getAll('tag');
  if (tags.length > 0) options = { ...options, tags };
  return { server: match[1] ?? null, options: { ...options, service: decoded(match[2] as string) } };
}

function unknown(name: string): ConfigProblem {
  // A token in a source would be shown wherever the source is.
  if (name === 'token') return { name, expected: 'to be in CONSUL_HTTP_TOKEN or CONSUL_HTTP_TOKEN_FILE' };
  const names = Object.keys(parameters);
  return { name, expected: `one of ${names.join(', ')}`, didYouMean: closest(name, names) };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw wrong([{ name: 'service', value: text, expected: 'a name' }]);
  }
}

function wrong(problems: readonly ConfigProblem[]): ConfigError {
  return new ConfigError(problems, 'consul');
}
