/** @module Calls that wait for their turn: bounded, by priority, each for as long as its scope lasts. */
import { type Call, CanceledError, type ScopeWatcher } from '@fairlead/core';

/** Priorities, of which 0 is served first. */
export const PRIORITIES = 10;

/** One call that waits. */
class Entry implements ScopeWatcher {
  readonly call: Call;
  readonly resolve: () => void;
  readonly #reject: (reason: unknown) => void;
  readonly #lane: Set<Entry>;

  constructor(call: Call, lane: Set<Entry>, resolve: () => void, reject: (reason: unknown) => void) {
    this.call = call;
    this.resolve = resolve;
    this.#reject = reject;
    this.#lane = lane;
  }

  onCancel(reason: unknown): void {
    this.#lane.delete(this);
    this.#reject(reason);
  }
}

/** First come, first served within each priority. What is canceled is gone at once. */
export class PaceQueue {
  // Sets keep the order of insertion, and let go of any entry in constant time.
  readonly #lanes: readonly Set<Entry>[] = Array.from({ length: PRIORITIES }, () => new Set<Entry>());

  get size(): number {
    let size = 0;
    for (const lane of this.#lanes) size += lane.size;
    return size;
  }

  /** How many would be served before a new one of `priority`. */
  ahead(priority: number): number {
    let ahead = 0;
    for (let i = 0; i <= priority; i++) ahead += (this.#lanes[i] as Set<Entry>).size;
    return ahead;
  }

  /** Resolves when it is the turn of `call`; rejects with the reason of its scope. */
  wait(call: Call, priority: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const lane = this.#lanes[priority] as Set<Entry>;
      const entry = new Entry(call, lane, resolve, reject);
      lane.add(entry);
      call.scope.watch(entry);
    });
  }

  /** Lets the next one go; false if nobody waits. One whose time is up, though no timer could say so yet, goes for nothing. */
  serve(now: number): boolean {
    for (const lane of this.#lanes) {
      for (const entry of lane) {
        const { scope } = entry.call;
        if (scope.expired(now)) {
          // Cancels the scope, and so takes the entry out; unless somebody has closed it, who wants no more of the call.
          entry.onCancel(scope.expiry(now) ?? new CanceledError());
          continue;
        }
        lane.delete(entry);
        scope.unwatch(entry);
        entry.resolve();
        return true;
      }
    }
    return false;
  }
}
