/** @module A token bucket for each of many callers, in bounded memory. */
import { checks, resolveOptions } from '@fairlead/core';
import { Gcra, soundCost } from './gcra.js';

/** Options of {@link keyedBuckets}. */
export interface KeyedBucketsOptions {
  /** Units that flow into each bucket, per second. Default 100. */
  readonly perSecond: number;
  /** Units that each bucket holds; a whole number from 1. Default 100. */
  readonly burst: number;
  /** Most buckets that are kept. Callers beyond share one more. Default 10 000, which is about 1.5 MB with short keys. */
  readonly maxKeys: number;
}

/** The defaults of {@link keyedBuckets}. */
export const keyedBucketsDefaults: Readonly<KeyedBucketsOptions> = Object.freeze({
  perSecond: 100,
  burst: 100,
  maxKeys: 10_000,
});

/** What {@link KeyedBuckets.take} found. */
export interface BucketVerdict {
  readonly allowed: boolean;
  /** The `burst`. */
  readonly limit: number;
  /** Units left, a whole number. */
  readonly remaining: number;
  /** Until there is at least one unit more than `remaining`, in ms; 0 if the bucket is full. */
  readonly resetMs: number;
  /** After which the same request would be allowed, in ms; 0 if it was, Infinity if it costs more than a full bucket. */
  readonly retryAfterMs: number;
}

/** Buckets by key. */
export interface KeyedBuckets {
  /** What each key is granted per second in the long run. */
  readonly perSecond: number;
  /** What each key can have at once after a rest. */
  readonly burst: number;
  /**
   * Takes `cost` units (default 1; what is not a number from 0 counts as 1) out of the bucket of `key`, if they are there.
   * Constant time.
   * @param now monotonic ms
   * @returns one object that the next `take` overwrites: read it at once
   */
  take(key: string, now: number, cost?: number): BucketVerdict;
  /**
   * Puts `cost` units back that {@link take} took for `key`, as if they had not been asked for: for a request that another
   * limit has refused.
   * @param now the time of that `take`, or later
   */
  giveBack(key: string, now: number, cost?: number): void;
  /** How many keys have a bucket of their own. */
  readonly size: number;
}

interface Bucket {
  key: string;
  fullAt: number;
}

/** Buckets looked at for one that may go, per new key. */
const LOOKS = 8;

class Buckets implements KeyedBuckets {
  readonly perSecond: number;
  readonly burst: number;
  readonly #gcra: Gcra;
  readonly #maxKeys: number;
  readonly #byKey = new Map<string, Bucket>();
  readonly #ring: Bucket[] = [];
  readonly #overflow: Bucket = { key: '', fullAt: 0 };
  readonly #verdict = { allowed: true, limit: 0, remaining: 0, resetMs: 0, retryAfterMs: 0 };
  #hand = 0;

  constructor(options: Readonly<KeyedBucketsOptions>) {
    this.#gcra = new Gcra(options.perSecond, options.burst);
    this.perSecond = options.perSecond;
    this.burst = options.burst;
    this.#maxKeys = options.maxKeys;
    this.#verdict.limit = options.burst;
  }

  get size(): number {
    return this.#byKey.size;
  }

  take(key: string, now: number, cost = 1): BucketVerdict {
    const gcra = this.#gcra;
    const units = soundCost(cost);
    const bucket = this.#byKey.get(key) ?? this.#admit(key, now);
    const after = gcra.spend(bucket.fullAt, now, units);
    const waitMs = gcra.waitMs(after, now);
    if (waitMs === 0) bucket.fullAt = after;

    const verdict = this.#verdict;
    const fullAt = Math.max(bucket.fullAt, now);
    verdict.allowed = waitMs === 0;
    verdict.retryAfterMs = units > this.burst ? Number.POSITIVE_INFINITY : waitMs;
    verdict.remaining = gcra.remaining(fullAt, now);
    verdict.resetMs = Math.max(0, fullAt - now - (this.burst - verdict.remaining - 1) * gcra.stepMs);
    if (verdict.remaining >= this.burst) verdict.resetMs = 0;
    return verdict;
  }

  giveBack(key: string, now: number, cost = 1): void {
    // Whoever has no bucket any more was full again, or had taken from the overflow bucket.
    const bucket = this.#byKey.get(key) ?? this.#overflow;
    bucket.fullAt = Math.max(bucket.fullAt - soundCost(cost) * this.#gcra.stepMs, now);
  }

  /**
   * A bucket for a new key. When there is no room, one that is full again may go, because a new one would be just like it;
   * one that is not must stay, or its owner would be freed by whoever sends under enough names. If none of the few that
   * are looked at may go, the new key shares the overflow bucket with all the others in its position.
   */
  #admit(key: string, now: number): Bucket {
    const ring = this.#ring;
    if (ring.length < this.#maxKeys) {
      const bucket: Bucket = { key, fullAt: 0 };
      ring.push(bucket);
      this.#byKey.set(key, bucket);
      return bucket;
    }
    for (let i = 0; i < LOOKS; i++) {
      const bucket = ring[this.#hand] as Bucket;
      this.#hand = (this.#hand + 1) % ring.length;
      if (bucket.fullAt > now) continue;
      this.#byKey.delete(bucket.key);
      bucket.key = key;
      this.#byKey.set(key, bucket);
      return bucket;
    }
    return this.#overflow;
  }
}

/**
 * Makes a set of token buckets, one for each key, of which at most `maxKeys` are kept. Neither can a flood of keys make
 * memory grow, nor can it free a key that has used up its units. Hand in short keys: a hash of a long token, not the token.
 *
 * Source: GCRA, see {@link Gcra}; eviction by a clock hand over buckets that have nothing to remember.
 * @throws ConfigError if an option is wrong
 */
export function keyedBuckets(options?: Partial<KeyedBucketsOptions>): KeyedBuckets {
  return new Buckets(
    resolveOptions<KeyedBucketsOptions>('keyedBuckets', options, keyedBucketsDefaults, {
      perSecond: checks.above(0),
      burst: checks.integer(1),
      maxKeys: checks.integer(1, 10_000_000),
    }),
  );
}
