/** @module The real clock, which knows what is armed on it: what may still happen without anybody doing anything. */
import { type Clock, systemClock, type Timer } from '@fairlead/core';

/** See above. */
export class CountingClock implements Clock {
  readonly #timers = new Set<Timer>();

  /** What is armed and keeps the process alive, by name. */
  get armed(): string[] {
    return [...this.#timers].filter((timer) => timer.armed && !timer.background).map((timer) => timer.constructor.name);
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
