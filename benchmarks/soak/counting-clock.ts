/** @module The system's clock, counting the timers that are armed: most of them are not seen by Node, since one wheel turns all. */
import { type Clock, systemClock, type Timer } from 'fairlead';

export class CountingClock implements Clock {
  readonly #timers = new Set<Timer>();

  /** Timers that wait to fire, by the names of their classes. */
  armed(): Readonly<Record<string, number>> {
    const counts: Record<string, number> = {};
    for (const timer of this.#timers) {
      const { name } = timer.constructor;
      if (timer.armed) counts[name] = (counts[name] ?? 0) + 1;
      else this.#timers.delete(timer);
    }
    return counts;
  }

  now(): number {
    return systemClock.now();
  }
  wall(): number {
    return systemClock.wall();
  }
  random(): number {
    return systemClock.random();
  }
  randomFill(bytes: Uint8Array): void {
    systemClock.randomFill(bytes);
  }
  arm(timer: Timer, at: number): void {
    this.#timers.add(timer);
    systemClock.arm(timer, at);
  }
  disarm(timer: Timer): void {
    this.#timers.delete(timer);
    systemClock.disarm(timer);
  }
}
