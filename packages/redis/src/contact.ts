/**
 * @module Whether Redis can be asked at present. While it cannot, one question at a time goes there, after pauses that
 * grow: a server that is down must not cost every request a timeout, nor be met by all of them on its return.
 *
 * Source: exponential backoff with half of it random, so that a fleet's probes do not come in step.
 */
import type { Clock } from '@fairlead/core';

/** The first pause, in ms. */
const FIRST_PAUSE_MS = 100;
/** The longest one, in ms: by then Redis is noticed within this time of its return. */
const LONGEST_PAUSE_MS = 2_000;

/** Up until a question fails, and again once a probe succeeds. */
export class Contact {
  #down = false;
  #probing = false;
  #probeAt = 0;
  #pauseMs = FIRST_PAUSE_MS;
  /** Counts changes between up and down: what was asked before the last one says nothing about the time after it. */
  #era = 0;

  /** Whether the last that was heard of Redis was bad. */
  get down(): boolean {
    return this.#down;
  }

  /** Which of the times between two changes this is. */
  get era(): number {
    return this.#era;
  }

  /** How long until Redis is asked again, in ms; 0 if it may be now, or is being asked. */
  pauseMs(now: number): number {
    return this.#down ? Math.max(0, this.#probeAt - now) : 0;
  }

  /** A ticket to ask Redis with, to be given back to one of the methods below; -1 if it is not to be asked. */
  enter(now: number): number {
    if (this.#down) {
      if (this.#probing || now < this.#probeAt) return -1;
      this.#probing = true;
    }
    return this.#era;
  }

  /** Redis has answered. */
  succeeded(ticket: number): void {
    if (ticket !== this.#era || !this.#down) return;
    this.#down = false;
    this.#probing = false;
    this.#pauseMs = FIRST_PAUSE_MS;
    this.#era++;
  }

  /** Redis has not answered in time, or not with what it was asked for. */
  failed(ticket: number, clock: Clock): void {
    if (ticket !== this.#era) return;
    if (!this.#down) this.#era++;
    this.#down = true;
    this.#probing = false;
    this.#probeAt = clock.now() + this.#pauseMs * (0.5 + clock.random() / 2);
    this.#pauseMs = Math.min(this.#pauseMs * 2, LONGEST_PAUSE_MS);
  }

  /** Whoever asked does not want to know any more. If that was the probe, the next one may go at once. */
  abandoned(ticket: number): void {
    if (ticket === this.#era) this.#probing = false;
  }
}
