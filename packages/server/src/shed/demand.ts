/**
 * @module How much is asked of a process, as a multiple of what it can do. Learnt in short windows from arrivals, from how
 * long the event loop was at work, and from what it did in that time; so what is refused counts as asked for.
 */

/** The length of a window, in ms. */
export const WINDOW_MS = 50;
/** Up to this demand, nobody is in a hurry. Clients who wait for answers can fill a server to 1, and no further. */
export const CALM = 1.05;
/** The weight of the latest window. */
const WEIGHT = 0.3;
/** Over so many ms goes what is told to callers, who ask about once a second. */
const TOLD_MS = 1_000;
/** One window counts for no more than this: how far above is of no interest, but how soon it is over is. */
const MOST = 2;
/** Unless nothing is refused, so that nothing but the number itself follows from it. */
const MOST_TOLD = 10;

/** Demand over capacity. */
export class Demand {
  /** Smoothed; at 1, all is used and nothing is left over. */
  value = 0;
  /** How long the loop works for one request that is let in, in ms; 0 while unknown. */
  costMs = 0;
  /** Requests let in, of all that came, smoothed. */
  admission = 1;
  /** As callers are told: {@link value} over a longer time, the share of it in which the loop was at work, requests per second. */
  readonly told: { value: number; busy: number; perSecond: number } = { value: 0, busy: 0, perSecond: 0 };
  /** Since the window began. */
  arrived = 0;
  admitted = 0;
  /** Monotonic ms at which the window ends. */
  windowEnd = Number.NEGATIVE_INFINITY;
  #begun = 0;
  #activeMs = 0;

  /**
   * Ends the window, and begins the next.
   * @param activeMs for how long the loop has been working, in all
   * @param crowding demand on handlers that may work at a time, over how many may; 0 if there were always some free
   * @param cameInMs where all are let in as they are read: in which time those came that were read
   */
  turn(now: number, activeMs: number, crowding: number, cameInMs: number | null = null): void {
    const elapsed = now - this.#begun;
    const active = Math.min(elapsed, activeMs - this.#activeMs);
    const { arrived, admitted } = this;
    const first = this.windowEnd === Number.NEGATIVE_INFINITY;
    this.#begun = now;
    this.#activeMs = activeMs;
    this.windowEnd = now + WINDOW_MS;
    this.arrived = this.admitted = 0;
    if (first || elapsed <= 0) return;
    const weight = elapsed < 2 * WINDOW_MS ? WEIGHT : 1 - (1 - WEIGHT) ** (elapsed / WINDOW_MS);
    if (admitted > 0) {
      const cost = active / admitted;
      // A pause in which nothing was done must not pass for work.
      this.costMs = this.costMs === 0 ? cost : this.costMs + WEIGHT * (Math.min(cost, 2 * this.costMs) - this.costMs);
    }
    if (arrived > 0) this.admission += weight * (Math.min(1, admitted / arrived) - this.admission);
    // Two estimates, of which each is wrong in its own way: by the work that came, which a process that mostly did other
    // things has no measure of, and by how busy it was, which a pause exaggerates.
    const byWork = (arrived * this.costMs) / (cameInMs ?? elapsed);
    // By time nothing is ever more than all of it, unless something is refused.
    const byTime =
      cameInMs === null ? (active / elapsed) * Math.max(1, arrived / Math.max(1, admitted)) : Number.POSITIVE_INFINITY;
    const present = Math.min(cameInMs === null ? MOST : MOST_TOLD, Math.max(Math.min(byWork, byTime), crowding));
    this.value += weight * (present - this.value);
    const { told } = this;
    const share = 1 - Math.exp(-elapsed / TOLD_MS);
    told.value += share * (present - told.value);
    told.busy += share * (active / elapsed - told.busy);
    told.perSecond += share * ((arrived * 1_000) / elapsed - told.perSecond);
  }
}
