/** @module How long half of the answers take, and whether an attempt that has less time than that is worth making. */
import { FrugalMedian } from '../frugal-median.js';

/** The estimate moves by this factor with every sample. */
const STEP = 1.03;
/** Samples after which the estimate may be asked. */
const ENOUGH = 50;
/** Every so many attempts without hope one is made all the same, and if it is answered so many more: there was hope. */
const ONE_IN = 10;
const MORE = 20;

/** The median of latencies. */
export class LatencyMedian {
  /** In ms; 0 until there were enough samples. */
  ms = 0;
  readonly #estimate: FrugalMedian = new FrugalMedian(STEP);
  #asked = 0;
  #free = 0;

  /** An answer took `ms`. */
  observe(ms: number): void {
    // A reply that nobody sent has no time of arrival.
    if (!(ms >= 0)) return;
    const estimate = this.#estimate;
    estimate.observe(ms);
    if (estimate.samples > ENOUGH) this.ms = estimate.ms;
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
