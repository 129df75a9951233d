/**
 * @module How long half of the answers take, in two numbers, and whether an attempt that has less time than that is worth
 * making.
 *
 * Source: frugal streaming (Ma, Muthukrishnan and Sandler, "Frugal Streaming for Estimating Quantiles", 2013), with steps that
 * are shares, since latencies span orders of magnitude.
 */

/** The estimate moves by this factor with every sample, … */
const STEP = 1.03;
/** … and by this one until it has seen enough to be asked. */
const FIRST_STEP = 1.1;
const ENOUGH = 50;
/** Below this, in ms, nobody's deadline makes a difference; and what is 0 could never grow. */
const LEAST_MS = 0.01;
/** Every so many attempts without hope one is made all the same, and if it is answered so many more: there was hope. */
const ONE_IN = 10;
const MORE = 20;

/** The median of latencies. */
export class LatencyMedian {
  /** In ms; 0 until there were enough samples. */
  ms = 0;
  #estimate = 0;
  #samples = 0;
  #asked = 0;
  #free = 0;

  /** An answer took `ms`. */
  observe(ms: number): void {
    // A reply that nobody sent has no time of arrival.
    if (!(ms >= 0)) return;
    if (this.#samples === 0) this.#estimate = ms;
    const step = this.#samples < ENOUGH ? FIRST_STEP : STEP;
    if (ms > this.#estimate) this.#estimate *= step;
    else if (ms < this.#estimate) this.#estimate /= step;
    if (this.#estimate < LEAST_MS) this.#estimate = LEAST_MS;
    if (this.#samples < ENOUGH) this.#samples++;
    else this.ms = this.#estimate;
  }

  /** Whether an attempt with less time than {@link ms} may be made all the same; says so often enough to find out. */
  admits(): boolean {
    if (this.#free > 0) {
      this.#free--;
      return true;
    }
    return ++this.#asked % ONE_IN === 0;
  }

  /** One that was made all the same was answered in time. What is usual is not usual for the likes of it. */
  wasWrong(): void {
    this.#free = MORE;
  }
}
