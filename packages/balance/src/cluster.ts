/**
 * @module The endpoints of one service, kept up to date: snapshots of a resolver become nodes, what is known of a node
 * outlives the snapshot, and whoever leaves finishes what it has.
 */
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
import { type HealthOptions, healthChecks, healthDefaults } from './endpoint-health.js';
import { IdleWatch } from './idle-watch.js';
import { type LatencyOptions, latencyChecks, latencyDefaults, Node, type NodeHost } from './node.js';
import { TypicalLatency } from './peak-ewma.js';
import { Roster } from './roster.js';
import { Waiters } from './waiters.js';

/**
 * - `pending`: discovery has not answered yet
 * - `ready`: there is somebody
 * - `empty`: discovery says that there is nobody
 * - `failed`: discovery failed, and has never answered
 */
export type ClusterState = 'pending' | 'ready' | 'empty' | 'failed';

/** What a {@link Cluster} is made of. */
export interface ClusterOptions {
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
  /** Told once for each endpoint that joins, or has moved to another origin. Must not throw. */
  readonly onCame?: ((endpoint: Endpoint) => void) | undefined;
  /**
   * Told once for each endpoint that is gone: it has left and its last request is over, or it has moved to another
   * origin. Its connections can be closed, after what is still under way there. Must not throw.
   */
  readonly onGone?: ((endpoint: Endpoint) => void) | undefined;
}

const clusterChecks: Checks<ClusterOptions> = {
  service: checks.text(),
  resolver: checks.object('a resolver'),
  runtime: checks.object('a runtime'),
  health: checks.any(),
  latency: checks.any(),
  idleMs: checks.either(checks.ms(1), checks.oneOf(false as never)),
  onCame: checks.fn(),
  onGone: checks.fn(),
};

/** The endpoints of one service. Starts to watch when it is first used, and stops with {@link close}. */
export class Cluster {
  readonly service: string;
  readonly roster: Roster;
  readonly #resolver: Resolver;
  readonly #runtime: Runtime;
  readonly #host: NodeHost;
  readonly #onCame: ((endpoint: Endpoint) => void) | undefined;
  readonly #onGone: ((endpoint: Endpoint) => void) | undefined;
  readonly #waiters: Waiters = new Waiters();
  /** Everybody with an endpoint here or requests under way, by endpoint id. */
  readonly #nodes: Map<string, Node> = new Map();
  /** Counts them. */
  #snapshot = 0;
  readonly #watch: IdleWatch;
  #closed = false;
  #state: ClusterState = 'pending';
  #lastUpdateAt: number | null = null;
  #lastError: Error | null = null;
  #remembered = false;

