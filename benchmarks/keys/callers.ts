/** @module Callers without number, each with an address of its own. */

/** How many callers the guard is told to tell apart at a time. */
export const MAX_KEYS = 10_000;

/** The address of the `n`th caller, below 16 million. */
export function addressOf(n: number): string {
  return `10.${(n >> 16) & 255}.${(n >> 8) & 255}.${n & 255}`;
}
