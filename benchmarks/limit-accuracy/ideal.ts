/** @module What a token bucket of the textbook would have done. */

/** A limit. */
export interface Limit {
  readonly perSecond: number;
  readonly burst: number;
}

/** How many of the requests at `times` (ms, in order) an ideal bucket admits that is full at the first of them. */
export function idealCount({ perSecond, burst }: Limit, times: ArrayLike<number>): number {
  let [tokens, last, admitted] = [burst, times[0] ?? 0, 0];
  for (let i = 0; i < times.length; i++) {
    const at = times[i] as number;
    tokens = Math.min(burst, tokens + ((at - last) * perSecond) / 1_000);
    last = at;
    if (tokens < 1 - 1e-9) continue;
    tokens--;
    admitted++;
  }
  return admitted;
}

/** A request that was admitted: some time between these two, in ms. */
export type Admitted = readonly [asked: number, known: number];

/**
 * By how much `admitted` exceed, in the worst window of any length, what may be had in it: the burst, and what flows in
 * meanwhile. Counted are those that were both asked and answered in the window, and so certainly decided there: whatever is
 * above 0 proves a limit that does not hold.
 */
export function worstExcess({ perSecond, burst }: Limit, admitted: readonly Admitted[]): number {
  const byAnswer = [...admitted].sort(([, a], [, b]) => a - b);
  const asked = Float64Array.from(byAnswer, ([at]) => at);
  const known = Float64Array.from(byAnswer, ([, at]) => at);
  let worst = Number.NEGATIVE_INFINITY;
  for (const begin of asked) {
    let count = 0;
    for (let i = 0; i < asked.length; i++) {
      if ((asked[i] as number) < begin) continue;
      count++;
      worst = Math.max(worst, count - burst - (((known[i] as number) - begin) * perSecond) / 1_000);
    }
  }
  // A bucket of floating point numbers.
  return worst < 1e-6 ? 0 : worst;
}
