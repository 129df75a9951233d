/** @module Questions to DNS: names to addresses with the time for which they hold. */
import { Resolver as CAres } from 'node:dns/promises';

/** An address, and how long it holds. */
export interface DnsAddress {
  readonly address: string;
  /** In seconds. */
  readonly ttl: number;
}

/** An SRV record (RFC 2782). */
export interface DnsService {
  readonly name: string;
  readonly port: number;
  readonly priority: number;
  readonly weight: number;
}

/**
 * Asks a DNS server. A rejection whose `code` is `ENOTFOUND` or `ENODATA` is an answer: there is nothing by that name.
 */
export interface DnsAsk {
  a(name: string): Promise<readonly DnsAddress[]>;
  aaaa(name: string): Promise<readonly DnsAddress[]>;
  srv(name: string): Promise<readonly DnsService[]>;
  /** Gives up every question that waits for its answer. */
  cancel(): void;
}

/** How long c-ares waits for a server before it asks the next, and how often it goes round. */
const PATIENCE: Readonly<{ timeout: number; tries: number }> = Object.freeze({ timeout: 2_000, tries: 2 });

/**
 * Asks through c-ares, on the network itself: never `dns.lookup`, which blocks one of four threads, knows no TTL and no
 * SRV. Three things follow, and were checked: names are always taken as complete (the `search` list of resolv.conf is not
 * applied, with or without a dot at the end), `/etc/hosts` is not read, and the servers of `/etc/resolv.conf` are asked.
 * @param servers addresses, with port if it is not 53, to ask instead; null for the system's
 */
export function askDns(servers: readonly string[] | null = null): DnsAsk {
  const resolver = new CAres(PATIENCE);
  if (servers !== null) resolver.setServers(servers);
  return {
    a: (name) => resolver.resolve4(name, { ttl: true }),
    aaaa: (name) => resolver.resolve6(name, { ttl: true }),
    srv: (name) => resolver.resolveSrv(name),
    cancel: () => resolver.cancel(),
  };
}

/** The answer, or null if DNS says that there is nothing by that name. @throws every other failure */
export async function orNothing<T>(answer: Promise<readonly T[]>): Promise<readonly T[] | null> {
  try {
    const records = await answer;
    return records.length === 0 ? null : records;
  } catch (error) {
    const { code } = error as { code?: unknown };
    if (code === 'ENOTFOUND' || code === 'ENODATA') return null;
    throw error;
  }
}
