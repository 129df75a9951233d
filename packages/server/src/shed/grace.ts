/**
 * @module How much longer requests may wait because the process had no core to work on. Whoever came in such a time came at
 * once, as far as the process can see, and there is more of them than may wait as long as in a burst; but while no more is
 * asked than can be done, they can all be served, and to refuse them would only leave the core idle afterwards.
 */
import type { EventLoop } from './event-loop.js';

/** No more than that, in ms: a process that was stopped for a minute has lost its callers. */
const MOST_MS = 1_000;
/** Shorter times, in ms, are within what a burst may wait anyway. */
const LEAST_MS = 50;
/** How much of a ms of grace goes with each ms. What came in a stop is worked off in about its length, if half of the time is used. */
const FADES = 0.5;

/** Learns from time to time for how long the process was ready to work and could not. */
export class Grace {
  /** In ms, for each request. */
  ms = 0;
  #at: number = Number.NaN;
  #activeMs = 0;
  #cpuMs = 0;

  /** Looks at `loop`, at monotonic time `now`. */
  turn(now: number, loop: EventLoop): void {
    if (loop.cpuMs === undefined) return;
    const [elapsed, activeMs, cpuMs] = [now - this.#at, loop.activeMs(), loop.cpuMs()];
    const lost = Math.min(elapsed, activeMs - this.#activeMs - (cpuMs - this.#cpuMs));
    const stolen = lost < LEAST_MS ? 0 : lost;
    this.#at = now;
    this.#activeMs = activeMs;
    this.#cpuMs = cpuMs;
    if (!Number.isNaN(elapsed)) this.ms = Math.min(MOST_MS, Math.max(stolen, this.ms - elapsed * FADES, 0));
  }
}
