/** @module What a name stands for in DNS, as endpoints. */
import { isIP } from 'node:net';
import { createEndpoint, type Endpoint } from '@fairlead/core';
import { type DnsAddress, type DnsAsk, type DnsService, orNothing } from './dns-ask.js';

/** What a look-up gave. */
export interface DnsFinding {
  readonly endpoints: readonly Endpoint[];
  /** For how long, in ms; null if DNS did not say. */
  readonly ttlMs: number | null;
}

/** Which addresses to use: IPv4, IPv6, or null for IPv4 where there is any and IPv6 elsewhere. */
export type DnsFamily = 4 | 6 | null;

/** What a {@link DnsFinding} is made for. */
export interface DnsTarget {
  readonly protocol: 'http' | 'https';
  readonly family: DnsFamily;
}

/** The addresses of `name`, each an endpoint. */
export async function findAddresses(ask: DnsAsk, name: string, port: number, target: DnsTarget): Promise<DnsFinding> {
  const addresses = await addressesOf(ask, name, target.family);
  const attributes = Object.freeze({ serverName: bare(name) });
  return {
    endpoints: addresses.map(({ address }) => createEndpoint(originOf(target.protocol, address, port), { attributes })),
    ttlMs: ttlOf(addresses),
  };
}

/**
 * The endpoints behind the SRV records of `name`. Priority and weight are taken over (RFC 2782): a record of weight 0
 * among others gets next to nothing, and records that all have 0 are alike.
 * @throws if nothing is known of any target because DNS failed
 */
export async function findServices(ask: DnsAsk, name: string, target: DnsTarget): Promise<DnsFinding> {
  // A target "." says that the service is decidedly not there.
  const services = ((await orNothing(ask.srv(bare(name)))) ?? []).filter(({ name: host }) => bare(host) !== '');
  const hosts = [...new Set(services.map((service) => service.name))];
  const found = new Map(
    await Promise.all(hosts.map(async (host) => [host, await addressesOf(ask, host, target.family)] as const)),
  );
  const endpoints: Endpoint[] = [];
  let ttlMs: number | null = null;
  for (const service of services) {
    const addresses = found.get(service.name) ?? [];
    const ttl = ttlOf(addresses);
    if (ttl !== null) ttlMs = Math.min(ttl, ttlMs ?? ttl);
    const rest = {
      priority: service.priority,
      weight: weightOf(service, services),
      attributes: Object.freeze({ serverName: bare(service.name) }),
    };
    for (const { address } of addresses)
      endpoints.push(createEndpoint(originOf(target.protocol, address, service.port), rest));
  }
  return { endpoints, ttlMs };
}

async function addressesOf(ask: DnsAsk, name: string, family: DnsFamily): Promise<readonly DnsAddress[]> {
  const asked = bare(name);
  // Some registries name addresses as SRV targets, although RFC 2782 wants names.
  if (isIP(asked) !== 0) return [{ address: asked, ttl: Number.POSITIVE_INFINITY }];
  const four = family === 6 ? null : await orNothing(ask.a(asked));
  if (four !== null) return four;
  return (family === 4 ? null : await orNothing(ask.aaaa(asked))) ?? [];
}

function ttlOf(addresses: readonly DnsAddress[]): number | null {
  let least: number | null = null;
  for (const { ttl } of addresses) least = Math.min(ttl * 1_000, least ?? Number.POSITIVE_INFINITY);
  return least;
}

function weightOf(service: DnsService, all: readonly DnsService[]): number {
  if (service.weight > 0) return service.weight;
  return all.some((other) => other.priority === service.priority && other.weight > 0) ? 0.01 : 1;
}

/** An origin; IPv6 literals in brackets (RFC 3986, 3.2.2). */
export function originOf(protocol: 'http' | 'https', host: string, port: number): string {
  return `${protocol}://${host.includes(':') ? `[${host}]` : host}:${port}`;
}

/**
 * `name` without the dot that says that it is complete, and without the brackets of an IPv6 literal. c-ares takes every
 * name as complete, so the dot changes nothing.
 */
export function bare(name: string): string {
  return name.startsWith('[') && name.endsWith(']') ? name.slice(1, -1) : name.replace(/\.$/, '');
}
