/**
 * @module The arithmetic of a token bucket that is one number: the time at which the bucket would be full again. Nothing
 * has to be refilled, so nothing can be refilled wrongly.
 *
 * Source: the generic cell rate algorithm, ITU-T I.371, in its virtual scheduling form.
 */

/** Times are sums of fractions of ms; this much, in ms, is taken for rounding. */
const ROUNDING_MS = 1e-6;

/** Rate and depth of one kind of bucket. A bucket itself is the time at which it is full, in monotonic ms; 0 when new. */
export class Gcra {
  /** What one unit costs, in ms. */
  readonly stepMs: number;
  /** What a whole bucket is worth, in ms. */
  readonly depthMs: number;

  constructor(perSecond: number, burst: number) {
    this.stepMs = 1000 / perSecond;
    this.depthMs = burst * this.stepMs;
  }

  /** When the bucket would be full again if `cost` units were taken out now. */
  spend(fullAt: number, now: number, cost: number): number {
    return Math.max(fullAt, now) + cost * this.stepMs;
  }

  /** How long to wait before a bucket may be left at `fullAt`, in ms; 0 if it may be now. */
  waitMs(fullAt: number, now: number): number {
    const wait = fullAt - now - this.depthMs;
    return wait <= ROUNDING_MS ? 0 : wait;
  }

  /** Units left, a whole number. */
  remaining(fullAt: number, now: number): number {
    return Math.max(0, Math.floor((this.depthMs - (fullAt - now) + ROUNDING_MS) / this.stepMs));
  }
}

/** A cost that the arithmetic can bear: what is not a number from 0 counts as 1, since NaN would stop the bucket for good. */
export function soundCost(cost: number): number {
  return cost >= 0 && cost < Number.POSITIVE_INFINITY ? cost : 1;
}
