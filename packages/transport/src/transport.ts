/** @module The end of every outbound stack: sends a call to the endpoint that was chosen for it. */
import type { ConnectionOptions } from 'node:tls';
import {
  type Call,
  type Checks,
  type Clock,
  ConfigError,
  check,
  checks,
  type Endpoint,
  type Handler,
  handlerOf,
  resolveOptions,
  TransportError,
} from '@fairlead/core';
import { Attempt } from './attempt.js';
import { Pools } from './connections/pools.js';
import { tapOf } from './door/tap.js';
import { TappedAttempt } from './door/tapped-attempt.js';
import { isOriginForm } from './target.js';

/** How calls are sent. Everything here is per process and endpoint. */
export interface TransportOptions {
  /**
   * Connections to one endpoint at most; calls beyond that wait for one, within their own time limits. Default 128.
   * Without a bound every call that waits for a slow endpoint opens one more socket, and a slow endpoint becomes an
   * unreachable one. Raise it for endpoints that hold requests open (long polls, streams).
   */
  readonly connections: number;
  /** How long connecting may take, in ms, the TLS handshake included. Default 3,000: a lost SYN is sent again after 1 s. */
  readonly connectTimeoutMs: number;
  /**
   * How long an idle connection is kept, in ms, where the server does not say; default 4,000, below the 5 s of Node
   * servers. Where a `keep-alive` header says how long the server waits, a second less than that.
   */
  readonly keepAliveMs: number;
  /** After how long without a request the connections to an endpoint are closed, in ms; up to twice that. Default 60,000. */
  readonly unusedMs: number;
  /**
   * How old a connection may become, in ms, ±10 % by chance; false for no limit. Default 300,000. What stands behind one
   * address (a ClusterIP, a load balancer) changes, and only a new connection finds out. The last request on an old one
   * announces its end, so none is lost; with HTTP/2 those under way finish while new ones go to a new connection.
   */
  readonly maxConnectionAgeMs: number | false;
  /** Connections that {@link Transport.warm} opens to an endpoint; one is enough for HTTP/2. Default 0. */
  readonly warmConnections: number;
  /**
   * Whether to speak HTTP/2: over TLS where the endpoint agrees, without TLS always, since there is no way to ask. Many
   * requests then share a connection. Default false.
   */
  readonly http2: boolean;
  /** How long a reply's body may wait for a reader, in ms, before its connection is taken away. Default 30,000. */
  readonly unreadBodyMs: number;
  /** How long the rest (of 64 KiB at most) of a body that nobody wants may take to be read away, in ms. Default 1,000. */
  readonly dropBodyMs: number;
  /** How long {@link Transport.close} waits for requests under way before it cuts them off, in ms. Default 5,000. */
  readonly closeMs: number;
  /** Size of a reply's head at most, in bytes. Default 16,384, as in node:http. */
  readonly maxHeaderBytes: number;
  /**
   * What to send as `host`: that of the `endpoint` (default), the name of the `service`, or a fixed text. A `host` header
   * of the call itself wins.
   */
  readonly host: 'endpoint' | 'service' | (string & {});
  /** Options of `tls.connect` for https endpoints: `ca`, `cert`, `key`, `servername` and so on. Default null. */
  readonly tls: ConnectionOptions | null;
}

/** The defaults of {@link createTransport}. */
export const transportDefaults: Readonly<TransportOptions> = Object.freeze({
  connections: 128,
  connectTimeoutMs: 3_000,
  keepAliveMs: 4_000,
  unusedMs: 60_000,
  maxConnectionAgeMs: 300_000,
  warmConnections: 0,
  http2: false,
  unreadBodyMs: 30_000,
  dropBodyMs: 1_000,
  closeMs: 5_000,
  maxHeaderBytes: 16_384,
  host: 'endpoint',
  tls: null,
});

