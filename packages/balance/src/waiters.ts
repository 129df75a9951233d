/** @module Calls that wait for the first answer of discovery. */
import type { Scope, ScopeWatcher } from '@fairlead/core';

class Waiter implements ScopeWatcher {
  constructor(
    readonly scope: Scope,
    readonly all: Set<Waiter>,
    readonly resolve: () => void,
    readonly reject: (reason: unknown) => void,
  ) {}

  onCancel(reason: unknown): void {
    this.all.delete(this);
    this.reject(reason);
  }
}

/** A queue without a bound of its own: each call waits as long as its scope allows, and its limits let it in before. */
export class Waiters {
  readonly #all = new Set<Waiter>();

  /** How many wait. */
  get size(): number {
    return this.#all.size;
  }

  /** Waits for {@link wake}. @throws the reason of `scope` when it is canceled, or that of {@link fail}. */
  wait(scope: Scope): Promise<void> {
    return new Promise((resolve, reject) => {
      scope.throwIfExpired();
      const waiter = new Waiter(scope, this.#all, resolve, reject);
      this.#all.add(waiter);
      scope.watch(waiter);
    });
  }

  /** Lets everybody go on, in the order in which they came. */
  wake(): void {
    for (const waiter of this.#take()) waiter.resolve();
  }

  /** Sends everybody away. */
  fail(reason: unknown): void {
    for (const waiter of this.#take()) waiter.reject(reason);
  }

  #take(): Waiter[] {
    const all = [...this.#all];
    this.#all.clear();
    for (const waiter of all) waiter.scope.unwatch(waiter);
    return all;
  }
}
