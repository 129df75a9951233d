/** @module One service of a client: its endpoints, its stack, and the connections it holds. */
import {
  Cluster,
  type ClusterState,
  type Freshness,
  type HealthState,
  remember,
  resolverOf,
  type SourceSchemes,
} from '@fairlead/balance';
import { compose, type Handler, type Middleware, type Resolver, type Runtime } from '@fairlead/core';
import type { Breaker } from '@fairlead/policies';
import { createTransport, type Transport } from '@fairlead/transport';
import { breakerOf, type OtherServices, outboundLayers } from './outbound.js';
import { describeSettings, type SettingDescription } from './settings/describe.js';
import type { ClientSettings, Resolved, ServiceSettings } from './settings/index.js';
import { settingsTables } from './settings/tables.js';

/** What `describe()` tells about an endpoint. */
export interface EndpointDescription {
  readonly id: string;
  readonly origin: string;
  readonly weight: number;
  readonly zone: string | null;
  readonly priority: number;
  /** Requests of this process that are not over. */
  readonly inFlight: number;
  readonly health: HealthState;
}

/** What `describe()` tells about a service. */
export interface ServiceDescription {
  /** Where the endpoints come from. */
  readonly source: string;
  readonly state: ClusterState;
  /** How far what is known of the endpoints can be relied upon. */
  readonly freshness: Freshness;
  /** Ms since discovery last told who is there; null before it ever did. */
  readonly ageMs: number | null;
  /** Whether the endpoints come from `discoveryCache`, since discovery has not answered yet. */
  readonly remembered: boolean;
  /** Why discovery fails at present; null if it does not. */
  readonly error: string | null;
  readonly endpoints: readonly EndpointDescription[];
  /** The layers in the order in which a call sees them. */
  readonly layers: readonly string[];
  /** Where each setting came from: `code`, `default`, or the name of a variable. */
  readonly settings: Readonly<Record<string, SettingDescription>>;
}

function resolver(name: string, settings: ServiceSettings, schemes: SourceSchemes): Resolver {
  const { from, discoveryCache } = settings;
  // Origins that are given need no memory.
  const given = Array.isArray(from) || (typeof from === 'string' && /^(https?|unix):/i.test(from));
  if (given || discoveryCache === null) return source(name, from, schemes);
  return remember({ resolver: source(name, from, schemes), service: name, folder: discoveryCache });
}

function source(name: string, from: ServiceSettings['from'], schemes: SourceSchemes): Resolver {
  if (typeof from === 'object' && 'watch' in from) return from;
  return resolverOf(from ?? '', { name: `services.${name}.from`, schemes });
}

/** A service, ready to be called. Nothing is opened or asked before the first call. */
export class Service {
  readonly name: string;
  /** The whole stack. */
  readonly handler: Handler;
  /** Null where it is switched off. */
  readonly breaker: Breaker | null;
  readonly #cluster: Cluster;
  readonly #transport: Transport | null;
  readonly #layers: readonly Middleware[];
  readonly #resolved: Resolved<ServiceSettings>;
  readonly #runtime: Runtime;

  /**
   * @param end what sends an attempt to its endpoint; null for connections of its own
   * @param others the stacks of the other services that this one is told to use
   * @throws ConfigError if the endpoints cannot be made sense of
   */
  constructor(
    name: string,
    resolved: Resolved<ServiceSettings>,
    client: ClientSettings,
    runtime: Runtime,
    schemes: SourceSchemes,
    end: Handler | null,
    others: OtherServices,
  ) {
    const settings = resolved.values;
    this.name = name;
    this.#resolved = resolved;
    this.#runtime = runtime;
    this.#transport = end === null ? createTransport(settings.transport) : null;
    this.#cluster = new Cluster({
      service: name,
      resolver: resolver(name, settings, schemes),
      runtime,
      idleMs: settings.discoveryIdleMs,
      zone: settings.zone,
      node: settings.node,
      maxWaiting: settings.maxWaiting,
      readyTimeoutMs: settings.readyTimeoutMs,
      // Nobody is ejected where nobody may be.
      health: settings.health === false ? { maxEjectedRatio: 0 } : settings.health,
      onCame: (endpoint) => this.#transport?.warm(endpoint, runtime.clock),
      onGone: (endpoint) => this.#transport?.release(endpoint),
    });
    this.breaker = breakerOf(settings);
    this.#layers = outboundLayers(settings, client, this.#cluster, others, this.breaker);
    this.handler = compose(this.#layers, end ?? (this.#transport as Transport).handler);
  }

  describe(): ServiceDescription {
    const cluster = this.#cluster;
    const { lastUpdateAt, lastError, source, state, freshness, remembered } = cluster;
    const end = this.#transport === null ? 'fetch' : 'transport';
    return {
      source,
      state,
      freshness,
      ageMs: lastUpdateAt === null ? null : this.#runtime.clock.now() - lastUpdateAt,
      remembered,
      error: lastError === null ? null : lastError.message,
      endpoints: cluster.members.map(({ endpoint, inFlight, health }) => {
        const { id, origin, weight, zone, priority } = endpoint;
        return { id, origin, weight, zone, priority, inFlight, health: health.state };
      }),
      layers: [...this.#layers.map((layer) => layer.name), end],
      settings: describeSettings(settingsTables.service, this.#resolved),
    };
  }

  /** Stops discovery, lets requests under way finish for a while, closes every connection. */
  async close(): Promise<void> {
    this.#cluster.close();
    await this.#transport?.close();
  }
}