const rules: Checks<TransportOptions> = {
  connections: checks.integer(1),
  connectTimeoutMs: checks.ms(1),
  keepAliveMs: checks.ms(1),
  unusedMs: checks.ms(1),
  maxConnectionAgeMs: check('a number of milliseconds from 1, or false', (v) => v === false || checks.ms(1).test(v)),
  warmConnections: checks.integer(0),
  http2: checks.boolean(),
  unreadBodyMs: checks.ms(1),
  dropBodyMs: checks.ms(0),
  closeMs: checks.ms(0),
  maxHeaderBytes: checks.integer(1),
  host: check('endpoint, service, or what to send as host', (v) => typeof v === 'string' && /^[\w.:[\]-]+$/.test(v)),
  tls: checks.orNull(checks.object('options of tls.connect')),
};

/** What a transport holds at this moment. */
export interface TransportStats {
  readonly origins: readonly {
    readonly origin: string;
    /** Requests that are not over, those that wait for a connection included. */
    readonly inFlight: number;
    /** Open connections. */
    readonly connected: number;
  }[];
}

/** Sends calls, and owns the connections for it. */
export interface Transport {
  /**
   * Sends a call to `call.endpoint`. Rejects with a `TransportError`, with the reason of the call's scope, or with a
   * `ConfigError` for a call that cannot be sent anywhere.
   */
  readonly handler: Handler;
  /**
   * An endpoint may soon be called: opens `warmConnections` connections to it, if it has none. They are closed again if
   * no call needs them within `keepAliveMs`. Failures are not told: the first call will see for itself.
   */
  warm(endpoint: Endpoint, clock: Clock): void;
  /** The endpoint is gone: its connections close as soon as their requests are over, however long that takes. */
  release(endpoint: Endpoint): void;
  /** Refuses new calls, waits up to `graceMs` (default `closeMs`) for those under way, cuts the rest, closes everything. */
  close(graceMs?: number): Promise<void>;
  stats(): TransportStats;
}

/**
 * Makes a transport. It opens nothing before the first call.
 * @throws ConfigError if an option is wrong
 */
export function createTransport(options?: Partial<TransportOptions>): Transport {
  const settings = resolveOptions('transport', options, transportDefaults, rules);
  const pools = new Pools(settings);
  // HTTP/2 has no upgrade, and what it has instead few servers speak.
  const upgradePools = settings.http2 ? new Pools({ ...settings, http2: false }) : pools;
  const all = upgradePools === pools ? [pools] : [pools, upgradePools];
  let closing: Promise<void> | null = null;
  const handler = handlerOf('transport', (call, receiver) => {
    const { endpoint, path, scope } = call;
    if (endpoint === null || closing !== null || !isOriginForm(path)) return receiver.onError(refusal(call));
    if (scope.canceled) return receiver.onError(scope.reason);
    const { clock } = call.runtime;
    const tap = tapOf(call.attributes);
    if (tap === null) return new Attempt(call, endpoint, pools.at(endpoint, clock), settings).send(receiver);
    const upgrades = tap.wishes.upgrade !== null || call.method === 'CONNECT';
    const pool = (upgrades ? upgradePools : pools).at(endpoint, clock);
    new TappedAttempt(call, endpoint, pool, settings, tap).send(receiver);
  });
  return {
    handler,
    warm(endpoint, clock) {
      if (closing === null && settings.warmConnections > 0) pools.at(endpoint, clock).warm();
    },
    release(endpoint) {
      for (const each of all) each.release(endpoint);
    },
    close: (graceMs = settings.closeMs) => (closing ??= closeAll(all, graceMs)),
    stats: () => ({
      origins: all.flatMap((each) =>
        [...each].map(({ origin, inFlight, connector: { connected } }) => ({ origin, inFlight, connected })),
      ),
    }),
  };
}

async function closeAll(all: readonly Pools[], graceMs: number): Promise<void> {
  await Promise.all(all.map((each) => each.close(graceMs)));
}

function refusal({ endpoint, service, path }: Call): Error {
  if (!isOriginForm(path)) {
    return new ConfigError([{ name: 'path', value: path, expected: "a path that begins with one '/'" }], service);
  }
  if (endpoint === null) {
    return new ConfigError([{ name: 'endpoint', expected: 'a balancer above the transport' }], service);
  }
  const message = 'the client has been closed';
  return new TransportError({ phase: 'closed', sent: 'no', service, endpoint: endpoint.id, message });
}