  /** @throws ConfigError that lists every wrong option */
  constructor(options: ClusterOptions) {
    // Null rather than undefined, which would count as not given.
    const { service = null, resolver = null, runtime = null } = options as Partial<ClusterOptions>;
    const given = { ...options, service, resolver, runtime } as ClusterOptions;
    const { onCame, onGone, idleMs } = resolveOptions(
      'cluster',
      given,
      { ...given, idleMs: given.idleMs ?? 600_000 },
      clusterChecks,
    );
    const health = resolveOptions('health', options.health, healthDefaults, healthChecks);
    const latency = resolveOptions('latency', options.latency, latencyDefaults, latencyChecks);
    this.service = given.service;
    this.#resolver = given.resolver;
    this.#runtime = given.runtime;
    this.#onCame = onCame;
    this.#onGone = onGone;
    const roster = new Roster(health);
    this.roster = roster;
    this.#watch = new IdleWatch(given.resolver, idleMs === false ? Number.POSITIVE_INFINITY : (idleMs as number), {
      runtime: given.runtime,
      usedAt: () => roster.now,
      tell: (update) => this.#tell(update),
      lostPatience: () => this.#waiters.wake(),
    });
    this.#host = {
      service: given.service,
      runtime: given.runtime,
      options: health,
      latency,
      typical: new TypicalLatency(),
      mayEject: (now, id) => roster.mayEject(now, this.#nodes.get(id)?.endpoint.priority ?? 0),
      mayRest: (now) => roster.mayRest(now),
      changed: () => roster.changed(),
      drained: (node) => this.#gone(node),
    };
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
    return this.#nodes.size - this.roster.members.length;
  }

  /** How many calls wait for the first answer of discovery. */
  get waiting(): number {
    return this.#waiters.size;
  }

  /** Whether what is known is what was remembered from before, and discovery itself has not answered yet. */
  get remembered(): boolean {
    return this.#remembered;
  }

  /** Monotonic ms of the latest snapshot; null before the first. An error does not count. */
  get lastUpdateAt(): number | null {
    return this.#lastUpdateAt;
  }

  /** Why discovery failed, if it failed since the latest snapshot. */
  get lastError(): Error | null {
    return this.#lastError;
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
    if (!this.#watch.on && !this.#closed) this.#watch.begin();
  }

  /** Whether {@link close} was called. */
  get closed(): boolean {
    return this.#closed;
  }

  /**
   * Waits until discovery has answered, one way or the other, or for a second if it has answered before.
   * @throws the reason of `scope` when it is canceled before that; CanceledError if the cluster is closed
   */
  waitReady(scope: Scope): Promise<void> {
    this.start();
    if (this.#closed) return Promise.reject(closedError(this.service));
    if (this.#state !== 'pending' && !this.#watch.waking) return Promise.resolve();
    return this.#waiters.wait(scope);
  }

  /** Stops watching. Nobody is a member any more; requests under way go on. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#watch.end();
    this.#waiters.fail(closedError(this.service));
    this.#apply([]);
    if (this.#state === 'ready') this.#state = 'empty';
  }

  #tell(update: ResolverUpdate): void {
    if (this.#closed) return;
    if ('error' in update) this.#failed(update.error);
    else {
      this.#lastUpdateAt = this.#runtime.clock.now() - (update.ageMs ?? 0);
      this.#remembered = update.ageMs !== undefined;
      this.#lastError = null;
      this.#apply(update.endpoints);
      this.#state = this.roster.members.length > 0 ? 'ready' : 'empty';
    }
    this.#waiters.wake();
  }

  #failed(error: Error): void {
    this.#lastError = error;
    if (this.#state === 'pending') this.#state = 'failed';
    const { service } = this;
    this.#runtime.on?.({ type: 'resolver.failed', service, resolver: this.#resolver.name, error });
  }

  #apply(endpoints: readonly Endpoint[]): void {
    const before = this.roster.members;
    const members: Node[] = [];
    const snapshot = ++this.#snapshot;
    const added: string[] = [];
    for (const endpoint of endpoints) {
      const known = this.#nodes.get(endpoint.id);
      // The same endpoint twice is one endpoint, as first told.
      if (known?.snapshot === snapshot) continue;
      if (known === undefined || known.leaving) added.push(endpoint.id);
      const node = known === undefined ? this.#join(endpoint) : this.#stay(known, endpoint);
      node.snapshot = snapshot;
      members.push(node);
    }
    const left = before.filter((node) => node.snapshot !== snapshot);
    this.roster.members = members;
    this.roster.changed();
    for (const node of left) {
      node.leaving = true;
      if (node.inFlight === 0) this.#gone(node);
    }
    if (added.length === 0 && left.length === 0) return;
    const { service } = this;
    this.#runtime.on?.({
      type: 'endpoints.changed',
      service,
      added,
      removed: left.map((node) => node.endpoint.id),
      total: members.length,
    });
  }

  #join(endpoint: Endpoint): Node {
    const node = new Node(endpoint, this.#host);
    this.#nodes.set(endpoint.id, node);
    this.#onCame?.(endpoint);
    return node;
  }

  #stay(node: Node, endpoint: Endpoint): Node {
    node.leaving = false;
    const moved = node.update(endpoint);
    if (moved === null) return node;
    this.#onCame?.(endpoint);
    this.#onGone?.(moved);
    return node;
  }

  #gone(node: Node): void {
    this.#nodes.delete(node.endpoint.id);
    this.#onGone?.(node.endpoint);
  }
}

function closedError(service: string): CanceledError {
  return new CanceledError({ message: `${service}: closed` });
}
