/** @module Endpoints from DNS: A, AAAA and SRV records, asked again when they expire. */
import { isIP } from 'node:net';
import {
  type Checks,
  ConfigError,
  checks,
  createEndpoint,
  type Resolver,
  type ResolverUpdate,
  type Runtime,
  resolveOptions,
  type Scope,
  type ScopeWatcher,
  Timer,
} from '@fairlead/core';
import { type Watch, Watches } from '../watches.js';
import { askDns, type DnsAsk } from './dns-ask.js';
import { bare, type DnsFamily, type DnsFinding, findAddresses, findServices, originOf } from './dns-records.js';

/** What {@link dns} needs to know. */
export interface DnsOptions {
  /**
   * The name, complete: search domains are not applied, so in Kubernetes write `payments.prod.svc.cluster.local`. A dot
   * at the end changes nothing. An IP address or `localhost` is not asked for but taken as it is.
   */
  readonly host: string;
  /** `a` (default): the addresses of `host`. `srv`: the targets of its SRV records, with their ports. */
  readonly type: 'a' | 'srv';
  /** Port of the endpoints; with `srv` the records say it. Default 80, or 443 with https. */
  readonly port: number | null;
  /** Default `http`. */
  readonly protocol: 'http' | 'https';
  /** Which addresses: 4, 6, or null (default) for IPv4 where there is any and IPv6 elsewhere. */
  readonly family: DnsFamily;
  /** DNS servers, with port if it is not 53. Default null: those of the system. */
  readonly servers: readonly string[] | null;
  /** How soon to ask again where the answer has no TTL: SRV records, and "nobody". In ms, default 10,000. */
  readonly refreshMs: number;
  /** The TTL is not believed if it is below this, in ms. Default 1000. */
  readonly minRefreshMs: number;
  /** Nor if it is above this, in ms; default 60,000. After failures at most so long is waited, and at most 10,000. */
  readonly maxRefreshMs: number;
  /** Asks instead of {@link askDns}: for tests, or for a resolver of your own. Default null. */
  readonly ask: DnsAsk | null;
}

/** A server that is back is noticed within so long, in ms: one query in ten seconds is no burden to it. */
const LONGEST_RETRY_MS = 10_000;

/** See {@link DnsOptions}. */
export const dnsDefaults: Readonly<Omit<DnsOptions, 'host'>> = Object.freeze({
  type: 'a',
  port: null,
  protocol: 'http',
  family: null,
  servers: null,
  refreshMs: 10_000,
  minRefreshMs: 1_000,
  maxRefreshMs: 60_000,
  ask: null,
});

const dnsChecks: Checks<DnsOptions> = {
  host: checks.text(),
  type: checks.oneOf('a', 'srv'),
  port: checks.orNull(checks.integer(1, 65_535)),
  protocol: checks.oneOf('http', 'https'),
  family: { expected: '4, 6 or null', test: (v): v is DnsFamily => v === 4 || v === 6 || v === null },
  servers: checks.orNull(checks.listOf(checks.text())),
  refreshMs: checks.ms(1),
  minRefreshMs: checks.ms(1),
  maxRefreshMs: checks.ms(1),
  ask: checks.orNull(checks.object('an object that asks')),
};

/**
 * A resolver that asks DNS. An answer holds for its TTL, within limits; then it asks again, in the background, ±10 % early
 * or late so that a fleet does not ask as one. "There is nothing by that name" is an answer: nobody. Every other failure
 * is told as an error and leaves the last answer in force; the next try comes after a backoff with full jitter.
 *
 * Each endpoint's attribute `serverName` is the name it was found by, for TLS.
 * @throws ConfigError on unknown or wrong options
 */
export function dns(options: Partial<DnsOptions> & { readonly host: string }): Resolver {
  // Null rather than undefined, which would count as not given.
  const given = { ...options, host: options.host ?? null };
  const settings = resolveOptions<DnsOptions>('dns', given, { ...dnsDefaults, host: given.host }, dnsChecks);
  const { host, protocol, type } = settings;
  checkServers(settings.servers);
  const port = settings.port ?? (protocol === 'https' ? 443 : 80);
  const name = type === 'srv' ? `dns+srv://${host}` : `dns://${host}:${port}`;
  const literal = bare(host);
  if (type === 'a' && (isIP(literal) !== 0 || literal === 'localhost' || literal.endsWith('.localhost'))) {
    const endpoints = Object.freeze([createEndpoint(originOf(protocol, literal, port))]);
    return {
      name,
      watch(tell, scope) {
        if (!scope.canceled) tell({ endpoints });
      },
    };
  }
  const watches = new Watches();
  return {
    name,
    refresh: () => watches.refresh(),
    watch(tell, scope, runtime) {
      const ask = settings.ask ?? askDns(settings.servers);
      const find = (): Promise<DnsFinding> =>
        type === 'srv' ? findServices(ask, host, settings) : findAddresses(ask, host, port, settings);
      watches.add(new DnsWatch(settings, tell, scope, runtime, find, () => ask.cancel()), scope).fire();
    },
  };
}

function checkServers(servers: readonly string[] | null): void {
  try {
    askDns(servers);
  } catch {
    throw new ConfigError([
      { name: 'dns.servers', value: servers, expected: 'IP addresses, each with a port or without' },
    ]);
  }
}

/** One watch; its timer is the next look-up, so there is never more than one under way. */
class DnsWatch extends Timer implements ScopeWatcher, Watch {
  #failures = 0;
  #stopped = false;

  constructor(
    readonly settings: Readonly<DnsOptions>,
    readonly tell: (update: ResolverUpdate) => void,
    readonly scope: Scope,
    readonly runtime: Runtime,
    readonly find: () => Promise<DnsFinding>,
    readonly giveUp: () => void,
  ) {
    super();
    this.background = true;
    scope.watch(this);
  }

  fire(): void {
    if (!this.#stopped)
      void this.find().then(
        (found) => this.#found(found),
        (error: Error) => this.#failed(error),
      );
  }

  refresh(): void {
    if (this.armed && this.#failures === 0) this.#again(0);
  }

  onCancel(): void {
    this.#stopped = true;
    this.runtime.clock.disarm(this);
    this.giveUp();
  }

  #found({ endpoints, ttlMs }: DnsFinding): void {
    if (this.#stopped) return;
    this.#failures = 0;
    const { minRefreshMs, maxRefreshMs, refreshMs, type } = this.settings;
    const holdsMs = type === 'srv' || ttlMs === null ? Math.min(refreshMs, ttlMs ?? refreshMs) : ttlMs;
    const inMs = Math.min(Math.max(holdsMs, minRefreshMs), maxRefreshMs);
    this.#again(inMs * (0.9 + 0.2 * this.runtime.clock.random()));
    this.tell({ endpoints });
  }

  #failed(error: Error): void {
    if (this.#stopped) return;
    const { minRefreshMs, maxRefreshMs } = this.settings;
    // Full jitter (Brooker, 2015), but never at once: a server that is down should not be asked in a loop.
    const capMs = Math.min(LONGEST_RETRY_MS, maxRefreshMs, minRefreshMs * 2 ** Math.min(this.#failures++, 31));
    this.#again(Math.max(minRefreshMs / 10, this.runtime.clock.random() * capMs));
    this.tell({ error });
  }

  #again(ms: number): void {
    const { clock } = this.runtime;
    clock.arm(this, clock.now() + ms);
  }
}
