/**
 * @module How much longer half of the answers take than they did at the best of times. A second request is work that others
 * wait for, and the more so the longer the queues are: at 95 % of a server's capacity one percent more work is a fifth more
 * waiting. Nobody tells a client how loaded its servers are, but waiting shows in the median, which stragglers do not move.
 *
 * Sources: the ratio of gradient limits (Netflix `concurrency-limits`, after TCP Vegas: Brakmo and Peterson, 1995), which
 * compare latencies with the least that was seen; the median as in `frugal-median.ts`, with small steps, since the least
 * of many estimates says most of their noise.
 */
import { FrugalMedian } from '../frugal-median.js';

/** The estimate moves by this factor with every sample. */
const STEP = 1.01;
/** Samples after which the estimate is where it belongs, and its least one counts. */
const SETTLED = 300;
/** The least is forgotten by doubling in this time, in ms: a service may have become slower for good. */
const DOUBLES_MS = 1_800_000;
/** Time between two steps of forgetting, in ms. */
const REFRESH_MS = 1_000;

/** The median of latencies, over the least it has been. */
export class HedgeLoad {
  readonly #median: FrugalMedian = new FrugalMedian(STEP);
  #leastMs = Number.POSITIVE_INFINITY;
  #refreshedAt = 0;

  /** 1 where half of the answers take no longer than they ever did, 2 where they take twice as long; 1 while little is known. */
  get rise(): number {
    return Math.max(1, this.#median.ms / this.#leastMs);
  }

  /** An answer took `ms` and came at monotonic time `at`. */
  observe(ms: number, at: number): void {
    if (!(ms >= 0)) return;
    const median = this.#median;
    median.observe(ms);
    if (median.samples <= SETTLED) {
      this.#refreshedAt = at;
      return;
    }
    if (at >= this.#refreshedAt + REFRESH_MS) {
      this.#leastMs *= 2 ** ((at - this.#refreshedAt) / DOUBLES_MS);
      this.#refreshedAt = at;
    }
    if (median.ms < this.#leastMs) this.#leastMs = median.ms;
  }
}
