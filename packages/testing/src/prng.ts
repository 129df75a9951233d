/** @module Chance that can be repeated: the same seed gives the same numbers on every machine. */

/**
 * The generator sfc32 (Chris Doty-Humphrey, "PractRand", 2010): 128 bits of state, a period of at least 2^32 from every
 * seed, and no known statistical weakness. Not for secrets.
 */
export class Prng {
  #a = 0;
  #b: number;
  #c: number;
  #counter = 1;

  /** @param seed any number; only its 53 bits as an integer count */
  constructor(seed: number) {
    this.#b = Math.floor(seed / 2 ** 32) | 0;
    this.#c = seed | 0;
    // The author's advice: seeds that differ in one bit are independent after a dozen rounds.
    for (let i = 0; i < 15; i++) this.uint32();
  }

  /** A whole number in [0, 2^32). */
  uint32(): number {
    const sum = (this.#a + this.#b + this.#counter++) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) | 0;
    return sum >>> 0;
  }

  /** A number in [0, 1) with all 53 bits of a double. */
  random(): number {
    return ((this.uint32() >>> 5) * 2 ** 26 + (this.uint32() >>> 6)) / 2 ** 53;
  }

  /** Fills `bytes`. */
  fill(bytes: Uint8Array): void {
    for (let i = 0; i < bytes.length; i++) bytes[i] = this.uint32() >>> 24;
  }
}
