/** @module What a caller is told about a bucket, whoever has kept it. */

/** Units are sums of fractions; this much is taken for rounding. */
export const ROUNDING: number = 1e-6;

/** What {@link FleetBuckets.take} found. A new object each time. */
export interface FleetVerdict {
  readonly allowed: boolean;
  /** The most that can be had at once: the `burst` of the fleet, less what may be held ahead. */
  readonly limit: number;
  /** Units left, a whole number: of the fleet's bucket, or of this process's share while Redis is down. */
  readonly remaining: number;
  /** Until there is at least one unit more than `remaining`, in ms; 0 if the bucket is full. */
  readonly resetMs: number;
  /** After which the same request would be allowed, in ms; 0 if it was, Infinity if it costs more than a full bucket. */
  readonly retryAfterMs: number;
  /** Whether Redis has decided; if not, this process has, by `onDown`. */
  readonly shared: boolean;
}

/** A bucket as it is after the decision. Units. */
export interface BucketLevel {
  readonly allowed: boolean;
  /** What was asked for. */
  readonly cost: number;
  /** What is missing. */
  readonly debt: number;
  /** What it holds when full. */
  readonly depth: number;
  readonly perSecond: number;
}

/** Puts it in the caller's terms; see {@link FleetVerdict}. */
export function verdictOf(level: BucketLevel, limit: number, shared: boolean): FleetVerdict {
  const { allowed, cost, debt, depth, perSecond } = level;
  const stepMs = 1000 / perSecond;
  const left = depth - debt;
  const remaining = Math.max(0, Math.floor(left + ROUNDING));
  return {
    allowed,
    limit,
    remaining,
    resetMs: debt <= ROUNDING ? 0 : (Math.min(depth, remaining + 1) - left) * stepMs,
    // A share may be smaller than the cost: then it has to be full.
    retryAfterMs: allowed ? 0 : cost > limit ? Number.POSITIVE_INFINITY : (Math.min(depth, cost) - left) * stepMs,
    shared,
  };
}
