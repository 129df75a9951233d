/** @module Requests that wait to be let in, in lines by rank. Both ends of each line are at hand in constant time. */
import { AsyncResource } from 'node:async_hooks';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Next } from '../next.js';

/** A request that waits. It is a resource of its own, so that it goes on in the async context that it came in. */
export class Waiting extends AsyncResource {
  newer: Waiting | null = null;
  older: Waiting | null = null;

  constructor(
    readonly request: IncomingMessage,
    readonly response: ServerResponse,
    readonly next: Next,
    /** Monotonic ms at which it came. */
    readonly at: number,
    /** Monotonic ms after which nobody waits for it any more; `Infinity` if nobody has said. */
    readonly lateAt: number,
    /** The line that it stands in; 0 is served first. */
    readonly rank: number,
  ) {
    super('FairleadWaiting');
  }

  /** Whether nobody waits for the answer any more. */
  get gone(): boolean {
    return this.response.destroyed || this.request.socket.destroyed;
  }
}

/** Lines by rank. */
export class WaitingLines {
  size = 0;
  readonly #oldest: (Waiting | null)[];
  readonly #newest: (Waiting | null)[];

  constructor(readonly ranks: number) {
    this.#oldest = new Array(ranks).fill(null);
    this.#newest = new Array(ranks).fill(null);
  }

  push(entry: Waiting): void {
    const { rank } = entry;
    const last = this.#newest[rank] as Waiting | null;
    entry.older = last;
    if (last === null) this.#oldest[rank] = entry;
    else last.newer = entry;
    this.#newest[rank] = entry;
    this.size++;
  }

  remove(entry: Waiting): void {
    const { rank, newer, older } = entry;
    if (newer === null) this.#newest[rank] = older;
    else newer.older = older;
    if (older === null) this.#oldest[rank] = newer;
    else older.newer = newer;
    entry.newer = entry.older = null;
    this.size--;
  }

  /** Who has waited longest in the line of `rank`. */
  oldest(rank: number): Waiting | null {
    return this.#oldest[rank] as Waiting | null;
  }

  /** Takes out of the first line that is not empty whoever came last, or first. */
  take(newestFirst: boolean): Waiting | null {
    const ends = newestFirst ? this.#newest : this.#oldest;
    for (const entry of ends) {
      if (entry === null) continue;
      this.remove(entry);
      return entry;
    }
    return null;
  }

  /** Who has waited longest in the last line that is not empty. */
  last(): Waiting | null {
    for (let rank = this.ranks - 1; rank >= 0; rank--) {
      const entry = this.#oldest[rank] as Waiting | null;
      if (entry !== null) return entry;
    }
    return null;
  }

  /** Takes them out. */
  evict(): Waiting | null {
    const entry = this.last();
    if (entry !== null) this.remove(entry);
    return entry;
  }
}
