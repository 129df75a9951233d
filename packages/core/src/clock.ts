/**
 * @module Time, timers and chance. This is the only file of the project that touches the real ones; everything else
 * asks the {@link Clock} that travels with a call, so a test can own all three.
 */
import { randomFillSync } from 'node:crypto';
import type { Timer } from './timer.js';
import { TimerWheel } from './timer-wheel.js';

/** The outside world as far as time and chance go. */
export interface Clock {
  /** Monotonic time in ms, with a fraction. Never goes back, says nothing about the date. */
  now(): number;
  /** Milliseconds since 1970. May jump; use it only to read or write dates. */
  wall(): number;
  /** A number in [0, 1). */
  random(): number;
  /** Fills `bytes` with unpredictable bytes. */
  randomFill(bytes: Uint8Array): void;
  /** Makes `timer` fire at monotonic time `at` (in ms), never before it. Arming an armed timer moves it. */
  arm(timer: Timer, at: number): void;
  /** Makes sure that `timer` does not fire. Harmless if it is not armed. */
  disarm(timer: Timer): void;
}

/** The real clock. Its timers fire at most 4 ms late, plus what the event loop adds. */
class SystemClock implements Clock {
  #timeout: NodeJS.Timeout | null = null;
  #keepAlive = false;
  readonly #wheel = new TimerWheel({
    now: () => performance.now(),
    set: (ms) => {
      if (this.#timeout !== null) clearTimeout(this.#timeout);
      this.#timeout = setTimeout(this.#turn, ms);
      if (!this.#keepAlive) this.#timeout.unref();
    },
    keepAlive: (yes) => {
      this.#keepAlive = yes;
      if (yes) this.#timeout?.ref();
      else this.#timeout?.unref();
    },
  });
  readonly #turn = (): void => {
    this.#timeout = null;
    this.#wheel.turn();
  };

  now(): number {
    return performance.now();
  }

  wall(): number {
    return Date.now();
  }

  random(): number {
    return Math.random();
  }

  randomFill(bytes: Uint8Array): void {
    randomFillSync(bytes);
  }

  arm(timer: Timer, at: number): void {
    this.#wheel.arm(timer, at);
  }

  disarm(timer: Timer): void {
    this.#wheel.disarm(timer);
  }
}

/** The real clock of this process. */
export const systemClock: Clock = new SystemClock();
