/**
 * @module An estimate of a quantile of latencies that costs nanoseconds, a fixed 3 kB, and forgets: a histogram of
 * buckets that grow by a constant factor, of which old counts fade.
 */

/** Buckets for each doubling: a bucket is 4.4 % wide, and so is the error. */
const PER_OCTAVE = 16;
/** Upper end of the first bucket, in ms. */
const FIRST_MS = 0.125;
/** From 0.125 ms to 35 minutes. */
const BUCKETS = PER_OCTAVE * 24;
/** What is left of a count with each refresh: a sample has faded to a third after ten of them. */
const FADE = 0.9;
/** Time between refreshes in ms, at least. */
const REFRESH_MS = 1_000;
/** Samples between refreshes, at least: a quiet service must not forget faster than it learns. */
const REFRESH_SAMPLES = 20;

/**
 * The latency that a share of samples stays below, over roughly the last ten seconds or the last 200 samples, whichever
 * is more. Never more than one bucket, 4.4 %, above the true value.
 */
export class LatencyQuantile {
  /** In ms; Infinity until there were enough samples. Changes once per second at most. */
  ms: number = Number.POSITIVE_INFINITY;
  readonly #counts = new Float64Array(BUCKETS);
  readonly #quantile: number;
  readonly #minSamples: number;
  #total = 0;
  #fresh = 0;
  #refreshAt = Number.NEGATIVE_INFINITY;

  /**
   * @param quantile from 0 to 1
   * @param minSamples before there is an estimate
   */
  constructor(quantile: number, minSamples: number) {
    this.#quantile = quantile;
    this.#minSamples = minSamples;
  }

  /** A sample of `ms` was taken at monotonic time `now`. */
  observe(ms: number, now: number): void {
    (this.#counts[bucketOf(ms)] as number)++;
    this.#total++;
    this.#fresh++;
    if (now >= this.#refreshAt && this.#fresh >= REFRESH_SAMPLES) this.#refresh(now);
  }

  #refresh(now: number): void {
    this.#refreshAt = now + REFRESH_MS;
    this.#fresh = 0;
    if (this.#total < this.#minSamples) return;
    this.ms = this.#estimate();
    const counts = this.#counts;
    for (let i = 0; i < BUCKETS; i++) (counts[i] as number) *= FADE;
    this.#total *= FADE;
  }

  #estimate(): number {
    const counts = this.#counts;
    // From the top, where there is less to add up, and what rounding loses with the years does no harm.
    let above = this.#total * (1 - this.#quantile);
    let i = BUCKETS - 1;
    while (i > 0 && above >= (counts[i] as number)) above -= counts[i--] as number;
    return FIRST_MS * 2 ** (i / PER_OCTAVE);
  }
}

function bucketOf(ms: number): number {
  if (!(ms > FIRST_MS)) return 0;
  return Math.min(BUCKETS - 1, Math.ceil(Math.log2(ms / FIRST_MS) * PER_OCTAVE));
}
