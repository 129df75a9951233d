/**
 * @module Whether hedges would be of use just now, found out without sending any. A call whose answer takes long and the
 * next call that is made anyway are a pair: if the second is answered before what is left of the first is over, then so
 * would a hedge have been, which also goes somewhere else at that moment.
 *
 * Where answers are late because of one bad server, one bad disk, one pause, the second is nearly always first. Where they
 * are late because everybody queues, it is so no more often than a coin would say: the time that the first still needs and
 * the time that the second needs are then the same kind of number. The share of pairs thus tells the one from the other at
 * no price, also to a process that has never seen the service without load. Source: our own; compare the hedges onto idle
 * servers only of LÆDGE (Primorac et al., "When to Hedge in Interactive Services", NSDI 2021), for which one must know them.
 */
import type { Endpoint } from '@fairlead/core';

/** Pairs to have seen before they are believed. */
const ENOUGH = 20;
/** Pairs that count; older ones fade. */
const MEMORY = 100;

/** A late call and the next one. Each tells what it took; which of them is over first is no matter. */
export class HedgePair {
  readonly #pairs: HedgePairs;
  /** What the late call had taken already, in ms. */
  readonly #delayMs: number;
  #lateMs = -1;
  #nextMs = -1;
  #endpoint: Endpoint | null = null;

  constructor(pairs: HedgePairs, delayMs: number) {
    this.#pairs = pairs;
    this.#delayMs = delayMs;
  }

  lateTook(ms: number, endpoint: Endpoint | null): void {
    this.#lateMs = ms;
    this.#settle(this.#nextMs >= 0, endpoint);
  }

  nextTook(ms: number, endpoint: Endpoint | null): void {
    this.#nextMs = Math.max(0, ms);
    this.#settle(this.#lateMs >= 0, endpoint);
  }

  #settle(both: boolean, endpoint: Endpoint | null): void {
    const other = this.#endpoint;
    this.#endpoint = endpoint;
    // A hedge goes to another endpoint than the first attempt did.
    if (!both || (other !== null && other.id === endpoint?.id)) return;
    this.#pairs.count(this.#nextMs < this.#lateMs - this.#delayMs);
  }
}

/** The share of hedges that win, or would have won. */
export class HedgePairs {
  /** The pair that still needs its second call. */
  open: HedgePair | null = null;
  #share = 0;
  #seen = 0;

  /** A call was not answered within `delayMs`, and is not hedged. */
  late(delayMs: number): HedgePair {
    this.open = new HedgePair(this, delayMs);
    return this.open;
  }

  /** The second call of a pair was first, or not; or one of the hedges of a call that was hedged. */
  count(won: boolean): void {
    if (this.#seen < MEMORY) this.#seen++;
    this.#share += ((won ? 1 : 0) - this.#share) / this.#seen;
  }

  /** Of the last hundred; NaN until there were enough. */
  get winRatio(): number {
    return this.#seen < ENOUGH ? Number.NaN : this.#share;
  }
}
