/**
 * @module The median of a stream in two numbers.
 *
 * Source: frugal streaming (Ma, Muthukrishnan and Sandler, "Frugal Streaming for Estimating Quantiles", 2013), with steps that
 * are shares, since latencies span orders of magnitude.
 */

/** The estimate moves by this factor with each of the first samples. */
const FIRST_STEP = 1.1;
const FIRST_SAMPLES = 50;
/** Below this, in ms, nobody's deadline makes a difference; and what is 0 could never grow. */
const LEAST_MS = 0.01;

/** The median of latencies. */
export class FrugalMedian {
  /** In ms. It is near the median once there were some fifty {@link samples}. */
  ms = 0;
  samples = 0;
  readonly #step: number;

  /** @param step the factor by which the estimate moves with every sample after the first ones */
  constructor(step: number) {
    this.#step = step;
  }

  /** Adds a sample of `ms`, which is at least 0. */
  observe(ms: number): void {
    if (this.samples === 0) this.ms = ms;
    const step = this.samples < FIRST_SAMPLES ? FIRST_STEP : this.#step;
    if (ms > this.ms) this.ms *= step;
    else if (ms < this.ms) this.ms /= step;
    if (this.ms < LEAST_MS) this.ms = LEAST_MS;
    this.samples++;
  }
}
