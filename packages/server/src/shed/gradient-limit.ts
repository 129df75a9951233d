/**
 * @module How many handlers may work at a time, learnt from how long they take. After the gradient of Netflix's
 * concurrency-limits and of Envoy's adaptive concurrency, without their probes: what a handler takes when it is not crowded
 * is learnt whenever it is not crowded.
 */

/** Bounds of a {@link GradientLimit}. */
export interface LimitBounds {
  readonly minLimit: number;
  readonly maxLimit: number;
  readonly initialLimit: number;
  /** How many times as long as when not crowded handlers may take before there are fewer of them; at least 1. */
  readonly tolerance: number;
}

/** What takes less than the clock can tell, in ms, takes so long: a limit divides by it. */
const LEAST_MS = 1e-3;
/** Fewer answers than these say nothing about a window. */
const MIN_SAMPLES = 10;

/** A limit on how much goes on at a time. */
export class GradientLimit {
  /** The present limit; may have a fraction. */
  value: number;
  readonly #bounds: LimitBounds;
  /** What a handler takes when it is not crowded, in ms; 0 while unknown. */
  #base = 0;
  #sum = 0;
  #samples = 0;
  #peak = 0;
  /** Whether it has never been too high yet: then what is too low is found by doubling. */
  #beginning = true;
  /** Limit and latency at which it began to be lowered; 0 while it is not. */
  #fromValue = 0;
  #fromMs = 0;

  constructor(bounds: LimitBounds) {
    this.#bounds = bounds;
    this.value = Math.min(Math.max(bounds.initialLimit, bounds.minLimit), bounds.maxLimit);
  }

  /** What a handler takes when it is not crowded, in ms; 0 while unknown. */
  get baseMs(): number {
    return this.#base;
  }

  /** A handler has answered after `ms`; `inFlight` were at work, itself included. */
  sample(ms: number, inFlight: number): void {
    this.#sum += ms;
    this.#samples++;
    if (inFlight > this.#peak) this.#peak = inFlight;
  }

  /**
   * Ends a window: call it some ten times a second.
   * @param calm whether nothing else was short meanwhile, so that what is seen is how long handlers take by themselves
   */
  update(calm: boolean): void {
    if (this.#samples < MIN_SAMPLES) return;
    const ms = Math.max(LEAST_MS, this.#sum / this.#samples);
    const crowded = this.#peak >= this.value / 2;
    this.#sum = this.#samples = this.#peak = 0;
    if (this.#base === 0) this.#base = ms;
    if (!crowded) {
      // Slower than before, and not by the crowd: then that is what it takes now.
      if (calm || ms < this.#base) this.#base += 0.2 * (ms - this.#base);
      this.#fromValue = 0;
      return;
    }
    if (ms < this.#base) this.#base += 0.2 * (ms - this.#base);
    const gradient = Math.min(1, Math.max(0.5, (this.#bounds.tolerance * this.#base) / ms));
    if (gradient < 1) {
      this.#beginning = false;
      this.#suspectDrift(ms);
    } else this.#fromValue = 0;
    const room = this.#beginning ? 2 * this.value : Math.sqrt(this.value);
    this.value += 0.5 * (this.value * gradient + room - this.value);
    this.value = Math.min(this.#bounds.maxLimit, Math.max(this.#bounds.minLimit, this.value));
  }

  /**
   * Fewer at a time must make each of them faster. If a limit that was lowered by a third has not, the crowd was not what
   * made them slow: something that they wait for has become slower, and a lower limit would only do less of it.
   */
  #suspectDrift(ms: number): void {
    if (this.#fromValue === 0) {
      this.#fromValue = this.value;
      this.#fromMs = ms;
    } else if (this.value <= this.#fromValue * 0.67 || this.value <= this.#bounds.minLimit) {
      if (ms > this.#fromMs * 0.9) this.#base = ms;
      this.#fromValue = 0;
    }
  }
}
