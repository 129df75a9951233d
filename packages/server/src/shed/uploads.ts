/**
 * @module Requests whose bodies are on their way. Their handlers wait for their callers, and take no place from others: a
 * thousand callers who send a byte per second would otherwise be all that a server does.
 */
import type { IncomingMessage } from 'node:http';

/** So many are counted anew every time; for more, a count is good enough for a ms longer for each such number. */
const QUICK = 200;

/** Those that were let in and have a body. They are looked at only when there is no room for others. */
export class Uploads {
  /** With whether the body was still coming when somebody looked. */
  readonly #requests: Map<IncomingMessage, boolean> = new Map();
  #coming = 0;
  #countedAt = Number.NEGATIVE_INFINITY;

  add(request: IncomingMessage): void {
    this.#requests.set(request, false);
  }

  /** How many bodies are still coming, give or take those of the last few milliseconds. */
  coming(now: number): number {
    if (this.#requests.size === 0) return 0;
    const fresh = now - this.#countedAt < Math.floor(this.#requests.size / QUICK);
    if (fresh) return this.#coming;
    this.#countedAt = now;
    this.#coming = 0;
    for (const request of this.#requests.keys()) {
      if (request.complete) this.#requests.delete(request);
      else {
        this.#requests.set(request, true);
        this.#coming++;
      }
    }
    return this.#coming;
  }

  /** The request has been answered. Says whether its handler is known to have waited for the body. */
  delete(request: IncomingMessage): boolean {
    const waited = this.#requests.get(request);
    if (waited === undefined) return false;
    this.#requests.delete(request);
    if (waited && this.#coming > 0) this.#coming--;
    return waited;
  }
}
