/** @module Whether memory is short. The last tenth of the heap's limit is divided among the classes of requests. */
import { type Clock, criticalities } from '@fairlead/core';
import type { EventLoop } from './event-loop.js';

/** Memory is looked at, and the last line found anew, once in so many windows. */
export const RARELY = 10;

/** Knows how full the heap was when somebody looked. */
export class HeapPressure {
  /** The share of the heap's limit that is in use, 0 to 1. */
  ratio = 0;
  /** How much of what is left above the threshold is in use, 0 to 1. */
  over = 0;
  readonly #from: number;

  /** @param from the share of the limit from which on requests are refused */
  constructor(from: number) {
    this.#from = from;
  }

  look(loop: EventLoop): void {
    this.ratio = loop.heapRatio();
    const over = (this.ratio - this.#from) / Math.max(1e-3, 1 - this.#from);
    this.over = Math.min(1, Math.max(0, over));
  }

  /** Whether a request of `rank` is one too many: in each part of what is left, more and more of one class are. */
  refuses(rank: number, clock: Clock): boolean {
    if (this.over === 0) return false;
    const share = this.over * criticalities.length - (criticalities.length - 1 - (rank >> 1));
    return share > 0 && clock.random() < share;
  }
}
