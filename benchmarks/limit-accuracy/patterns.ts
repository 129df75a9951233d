/** @module When requests come: in ms from the beginning, in order. */

/** In the long run, with its waves, each asks for more than the limit of 1,000 per second with a burst of 500 grants. */
export interface Pattern {
  readonly name: string;
  /** Requests per second at `ms`. */
  readonly rate: (ms: number) => number;
  /** So many come at one moment, every so often. */
  readonly volley?: { readonly count: number; readonly everyMs: number };
}

export const patterns: readonly Pattern[] = [
  { name: 'three times the limit', rate: () => 3_000 },
  { name: 'waves of 0.2 s, pauses of 0.8 s', rate: (ms) => (ms % 1_000 < 200 ? 8_000 : 0) },
  { name: 'just below and above', rate: (ms) => (Math.floor(ms / 500) % 2 === 0 ? 700 : 1_300) },
  { name: '1,000 at once every 0.7 s, and a few', rate: () => 300, volley: { count: 1_000, everyMs: 700 } },
];

/** The times of `pattern` up to `endMs`, by chance that `random` decides. */
export function timesOf({ rate, volley }: Pattern, endMs: number, random: () => number): number[] {
  const times: number[] = [];
  const STEP_MS = 1;
  for (let ms = 0; ms < endMs; ms += STEP_MS) {
    if (volley !== undefined && ms % volley.everyMs === 0) for (let i = 0; i < volley.count; i++) times.push(ms);
    // A Poisson process, a millisecond at a time.
    for (let at = gap(); at < STEP_MS; at += gap()) times.push(ms + at);
    function gap(): number {
      const perMs = rate(ms) / 1_000;
      return perMs === 0 ? Number.POSITIVE_INFINITY : -Math.log(1 - random()) / perMs;
    }
  }
  return times;
}
