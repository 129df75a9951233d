/** @module The instances of a service as Consul tells them, and the endpoints that they are. */
import { isIPv6 } from 'node:net';
import { createEndpoint, type Endpoint } from '@fairlead/core';
import { ConsulError } from './consul-query.js';

/** Which instances, and where they are. */
export interface ConsulInstanceOptions {
  /** Only those that pass all of their checks. With false also those with a warning, by their own weight. Default true. */
  readonly passing: boolean;
  /** The tagged address to send to, such as `wan` or `lan_ipv6`, where an instance or its node has it. Default null. */
  readonly address: string | null;
  /** The key in the metadata of an instance, or else of its node, that holds the zone. Default `zone`. */
  readonly zoneMeta: string;
  /** How the instances are spoken to. Default `http`. */
  readonly protocol: 'http' | 'https';
}

/** What is known of an instance besides where it is: an endpoint's attributes. */
export interface ConsulAttributes {
  /** Name of its node; null if Consul does not say. */
  readonly node: string | null;
  /** Its id, unique on its node. */
  readonly instance: string | null;
  readonly tags: readonly string[];
  readonly meta: Readonly<Record<string, string>>;
}

interface Place {
  readonly Address?: unknown;
  readonly Meta?: Readonly<Record<string, unknown>> | null;
  readonly TaggedAddresses?: Readonly<Record<string, unknown>> | null;
  readonly Locality?: { readonly Zone?: unknown } | null;
}

interface Entry {
  readonly Node?: (Place & { readonly Node?: unknown }) | null;
  readonly Service?:
    | (Place & {
        readonly ID?: unknown;
        readonly Port?: unknown;
        readonly Tags?: unknown;
        readonly Weights?: { readonly Passing?: unknown; readonly Warning?: unknown } | null;
      })
    | null;
  readonly Checks?: readonly { readonly Status?: unknown }[] | null;
}

/** @internal The endpoints, and what was wrong with an instance that cannot be one; null if nothing was. */
export interface Instances {
  readonly endpoints: readonly Endpoint[];
  readonly unusable: string | null;
}

/**
 * @internal Reads instances. One whose address or port cannot be connected to is left out.
 * @throws ConsulError if an entry is no instance: then nothing of the answer can be relied upon
 */
export function readInstances(entries: readonly unknown[], options: ConsulInstanceOptions): Instances {
  let unusable: string | null = null;
  const found: { readonly origin: string; readonly weight: number; readonly rest: Partial<Endpoint> }[] = [];
  for (const entry of entries as readonly (Entry | null)[]) {
    const node = entry?.Node;
    const service = entry?.Service;
    if (Object(node) !== node || Object(service) !== service) {
      throw new ConsulError(200, 'something in what Consul sent is no instance of a service');
    }
    const status = statusOf(entry as Entry);
    if (status === 'critical' || (options.passing && status !== 'passing')) continue;
    const origin = originOf(entry as Entry, options);
    if (createdAt(origin) === null) unusable ??= `${text(service?.ID) ?? 'an instance'} is at ${origin}`;
    else {
      const attributes = attributesOf(entry as Entry);
      const weight = weightOf(service?.Weights?.[status === 'passing' ? 'Passing' : 'Warning']);
      found.push({ origin, weight, rest: { zone: zoneOf(entry as Entry, options), attributes } });
    }
  }
  // As for SRV records (RFC 2782), where Consul uses these weights itself: 0 is next to nothing, and all 0 are alike.
  const least = found.some(({ weight }) => weight > 0) ? 0.01 : 1;
  const endpoints = found.map(({ origin, weight, rest }) =>
    createEndpoint(origin, { ...rest, weight: weight || least }),
  );
  return { endpoints, unusable };
}

type Status = 'passing' | 'warning' | 'critical';

/** The worst of the checks, as Consul sums them up; maintenance mode is a critical check. */
function statusOf({ Checks: list }: Entry): Status {
  let worst: Status = 'passing';
  for (const { Status: status } of Array.isArray(list) ? (list as NonNullable<Entry['Checks']>) : []) {
    if (status === 'warning') worst = 'warning';
    else if (status !== 'passing') return 'critical';
  }
  return worst;
}

function originOf({ Node: node, Service: service }: Entry, { address, protocol }: ConsulInstanceOptions): string {
  let host = text(service?.Address) ?? text(node?.Address);
  let port: unknown = service?.Port;
  if (address !== null) {
    // A service has addresses with ports, a node has bare ones.
    const own = service?.TaggedAddresses?.[address] as
      | { readonly Address?: unknown; readonly Port?: unknown }
      | undefined;
    if (text(own?.Address) !== null) {
      host = text(own?.Address);
      port = own?.Port || port;
    } else host = text(node?.TaggedAddresses?.[address]) ?? host;
  }
  return `${protocol}://${isIPv6(host ?? '') ? `[${host}]` : (host ?? '')}:${String(port)}`;
}

/** The endpoint's own form of `origin`; null if it cannot be connected to. */
function createdAt(origin: string): string | null {
  try {
    // Port 0 is how Consul says that a service has none.
    return /:0$/.test(origin) ? null : createEndpoint(origin).origin;
  } catch {
    return null;
  }
}

function zoneOf({ Node: node, Service: service }: Entry, { zoneMeta }: ConsulInstanceOptions): string | null {
  for (const place of [service, node]) {
    const zone = text(place?.Meta?.[zoneMeta]) ?? text(place?.Locality?.Zone);
    if (zone !== null) return zone;
  }
  return null;
}

function attributesOf({ Node: node, Service: service }: Entry): Readonly<Record<string, unknown>> {
  const attributes: ConsulAttributes = {
    node: text(node?.Node),
    instance: text(service?.ID),
    tags: Array.isArray(service?.Tags) ? service.Tags.filter((tag) => typeof tag === 'string') : [],
    meta: (service?.Meta ?? {}) as Readonly<Record<string, string>>,
  };
  return Object.freeze(attributes as ConsulAttributes & Record<string, unknown>);
}

function weightOf(value: unknown): number {
  return typeof value === 'number' && value >= 0 && Number.isFinite(value) ? value : 1;
}

function text(value: unknown): string | null {
  return typeof value === 'string' && value !== '' ? value : null;
}
