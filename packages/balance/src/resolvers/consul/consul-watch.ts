/**
 * @module The loop of blocking queries: ask at once, then ask for whatever comes after the state that was answered, for
 * ever. By the rules of Consul's documentation for clients: an index that goes backwards is forgotten, one below 1 counts
 * as 1, and no server makes the loop turn faster than a limit.
 */
import { type ResolverUpdate, type Scope, type ScopeWatcher, Timer } from '@fairlead/core';
import type { Watch } from '../watches.js';
import { type ConsulInstanceOptions, readInstances } from './consul-instances.js';
import { type ConsulAnswer, ConsulError, type ConsulSource, query } from './consul-query.js';

/** How a watch goes about it. */
export interface ConsulWatchOptions extends ConsulInstanceOptions {
  /** How long Consul may hold a query back while nothing changes, in ms; each 80 to 100 % of that. Default 60,000. */
  readonly waitMs: number;
  /** Queries are on average no closer than this, in ms; three may follow one another at once. Default 1000. */
  readonly minIntervalMs: number;
  /** Time for an answer, beyond what Consul may hold it back, in ms. Default 10,000. */
  readonly requestTimeoutMs: number;
  /** The shortest wait after a failure, in ms. Default 200. */
  readonly minBackoffMs: number;
  /** The longest wait after failures, in ms. Default 30,000. */
  readonly maxBackoffMs: number;
}

/** How many queries may follow one another without a pause: an answer, an index that is forgotten, a change. */
const burst = 3;

/** How soon to ask again what cannot be waited for, in ms: something between us and Consul takes the index away. */
const pollMs = 10_000;

/** @internal Its timer is the next query, so there is never more than one under way. */
export class ConsulWatch extends Timer implements ScopeWatcher, Watch {
  override background = true;
  readonly #source: ConsulSource;
  readonly #path: string;
  readonly #options: ConsulWatchOptions;
  readonly #onUpdate: (update: ResolverUpdate) => void;
  /** The state that we know; 0 if the next query should not wait. */
  #index = 0;
  #failures = 0;
  /** Monotonic ms by which the queries so far would have been made at the limit (GCRA). */
  #paidUntil: number = Number.NEGATIVE_INFINITY;
  #stopped = false;
  /** The query under way; null while there is none. */
  #asking: Scope | null = null;

  /** @param path of the query, with parameters, to be added to */
  constructor(
    source: ConsulSource,
    path: string,
    options: ConsulWatchOptions,
    onUpdate: (update: ResolverUpdate) => void,
  ) {
    super();
    this.#source = source;
    this.#path = path;
    this.#options = options;
    this.#onUpdate = onUpdate;
  }

  /** Starts; it goes on until the scope of the source is canceled. */
  start(): void {
    this.#source.scope.watch(this);
    this.fire();
  }

  /** @internal Time for the next query. */
  fire(): void {
    if (!this.#stopped) void this.#round();
  }

  /** A query that waits for a change is given up for one that does not. */
  refresh(): void {
    if (this.#stopped || this.#failures > 0) return;
    const asking = this.#asking;
    if (asking === null) this.#again(0);
    else if (this.#index > 0) {
      this.#asking = null;
      this.#index = 0;
      asking.cancel();
      this.#again(0);
    }
  }

  /** @internal Queries are children of the scope: they have ended already. */
  onCancel(): void {
    this.#stopped = true;
    this.#source.runtime.clock.disarm(this);
  }

  async #round(): Promise<void> {
    const { clock } = this.#source.runtime;
    const { waitMs: most, requestTimeoutMs, minIntervalMs } = this.#options;
    this.#paidUntil = Math.max(this.#paidUntil, clock.now()) + minIntervalMs;
    const waitMs = Math.ceil(most * (0.8 + 0.2 * clock.random()));
    const blocking = this.#index > 0;
    const path = blocking ? `${this.#path}&index=${this.#index}&wait=${waitMs}ms` : this.#path;
    // Consul adds up to a sixteenth of its own.
    const withinMs = requestTimeoutMs + (blocking ? waitMs * (17 / 16) : 0);
    const scope = this.#source.scope.child();
    this.#asking = scope;
    try {
      const answer = await query({ ...this.#source, scope }, path, withinMs);
      if (this.#took(scope)) this.#answered(answer);
    } catch (error) {
      if (this.#took(scope)) this.#failed(error as Error);
    }
  }

  /** Whether nothing has come in between: what an answer throws is told of the same query. */
  #took(scope: Scope): boolean {
    if (this.#asking !== scope) return false;
    scope.close();
    return true;
  }

  #answered(answer: ConsulAnswer): void {
    if (this.#stopped) return;
    const { endpoints, unusable } = readInstances(answer.entries, this.#options);
    if (endpoints.length === 0 && answer.doubt !== null) throw new ConsulError(200, `${answer.doubt}: nobody is left`);
    const { clock } = this.#source.runtime;
    const { minIntervalMs } = this.#options;
    this.#failures = 0;
    if (answer.index === null) {
      this.#index = 0;
      this.#again(pollMs * (0.9 + 0.2 * clock.random()));
    } else {
      // Backwards after a restore, or from a server that has forgotten deleted services: what it was waits in vain.
      this.#index = answer.index < this.#index ? 0 : answer.index;
      const early = this.#paidUntil - (burst - 1) * minIntervalMs - clock.now();
      this.#again(early > 0 ? early * (1 + 0.2 * clock.random()) : 0);
    }
    this.#onUpdate({ endpoints });
    // That nobody is left is certain; but why should not look like a service without instances.
    if (unusable !== null && endpoints.length === 0 && !this.#stopped) {
      this.#onUpdate({ error: new Error(`no instance can be connected to: ${unusable}`) });
    }
  }

  #failed(error: Error): void {
    if (this.#stopped) return;
    // The next answer should come at once: it says that all is well again, and may be from another server.
    this.#index = 0;
    const { minBackoffMs: min, maxBackoffMs: max } = this.#options;
    const limit = Math.max(min, Math.min(max, min * 2 ** Math.min(2 + this.#failures++, 40)));
    const wanted = error instanceof ConsulError ? (error.retryAfterMs ?? 0) : 0;
    // Anything from the shortest wait to a limit that doubles each time: a fleet that failed together spreads out.
    this.#again(min + this.#source.runtime.clock.random() * (limit - min) + Math.min(wanted, max));
    this.#onUpdate({ error });
  }

  #again(ms: number): void {
    this.#asking = null;
    const { clock } = this.#source.runtime;
    clock.arm(this, clock.now() + ms);
  }
}
