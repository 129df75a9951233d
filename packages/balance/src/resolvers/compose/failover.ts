/** @module Several resolvers by priority: clusters, regions or clouds that stand in for one another. */
import {
  type Checks,
  checks,
  createEndpoint,
  type Endpoint,
  type Resolver,
  type ResolverUpdate,
  type Runtime,
  resolveOptions,
  type Scope,
  type ScopeWatcher,
  Timer,
} from '@fairlead/core';
import { refreshOf } from '../watches.js';
import { errorOf, Follower, type FollowerListener } from './follow.js';
import { resolverList } from './resolver-list.js';

/** What {@link failover} can be told. */
export interface FailoverOptions {
  /**
   * How long the endpoints of a resolver are held back at the start while one before it has not answered, in ms: calls
   * should not go far away because the answer from near by took a moment longer. Default 2000.
   */
  readonly patienceMs: number;
}

/** See {@link FailoverOptions}. */
export const failoverDefaults: Readonly<FailoverOptions> = Object.freeze({ patienceMs: 2_000 });

const rules: Checks<FailoverOptions> = { patienceMs: checks.ms(0) };

/** The priorities of one resolver, 16 bits as in SRV records (RFC 2782), all come before those of the next. */
const span = 65_536;

/**
 * A resolver that tells the endpoints of all `resolvers`, those of each behind those of the ones before it by priority.
 * Going over and coming back is then what the balancer does anyway: it picks among the healthy endpoints of the best
 * priority that has any. So calls go over when a resolver says that it has nobody, or when its endpoints are ejected or
 * tried already, and come back as soon as one of them is healthy again.
 *
 * A resolver that fails keeps what it told last. Its error is told, and told again after every snapshot for as long as it
 * fails. At the start, as long as nobody is known, errors are told once every resolver has told something.
 *
 * An endpoint whose id is not its origin gets the place of its resolver added (`pod-0@2`): the clusters may use the same
 * names.
 * @throws ConfigError if there is no resolver, something is none, or an option is wrong
 */
export function failover(resolvers: readonly Resolver[], options?: Partial<FailoverOptions>): Resolver {
  const list = resolverList('failover', resolvers);
  const { patienceMs } = resolveOptions('failover', options, failoverDefaults, rules);
  return {
    ...refreshOf(list),
    name: list.map(({ name }) => name).join(' | '),
    watch(tell, scope, runtime) {
      new Failover(list, tell, scope, runtime, patienceMs).start();
    },
  };
}

/** Its timer is the end of the patience with those that have not answered. */
class Failover extends Timer implements FollowerListener, ScopeWatcher {
  override background = true;
  readonly #followers: readonly Follower[];
  readonly #tell: (update: ResolverUpdate) => void;
  readonly #scope: Scope;
  readonly #runtime: Runtime;
  readonly #patienceMs: number;
  /** While the resolvers are started: what they tell at once counts together. */
  #starting = true;
  /** Whoever has not answered is no longer waited for. */
  #impatient = false;
  #known = false;

  constructor(
    resolvers: readonly Resolver[],
    tell: (update: ResolverUpdate) => void,
    scope: Scope,
    runtime: Runtime,
    patienceMs: number,
  ) {
    super();
    this.#tell = tell;
    this.#scope = scope;
    this.#runtime = runtime;
    this.#patienceMs = patienceMs;
    this.#followers = resolvers.map((resolver, place) => new Follower(resolver, place, scope, this));
  }

  start(): void {
    const { clock } = this.#runtime;
    this.#scope.watch(this);
    if (this.#scope.canceled) return;
    for (const follower of this.#followers) follower.start(this.#runtime);
    this.#starting = false;
    if (this.#followers.every(({ answered }) => answered)) this.#impatient = true;
    else clock.arm(this, clock.now() + this.#patienceMs);
    this.#publish();
  }

  /** @internal The patience is over. */
  fire(): void {
    this.#impatient = true;
    this.#publish();
  }

  /** @internal The resolvers are children of the scope: they have ended already. */
  onCancel(): void {
    this.#runtime.clock.disarm(this);
  }

  changed(follower: Follower): void {
    if (this.#starting || this.#scope.canceled) return;
    if (!this.#impatient && this.#followers.every(({ answered }) => answered)) {
      this.#impatient = true;
      this.#runtime.clock.disarm(this);
    }
    if (follower.error === null || !this.#known) this.#publish();
    else this.#tell({ error: follower.error });
  }

  /** Tells all endpoints that are known, and what is wrong with the rest. */
  #publish(): void {
    const endpoints: Endpoint[] = [];
    for (const follower of this.#followers) {
      // Whoever comes after one that is waited for waits with it.
      if (!follower.answered && !this.#impatient) break;
      for (const endpoint of follower.endpoints ?? []) endpoints.push(placed(endpoint, follower.place));
    }
    // At the start, that one of them has nobody says nothing while another does not know.
    this.#known ||= endpoints.length > 0 || this.#followers.every((follower) => follower.endpoints !== null);
    if (this.#known && !this.#scope.canceled) this.#tell({ endpoints });
    const failing = this.#followers.filter(({ error }) => error !== null);
    const due = this.#known || this.#followers.every(({ answered }) => answered);
    if (failing.length > 0 && due && !this.#scope.canceled) this.#tell({ error: errorOf(failing) });
  }
}

function placed(endpoint: Endpoint, place: number): Endpoint {
  const { id, origin, priority } = endpoint;
  if (place === 0 && priority >= 0 && priority < span) return endpoint;
  return createEndpoint(origin, {
    ...endpoint,
    id: id === origin || place === 0 ? id : `${id}@${place + 1}`,
    priority: place * span + Math.min(Math.max(priority, 0), span - 1),
  });
}
