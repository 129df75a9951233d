/** @module What a request to an endpoint probably takes: an average that believes bad news at once and good news slowly. */

/**
 * What a request of this service typically takes, over all endpoints: the running mean of about the last 100 good
 * answers. It is what an endpoint is expected to be as long as nothing better is known of it. Counted per answer, not per
 * second, so that it does not depend on how requests are spaced.
 */
export class TypicalLatency {
  /** In ms; 1 until there was an answer. */
  ms = 1;
  #count = 0;

  observe(ms: number): void {
    if (this.#count < 100) this.#count++;
    this.ms += (ms - this.ms) / this.#count;
  }
}

/**
 * Peak-EWMA (Finagle's `PeakEwma`, 2015): a sample above the estimate replaces it, one below moves it by the share
 * `1 - exp(-age / decayMs)`. Unlike there, estimate and age are kept apart: a read changes nothing, and as the estimate
 * ages, the answer moves from it towards {@link TypicalLatency} rather than towards 0. So looking often does not erase
 * what is known, a good sample never makes an endpoint look worse, and an endpoint without history looks like any other.
 */
export class PeakEwma {
  /** The estimate as of {@link at}, in ms. */
  value = 0;
  /** Monotonic ms of the latest sample; -Infinity before the first. */
  at: number = Number.NEGATIVE_INFINITY;

  constructor(
    readonly typical: TypicalLatency,
    readonly decayMs: number,
  ) {}

  /** A request took `ms`, as seen at monotonic time `at`. */
  observe(ms: number, at: number): void {
    if (ms >= this.value) this.value = ms;
    else this.value = ms + (this.value - ms) * this.#weight(at);
    if (at > this.at) this.at = at;
  }

  /** A request has taken `ms` and was not over: only news if it is more than was expected. */
  atLeast(ms: number, at: number): void {
    if (ms > this.estimate(at)) this.observe(ms, at);
  }

  /** What a request would take at monotonic time `now`, in ms. */
  estimate(now: number): number {
    return this.typical.ms + (this.value - this.typical.ms) * this.#weight(now);
  }

  /** Forgets everything: the endpoint may have become another one. */
  forget(): void {
    this.value = 0;
    this.at = Number.NEGATIVE_INFINITY;
  }

  /** How much the estimate still counts at `now`: 1 when fresh, 0 if there is none. */
  #weight(now: number): number {
    const age = now - this.at;
    return age > 0 ? Math.exp(-age / this.decayMs) : 1;
  }
}
