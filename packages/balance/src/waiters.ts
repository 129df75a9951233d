/**
 * @module Calls that wait for the first answer of discovery: a queue with a bound, and with an end for all of it, after
 * which calls are refused at once until discovery answers (as the fail-fast queues of linkerd2-proxy).
 */
import { type Clock, noEndpoint, type Scope, type ScopeWatcher, Timer } from '@fairlead/core';

/** How many wait, and for how long. */
export interface WaitOptions {
  /**
   * So many calls wait at most; the one after that is refused, and those that wait keep their places: they are all let go
   * by the same answer, and nothing is won by sending away who has waited longest. Default 1000.
   */
  readonly maxWaiting?: number | undefined;
  /**
   * If discovery has not answered in so many ms since the first call began to wait, all that wait are refused, and every
   * further call at once, until it answers. Default 5000, which one DNS server that is down (2 s) or the patience of a
   * failover (2 s) do not use up; `false` lets calls wait as long as their own deadline allows.
   */
  readonly readyTimeoutMs?: number | false | undefined;
}

/** See {@link WaitOptions}. */
export const waitDefaults: { readonly maxWaiting: number; readonly readyTimeoutMs: number } = Object.freeze({
  maxWaiting: 1_000,
  readyTimeoutMs: 5_000,
});

class Waiter implements ScopeWatcher {
  constructor(
    readonly scope: Scope,
    readonly queue: Waiters,
    readonly resolve: () => void,
    readonly reject: (reason: unknown) => void,
  ) {}

  onCancel(reason: unknown): void {
    this.queue.leave(this);
    this.reject(reason);
  }
}

/** Each call waits as long as its scope allows. One timer serves all of them, while anybody waits. */
export class Waiters extends Timer {
  readonly #all = new Set<Waiter>();
  readonly #service: string;
  readonly #clock: Clock;
  readonly #most: number;
  readonly #timeoutMs: number;
  /** Monotonic ms since which there is no answer, as far as anybody waited for it; null while nobody has. */
  #since: number | null = null;

  constructor(service: string, clock: Clock, { maxWaiting, readyTimeoutMs }: WaitOptions) {
    super();
    this.#service = service;
    this.#clock = clock;
    this.#most = maxWaiting ?? waitDefaults.maxWaiting;
    this.#timeoutMs =
      readyTimeoutMs === false ? Number.POSITIVE_INFINITY : (readyTimeoutMs ?? waitDefaults.readyTimeoutMs);
  }

  /** How many wait. */
  get size(): number {
    return this.#all.size;
  }

  /** Whether one more would be one too many. */
  get full(): boolean {
    return this.#all.size >= this.#most;
  }

  /**
   * Waits for {@link wake}. @throws the reason of `scope` when it is canceled, or that of {@link fail}; NoEndpointError at
   * once if too many wait or discovery has been silent for too long, or later when that is so
   */
  wait(scope: Scope): Promise<void> {
    const now = this.#clock.now();
    this.#since ??= now;
    if (now - this.#since >= this.#timeoutMs) return Promise.reject(this.#silent(now));
    if (this.full) return Promise.reject(this.#refusal(`${this.#all.size} calls wait for it already`));
    const wait = this.join(scope);
    // Whose scope had ended before is not among them.
    if (this.#all.size === 1 && this.#timeoutMs < Number.POSITIVE_INFINITY) {
      this.#clock.arm(this, this.#since + this.#timeoutMs);
    }
    return wait;
  }

  /** Discovery begins to be asked: however long it was silent before, it has all its time. */
  begin(): void {
    this.#since = null;
  }

  /** Waits for {@link wake}, by no rule but that of `scope`: for who knows that it will be soon. */
  join(scope: Scope): Promise<void> {
    return new Promise((resolve, reject) => {
      scope.throwIfExpired();
      const waiter = new Waiter(scope, this, resolve, reject);
      this.#all.add(waiter);
      scope.watch(waiter);
    });
  }

  /** @internal Enough is enough. */
  fire(): void {
    this.fail(this.#silent(this.#clock.now()));
  }

  /** @internal One of them has had enough. */
  leave(waiter: Waiter): void {
    this.#all.delete(waiter);
    if (this.#all.size === 0) this.#clock.disarm(this);
  }

  /** There is an answer: lets everybody go on, in the order in which they came. */
  wake(): void {
    this.#since = null;
    for (const waiter of this.#take()) waiter.resolve();
  }

  /** Sends everybody away. */
  fail(reason: unknown): void {
    for (const waiter of this.#take()) waiter.reject(reason);
  }

  #silent(now: number): Error {
    return this.#refusal(`for ${Math.round(now - (this.#since as number))} ms`);
  }

  #refusal(detail: string): Error {
    return noEndpoint({ service: this.#service, state: 'pending', detail });
  }

  #take(): Waiter[] {
    const all = [...this.#all];
    this.#all.clear();
    this.#clock.disarm(this);
    for (const waiter of all) waiter.scope.unwatch(waiter);
    return all;
  }
}
