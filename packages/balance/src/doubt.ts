/**
 * @module Doubt in what discovery told: if most of the endpoints of a service cannot be connected to, they may have gone
 * without anybody saying so, and the source is asked at once instead of when it is time.
 */
import { type Clock, type Resolver, Timer } from '@fairlead/core';

/** Asked within so many ms, at random: a fleet finds out together that a service is gone. */
const SPREAD_MS = 1_000;
/** Not again for so many ms, twice as long each time that it was of no use. */
const FIRST_PAUSE_MS = 10_000;
const LONGEST_PAUSE_MS = 300_000;

/** Counts the endpoints that cannot be connected to. Its timer is the question that is about to be asked. */
export class Doubt extends Timer {
  override background = true;
  readonly #resolver: Resolver;
  readonly #clock: Clock;
  readonly #members: () => number;
  #unreachable = 0;
  #pauseMs = FIRST_PAUSE_MS;
  #notBefore: number = Number.NEGATIVE_INFINITY;

  /** @param members how many endpoints there are */
  constructor(resolver: Resolver, clock: Clock, members: () => number) {
    super();
    this.#resolver = resolver;
    this.#clock = clock;
    this.#members = members;
  }

  /** Another one cannot be connected to; or (-1) one less, since it can, or is no longer of interest. */
  count(by: 1 | -1): void {
    this.#unreachable += by;
    if (by < 0 && !this.#most) this.#pauseMs = FIRST_PAUSE_MS;
  }

  /** A connection was refused, or could not be made. */
  raise(): void {
    if (this.armed || this.#resolver.refresh === undefined || !this.#most) return;
    const now = this.#clock.now();
    if (now >= this.#notBefore) this.#clock.arm(this, now + this.#clock.random() * SPREAD_MS);
  }

  /** Discovery told of somebody new: what was learned holds no longer. */
  settle(): void {
    this.#clock.disarm(this);
    this.#pauseMs = FIRST_PAUSE_MS;
  }

  /** @internal */
  fire(): void {
    if (!this.#most) return;
    this.#notBefore = this.#clock.now() + this.#pauseMs;
    this.#pauseMs = Math.min(2 * this.#pauseMs, LONGEST_PAUSE_MS);
    this.#resolver.refresh?.();
  }

  get #most(): boolean {
    return 2 * this.#unreachable > this.#members();
  }
}
