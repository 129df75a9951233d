/**
 * @module A clock that stands still until a test moves it. Hours of backoff pass in milliseconds, and the same seed gives
 * the same run every time.
 */
import { type Clock, Timer } from '@fairlead/core';
import { Prng } from './prng.js';
import { TimerHeap } from './timer-heap.js';

/** How a {@link VirtualClock} begins. */
export interface VirtualClockOptions {
  /** Seed of `random` and `randomFill`. Default 1. */
  readonly seed?: number;
  /** Monotonic time at the beginning, in ms. Default 0. */
  readonly startMs?: number;
  /** Wall-clock time at the beginning, in ms since 1970. Default 2026-01-01T00:00:00Z. */
  readonly wallMs?: number;
}

/** More timers than this at one instant are taken for a loop that never lets time pass. */
const MAX_AT_ONCE = 100_000;

// Captured, so that a test framework's fake timers cannot take it away.
// biome-ignore lint/style/noRestrictedGlobals: a turn of the event loop is how this clock knows that promises settled
const nextTurn = setImmediate;

/** Every promise chain has run as far as it can without the clock: the event loop turns only once they have. */
function settle(): Promise<void> {
  return new Promise((resolve) => nextTurn(resolve));
}

/** Hung on an armed timer, as the wheel of the real clock hangs its slots. */
class Mark extends Timer {
  fire(): void {}
}

/**
 * Time, timers and chance in the hands of a test. Timers fire at exactly their time, in order of due time and then of
 * arming, and between two of them every promise chain gets to settle.
 */
export class VirtualClock implements Clock {
  readonly #timers = new TimerHeap();
  readonly #prng: Prng;
  readonly #mark = new Mark();
  #now: number;
  /** What wall-clock time is ahead of monotonic time. */
  #wallOffset: number;
  #moving = false;
  /** The instant at which a timer fired last, and how many have by now. */
  #instant = Number.NaN;
  #firedAtInstant = 0;

  constructor(options: VirtualClockOptions = {}) {
    this.#now = options.startMs ?? 0;
    this.#wallOffset = (options.wallMs ?? Date.UTC(2026, 0, 1)) - this.#now;
    this.#prng = new Prng(options.seed ?? 1);
  }

  now(): number {
    return this.#now;
  }

  wall(): number {
    return this.#now + this.#wallOffset;
  }

  random(): number {
    return this.#prng.random();
  }

  randomFill(bytes: Uint8Array): void {
    this.#prng.fill(bytes);
  }

  /**
   * @throws RangeError if `at` is not a finite number; Error if the timer is armed on another clock. The real clock
   * cannot afford to look.
   */
  arm(timer: Timer, at: number): void {
    if (!Number.isFinite(at)) throw new RangeError(`a timer cannot be due at ${at}`);
    if (timer._list !== null && timer._list !== this.#mark) throw new Error('the timer is armed on another clock');
    timer.due = at;
    timer._list = this.#mark;
    // One that is armed in the past comes after those that were due before it was armed.
    this.#timers.add(timer, Math.max(at, this.#now));
  }

  disarm(timer: Timer): void {
    if (this.#timers.remove(timer)) timer._list = null;
  }

  /** How many timers are armed. */
  get pending(): number {
    return this.#timers.size;
  }

  /** How many of them would keep a process alive. */
  get pendingForeground(): number {
    let count = 0;
    for (const timer of this.#timers.timers()) if (!timer.background) count++;
    return count;
  }

  /** The armed timers, in no particular order; for messages about what was left behind. */
  get armed(): readonly Timer[] {
    return [...this.#timers.timers()];
  }

  /** Lets `ms` milliseconds pass. Everything that falls due on the way happens at its own time. */
  async advance(ms: number): Promise<void> {
    if (!(ms >= 0)) throw new RangeError(`time cannot advance by ${ms} ms`);
    await this.#move(async () => {
      const target = this.#now + ms;
      await settle();
      while (await this.#step(target));
      this.#now = Math.max(this.#now, target);
    });
  }

  /** Goes to the next timer and fires it. False, and no time has passed, if none is armed. */
  async next(): Promise<boolean> {
    return this.#move(async () => {
      await settle();
      return this.#step(Number.POSITIVE_INFINITY);
    });
  }

  /**
   * Goes from timer to timer until `promise` is settled, and gives what it gave.
   * @param limitMs how much virtual time that may take; default one day
   * @throws Error if no timer is left and the promise still waits (nothing in the test will ever wake it), or if the
   * limit is exceeded
   */
  async run<T>(promise: Promise<T>, limitMs = 86_400_000): Promise<T> {
    return this.#move(async () => {
      const target = this.#now + limitMs;
      let pending = true;
      const done = (): void => {
        pending = false;
      };
      promise.then(done, done);
      await settle();
      while (pending) {
        if (await this.#step(target)) continue;
        throw new Error(
          this.pending === 0
            ? `deadlock at ${this.#now} ms: the promise is pending, and no timer is armed that could settle it`
            : `the promise is still pending after ${limitMs} ms of virtual time`,
        );
      }
      return promise;
    });
  }

  /** The wall clock is set forward (or back) by `ms`, as NTP or an operator does; monotonic time does not notice. */
  jumpWall(ms: number): void {
    this.#wallOffset += ms;
  }

  /**
   * The event loop is blocked for `ms`: time passes, and nothing can fire. What has fallen due meanwhile fires in one go
   * on the next turn, that is when the clock is moved next (by 0 ms, if you like).
   */
  block(ms: number): void {
    if (!(ms >= 0)) throw new RangeError(`the event loop cannot be blocked for ${ms} ms`);
    this.#now += ms;
  }

  async #move<T>(move: () => Promise<T>): Promise<T> {
    if (this.#moving) throw new Error('the clock is being moved already: await the advance, next or run before');
    this.#moving = true;
    try {
      return await move();
    } finally {
      this.#moving = false;
    }
  }

  /** Fires the next timer if it is due by `target`, with all that are overdue, and settles what that set in motion. */
  async #step(target: number): Promise<boolean> {
    const timer = this.#timers.first();
    if (timer === null || timer.due > target) return false;
    if (timer.due < this.#now) this.#fireOverdue();
    else {
      this.#now = timer.due;
      this.#fire(timer);
    }
    await settle();
    return true;
  }

  #fireOverdue(): void {
    // As on the real clock: in one go, without promises running in between. What one of them arms waits a turn.
    const armings = this.#timers.armings;
    for (;;) {
      const timer = this.#timers.first();
      if (timer === null || timer.due > this.#now || this.#timers.armingOf(timer) >= armings) return;
      this.#fire(timer);
    }
  }

  #fire(timer: Timer): void {
    if (this.#instant !== this.#now) {
      this.#instant = this.#now;
      this.#firedAtInstant = 0;
    }
    if (++this.#firedAtInstant > MAX_AT_ONCE) {
      throw new Error(
        `${MAX_AT_ONCE} timers fired at ${this.#now} ms: something arms timers without letting time pass`,
      );
    }
    this.disarm(timer);
    timer.fire();
  }
}
