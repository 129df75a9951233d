/** @module How well the source of a service's endpoints is doing: when it answered, whether it fails, and whether it has recovered. */
import type { Runtime } from '@fairlead/core';

/**
 * How far what is known of the endpoints can be relied upon.
 * - `pending`: discovery has not answered yet
 * - `fresh`: it answers; what it told last is true as far as anybody knows
 * - `stale`: it fails at present, or a part of it does; what it told last serves
 * - `remembered`: it has not answered in this process; what an earlier one kept on disk serves
 * - `failed`: it fails, and has never answered: nobody is known
 * - `idle`: nobody calls, so nobody asks; what was known then is kept
 */
export type Freshness = 'pending' | 'fresh' | 'stale' | 'remembered' | 'failed' | 'idle';

/** Keeps count of answers and failures, and tells the events of both. */
export class SourceState {
  /** Monotonic ms of the latest snapshot; null before the first. */
  lastUpdateAt: number | null = null;
  /** Why the source failed, if it failed since the latest snapshot. */
  lastError: Error | null = null;
  /** Whether the latest snapshot was one of memory. */
  remembered = false;
  readonly #service: string;
  readonly #resolver: string;
  readonly #runtime: Runtime;
  /** Monotonic ms since which the source owes an answer; null while it does not. */
  #owesSince: number | null = null;
  /** What is left of that until it is certain that the answer stands. */
  #recovering = false;

  constructor(service: string, resolver: string, runtime: Runtime) {
    this.#service = service;
    this.#resolver = resolver;
    this.#runtime = runtime;
  }

  /** A snapshot was told. @param ageMs how old it is, if it is one of memory */
  answered(ageMs: number | undefined): void {
    const now = this.#runtime.clock.now();
    this.lastUpdateAt = now - (ageMs ?? 0);
    this.remembered = ageMs !== undefined;
    this.lastError = null;
    if (this.remembered) this.#owesSince ??= now;
    else if (this.#owesSince !== null && !this.#recovering) {
      // Some sources say in the same breath that a part of them fails still, or why nobody is there.
      this.#recovering = true;
      queueMicrotask(() => this.#recovered(now));
    }
  }

  /** A failure was told. */
  failed(error: Error): void {
    const { on, clock } = this.#runtime;
    this.lastError = error;
    this.#owesSince ??= clock.now();
    on?.({ type: 'resolver.failed', service: this.#service, resolver: this.#resolver, error });
  }

  #recovered(now: number): void {
    this.#recovering = false;
    if (this.lastError !== null || this.remembered || this.#owesSince === null) return;
    const afterMs = now - this.#owesSince;
    this.#owesSince = null;
    this.#runtime.on?.({ type: 'resolver.recovered', service: this.#service, resolver: this.#resolver, afterMs });
  }
}
