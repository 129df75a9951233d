/** @module How long to wait before trying again. */

/**
 * Full jitter: evenly spread from 0 to an upper bound that grows from retry to retry, so that callers which failed
 * together do not come back together. Pure; chance is given.
 *
 * Source: Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog 2015, and "Timeouts, retries, and backoff with
 * jitter", Amazon Builders' Library.
 * @param retry which retry the wait is for; the first is 1
 * @param chance a number in [0, 1)
 * @param baseMs upper bound of the first wait, in ms; default 25
 * @param maxMs upper bound of every wait, in ms; default 250
 * @param factor how the bound grows; default 2
 * @returns a wait in ms, from 0 to below `min(maxMs, baseMs * factor^(retry - 1))`
 */
export function fullJitter(retry: number, chance: number, baseMs = 25, maxMs = 250, factor = 2): number {
  // Where the power overflows to Infinity, min() still gives maxMs; only 0 * Infinity would not.
  return baseMs === 0 ? 0 : chance * Math.min(maxMs, baseMs * factor ** (retry - 1));
}
