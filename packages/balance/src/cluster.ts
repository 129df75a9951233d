/** @module The endpoints of one service, kept up to date, and everybody who wants one of them. */
import {
  CanceledError,
  type Checks,
  checks,
  type Endpoint,
  type Resolver,
  type ResolverUpdate,
  type Runtime,
  resolveOptions,
  type Scope,
} from '@fairlead/core';
import { Doubt } from './doubt.js';
import { type HealthOptions, healthChecks, healthDefaults } from './endpoint-health.js';
import { IdleWatch } from './idle-watch.js';
import { Membership } from './membership.js';
import { type LatencyOptions, latencyChecks, latencyDefaults, type Node, type NodeHost } from './node.js';
import { TypicalLatency } from './peak-ewma.js';
import { Roster } from './roster.js';
import { type Freshness, SourceState } from './source-state.js';
import { Waiters, type WaitOptions, waitDefaults } from './waiters.js';

/**
 * - `pending`: discovery has not answered yet
 * - `ready`: there is somebody
 * - `empty`: discovery says that there is nobody
 * - `failed`: discovery failed, and has never answered
 */
export type ClusterState = 'pending' | 'ready' | 'empty' | 'failed';

/** What a {@link Cluster} is made of. */
export interface ClusterOptions extends WaitOptions {
  /** Name of the service, for events and errors. */
  readonly service: string;
  readonly resolver: Resolver;
  readonly runtime: Runtime;
  /** When an endpoint is left alone. Default {@link healthDefaults}. */
  readonly health?: Partial<HealthOptions>;
  /** How latency is estimated. Default {@link latencyDefaults}. */
  readonly latency?: Partial<LatencyOptions>;
  /**
   * Discovery stops when there was no call for so many ms; the next call starts it again. Default 600,000; `false` never
   * stops.
   */
  readonly idleMs?: number | false | undefined;
  /**
   * The failure domain of this process, whose endpoints are preferred: see {@link Neighbourhood}. Default null: all are alike.
   */
  readonly zone?: string | null | undefined;
  /** The name of the node that this process runs on, where endpoints say for which nodes they are meant. Default null. */
  readonly node?: string | null | undefined;
  /** Told once for each endpoint that joins, or has moved to another origin. Must not throw. */
  readonly onCame?: ((endpoint: Endpoint) => void) | undefined;
  /**
   * Told once for each endpoint that is gone: it has left and its last request is over, or it has moved to another
   * origin. Its connections can be closed, after what is still under way there. Must not throw.
   */
  readonly onGone?: ((endpoint: Endpoint) => void) | undefined;
}

/** See {@link ClusterOptions}. */
export const clusterDefaults: Readonly<Required<Pick<ClusterOptions, 'zone' | 'node' | 'idleMs' | keyof WaitOptions>>> =
  Object.freeze({ zone: null, node: null, ...waitDefaults, idleMs: 600_000 });

const clusterChecks: Checks<ClusterOptions> = {
  service: checks.text(),
  resolver: checks.object('a resolver'),
  runtime: checks.object('a runtime'),
  health: checks.any(),
  latency: checks.any(),
  idleMs: checks.either(checks.ms(1), checks.oneOf(false as never)),
  maxWaiting: checks.integer(0),
  readyTimeoutMs: checks.either(checks.ms(1), checks.oneOf(false as never)),
  zone: checks.orNull(checks.text()),
  node: checks.orNull(checks.text()),
  onCame: checks.fn(),
  onGone: checks.fn(),
};

/** The endpoints of one service. Starts to watch when it is first used, and stops with {@link close}. */
export class Cluster {
  readonly service: string;
  readonly roster: Roster;
  readonly #resolver: Resolver;
  readonly #waiters: Waiters;
  readonly #membership: Membership;
  readonly #source: SourceState;
  readonly #doubt: Doubt;
  readonly #watch: IdleWatch;
  #closed = false;
  #state: ClusterState = 'pending';

