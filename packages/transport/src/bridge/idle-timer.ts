/** @module The idle timeout of a socket: `timeout` when nothing was read or written for a while, as in node:net. */
import { type Clock, Timer } from '@fairlead/core';

/** Tells when nothing has happened for a while. What happens costs one reading of the clock. */
export class IdleTimer extends Timer {
  readonly #clock: Clock;
  readonly #onIdle: () => void;
  #ms = 0;
  #usedAt = 0;

  constructor(clock: Clock, onIdle: () => void) {
    super();
    // Like the timers of sockets: it is what the socket waits for that keeps a process alive, not the waiting.
    this.background = true;
    this.#clock = clock;
    this.#onIdle = onIdle;
  }

  /** Tells after `ms` without {@link touch}, once; 0 for never. */
  set(ms: number): void {
    this.#ms = ms;
    // Also where it was armed for longer.
    this.#clock.disarm(this);
    this.touch();
  }

  /** Something happened. */
  touch(): void {
    if (this.#ms === 0) return;
    this.#usedAt = this.#clock.now();
    if (!this.armed) this.#clock.arm(this, this.#usedAt + this.#ms);
  }

  /** @internal Armed when it was last unarmed, and not moved since: used meanwhile, it has some time left. */
  fire(): void {
    const due = this.#usedAt + this.#ms;
    if (due > this.#clock.now()) this.#clock.arm(this, due);
    else this.#onIdle();
  }
}
