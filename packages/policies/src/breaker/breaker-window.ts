/**
 * @module The engine of the breaker: counts of the last moments in a ring of ten buckets, with their sums kept beside it.
 * Telling it something costs an addition whatever the traffic, a bucket that leaves the window one subtraction; no timer, no
 * promise, nothing allocated.
 */

const BUCKETS = 10;

/** Ten thirds of 0.3 are 3 only on paper: what is missing by rounding must not keep a breaker closed. */
const ROUNDING = 1e-9;

/** What the engine of a breaker goes by. */
export interface EngineSettings {
  readonly errorRatio: number;
  readonly minCalls: number;
  readonly windowMs: number;
  readonly slowRatio: number;
}

/** What is in the window of a breaker. */
export interface EngineCounts {
  readonly calls: number;
  readonly failures: number;
  readonly slow: number;
}

/** Decides when a closed breaker opens. It is told how calls went; one engine is one time of being closed. */
export interface BreakerEngine {
  /** When {@link turn} is next due, in monotonic ms. */
  readonly turnAt: number;
  /** A call went well, in time or not. */
  succeeded(slow: boolean): void;
  failed(): void;
  /** Whether there is now enough in the window, and enough of it bad. */
  readonly opened: boolean;
  /** Lets the window move on to `now`. */
  turn(now: number): void;
  counts(): EngineCounts;
  /** Puts what a snapshot says into the newest bucket. */
  restore(counts: EngineCounts): void;
}

/** The engine of our own. */
export class BreakerWindow implements BreakerEngine {
  turnAt: number = Number.NEGATIVE_INFINITY;
  readonly #settings: EngineSettings;
  readonly #bucketMs: number;
  readonly #calls = new Float64Array(BUCKETS);
  readonly #failures = new Float64Array(BUCKETS);
  readonly #slow = new Float64Array(BUCKETS);
  #newest = 0;
  #allCalls = 0;
  #allFailures = 0;
  #allSlow = 0;

  constructor(settings: EngineSettings) {
    this.#settings = settings;
    this.#bucketMs = settings.windowMs / BUCKETS;
  }

  succeeded(slow: boolean): void {
    this.#add(1, 0, slow ? 1 : 0);
  }

  failed(): void {
    this.#add(1, 1, 0);
  }

  get opened(): boolean {
    const { minCalls, errorRatio, slowRatio } = this.#settings;
    const calls = this.#allCalls + ROUNDING;
    if (calls < minCalls) return false;
    // Nothing bad is never enough, also of a ratio of 0.
    const failing = this.#allFailures > 0 && this.#allFailures + ROUNDING >= errorRatio * calls;
    return failing || (this.#allSlow > 0 && this.#allSlow + ROUNDING >= slowRatio * calls);
  }

  turn(now: number): void {
    if (now < this.turnAt) return;
    const passed = Math.floor((now - this.turnAt) / this.#bucketMs) + 1;
    for (let i = Math.min(passed, BUCKETS); i > 0; i--) {
      const oldest = (this.#newest + 1) % BUCKETS;
      this.#allCalls -= this.#calls[oldest] as number;
      this.#allFailures -= this.#failures[oldest] as number;
      this.#allSlow -= this.#slow[oldest] as number;
      this.#calls[oldest] = this.#failures[oldest] = this.#slow[oldest] = 0;
      this.#newest = oldest;
    }
    this.turnAt = passed > BUCKETS ? now + this.#bucketMs : this.turnAt + passed * this.#bucketMs;
  }

  counts(): EngineCounts {
    return { calls: this.#allCalls, failures: this.#allFailures, slow: this.#allSlow };
  }

  restore({ calls, failures, slow }: EngineCounts): void {
    this.#add(calls, failures, slow);
  }

  #add(calls: number, failures: number, slow: number): void {
    const at = this.#newest;
    (this.#calls[at] as number) += calls;
    (this.#failures[at] as number) += failures;
    (this.#slow[at] as number) += slow;
    this.#allCalls += calls;
    this.#allFailures += failures;
    this.#allSlow += slow;
  }
}