  /** @throws ConfigError that lists every wrong option */
  constructor(options: ClusterOptions) {
    // Null rather than undefined, which would count as not given.
    const { service = null, resolver = null, runtime = null } = options as Partial<ClusterOptions>;
    const given = { ...options, service, resolver, runtime } as ClusterOptions;
    const { onCame, onGone, idleMs, maxWaiting, readyTimeoutMs, zone, node } = resolveOptions(
      'cluster',
      given,
      { ...given, ...clusterDefaults },
      clusterChecks,
    );
    const health = resolveOptions('health', options.health, healthDefaults, healthChecks);
    const latency = resolveOptions('latency', options.latency, latencyDefaults, latencyChecks);
    this.service = given.service;
    this.#resolver = given.resolver;
    const roster = new Roster(health, zone, node);
    this.roster = roster;
    const { clock } = given.runtime;
    this.#waiters = new Waiters(given.service, clock, { maxWaiting, readyTimeoutMs });
    this.#source = new SourceState(given.service, given.resolver.name, given.runtime);
    this.#doubt = new Doubt(given.resolver, clock, () => roster.members.length);
    this.#watch = new IdleWatch(given.resolver, idleMs === false ? Number.POSITIVE_INFINITY : (idleMs as number), {
      runtime: given.runtime,
      usedAt: () => roster.now,
      tell: (update) => this.#tell(update),
      // Where nothing is known there is nothing that could do.
      lostPatience: () => this.#state !== 'pending' && this.#waiters.wake(),
    });
    const host: NodeHost = {
      service: given.service,
      runtime: given.runtime,
      options: health,
      latency,
      typical: new TypicalLatency(),
      doubt: this.#doubt,
      mayEject: (now, id, refused) => roster.mayEject(now, this.#membership.find(id)?.endpoint.priority ?? 0, refused),
      short: (now) => roster.short(now),
      mayRest: (now) => roster.mayRest(now),
      changed: () => roster.changed(),
      drained: (node) => this.#membership.drained(node),
    };
    this.#membership = new Membership(host, given.runtime, roster, { onCame, onGone });
  }

  get state(): ClusterState {
    return this.#state;
  }

  /** Where the endpoints come from: the resolver's name. */
  get source(): string {
    return this.#resolver.name;
  }

  /** The endpoints that discovery knows now, and what is known of them. */
  get members(): readonly Node[] {
    return this.roster.members;
  }

  /** How many have left and still have requests under way. */
  get leaving(): number {
    return this.#membership.leaving;
  }

  /** How many calls wait for the first answer of discovery. */
  get waiting(): number {
    return this.#waiters.size;
  }

  /** Whether what is known is what was remembered from before, and discovery itself has not answered yet. */
  get remembered(): boolean {
    return this.#source.remembered;
  }

  /** Monotonic ms of the latest snapshot; null before the first. An error does not count. */
  get lastUpdateAt(): number | null {
    return this.#source.lastUpdateAt;
  }

  /** Why discovery failed, if it failed since the latest snapshot. */
  get lastError(): Error | null {
    return this.#source.lastError;
  }

  /** How far what is known of the endpoints can be relied upon. */
  get freshness(): Freshness {
    if (this.#state === 'pending' || this.#state === 'failed') return this.#state;
    const { remembered, lastError } = this.#source;
    if (remembered) return 'remembered';
    if (lastError !== null) return 'stale';
    return this.#watch.on ? 'fresh' : 'idle';
  }

  /** Whether discovery is looked at: from the first call on, until there was none for a while. */
  get watching(): boolean {
    return this.#watch.on;
  }

  /** Whether what is known is from before an idle time, and discovery is being asked what has changed since. */
  get waking(): boolean {
    return this.#watch.waking;
  }

  /** Starts to watch, unless it does already. */
  start(): void {
    if (this.#watch.on || this.#closed) return;
    this.#waiters.begin();
    this.#watch.begin();
  }

  /** Whether {@link close} was called. */
  get closed(): boolean {
    return this.#closed;
  }

  /**
   * Waits until discovery has answered, one way or the other, or for a second if it has answered before.
   * @throws the reason of `scope` when it is canceled before that; CanceledError if the cluster is closed; NoEndpointError
   * if more wait than may, or discovery is silent for longer than it may be
   */
  waitReady(scope: Scope): Promise<void> {
    this.start();
    if (this.#closed) return Promise.reject(closedError(this.service));
    if (this.#state === 'pending') return this.#waiters.wait(scope);
    // What was known before serves also who would be one too many.
    return this.#watch.waking && !this.#waiters.full ? this.#waiters.join(scope) : Promise.resolve();
  }

  /** Stops watching. Nobody is a member any more; requests under way go on. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#watch.end();
    this.#doubt.settle();
    this.#waiters.fail(closedError(this.service));
    this.#membership.apply([]);
    if (this.#state === 'ready') this.#state = 'empty';
  }

  #tell(update: ResolverUpdate): void {
    if (this.#closed) return;
    if ('error' in update) {
      if (this.#state === 'pending') this.#state = 'failed';
      this.#source.failed(update.error);
    } else {
      this.#source.answered(update.ageMs);
      if (this.#membership.apply(update.endpoints)) this.#doubt.settle();
      this.#state = this.roster.members.length > 0 ? 'ready' : 'empty';
    }
    this.#waiters.wake();
  }
}

function closedError(service: string): CanceledError {
  return new CanceledError({ message: `${service}: closed` });
}
