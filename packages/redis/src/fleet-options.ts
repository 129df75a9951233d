/** @module How buckets that a fleet shares are set up. */
import { type Checks, ConfigError, check, checks, optionProblems, resolveOptions } from '@fairlead/core';
import type { RedisScripts } from './script.js';

/**
 * What happens while Redis is down, or too slow.
 * - `local`: each process grants its share, `perSecond / replicas` and `burst / replicas`
 * - `open`: everything is allowed
 * - `closed`: nothing is
 */
export type OnDown = 'local' | 'open' | 'closed';

/** Options of {@link fleetBuckets}. */
export interface FleetBucketsOptions {
  /** An ioredis client, `Redis` or `Cluster`. It stays yours: nothing here connects, configures or closes it. No default. */
  readonly redis: RedisScripts;
  /** Units that flow into each bucket of the fleet, per second. No default. */
  readonly perSecond: number;
  /**
   * Units that each bucket of the fleet holds, and so the most that can be had at once; a whole number from 1. At
   * `perSecond` a spent burst must come back within a year. No default.
   */
  readonly burst: number;
  /** Begins the name of every key. Limits with the same prefix share their buckets. Default `fairlead:limit:`. */
  readonly prefix: string;
  /** The longest that an answer is waited for, in ms, on the clock of the scope that asks. Default 50. */
  readonly timeoutMs: number;
  /** What happens without an answer. Default `local`. */
  readonly onDown: OnDown;
  /**
   * How many processes live, among which the limit is divided while Redis is down, or a function that says so. If it throws, or gives
   * what is not a number from 1, that counts as 1, with which each process grants the whole limit. Default 1.
   */
  readonly replicas: number | (() => number);
  /**
   * The part of each burst that may be missing from it so that not every request has to ask: the fleet may hold half of it
   * ahead, divided by `replicas`, in whole units. It needs `replicas` to be right: more processes hold more. Default 0: every
   * request asks that is not refused for sure.
   */
  readonly aheadRatio: number;
  /**
   * Most callers that this process keeps a share for, those beyond divide one more; and most of which it remembers what
   * Redis has said. Default 10 000.
   */
  readonly maxKeys: number;
}

/** Defaults of {@link FleetBucketsOptions}, but for those that must be given. */
export const fleetBucketsDefaults: Readonly<
  Pick<FleetBucketsOptions, 'prefix' | 'timeoutMs' | 'onDown' | 'replicas' | 'aheadRatio' | 'maxKeys'>
> = Object.freeze({
  prefix: 'fairlead:limit:',
  timeoutMs: 50,
  onDown: 'local',
  replicas: 1,
  aheadRatio: 0,
  maxKeys: 10_000,
});

/** What must be given to {@link fleetBuckets}, and what may be. */
export type FleetBucketsInit = Pick<FleetBucketsOptions, 'redis' | 'perSecond' | 'burst'> &
  Partial<FleetBucketsOptions>;

const rules: Checks<FleetBucketsOptions> = {
  // Checked apart, see below.
  redis: checks.any(),
  perSecond: checks.above(0),
  burst: checks.integer(1),
  prefix: check('a string', (v) => typeof v === 'string'),
  timeoutMs: checks.ms(1),
  onDown: checks.oneOf('local', 'open', 'closed'),
  replicas: checks.either(checks.number(1), checks.fn('a function that gives one')),
  aheadRatio: checks.ratio(),
  maxKeys: checks.integer(1, 10_000_000),
};

/** Beyond this, in seconds, the script's arithmetic would lose the µs. */
const LONGEST_REST_S = 366 * 86_400;

function isRedis(value: unknown): boolean {
  const { evalsha, eval: evaluate } = (value ?? {}) as Partial<RedisScripts>;
  return typeof evalsha === 'function' && typeof evaluate === 'function';
}

/**
 * Checks them, and fills in the defaults.
 * @throws ConfigError if one is missing, unknown or wrong
 */
export function resolveFleetOptions(options: FleetBucketsInit): Readonly<FleetBucketsOptions> {
  // Null is what the checks refuse, so that a missing option is reported like a wrong one.
  const given = { ...options, perSecond: options?.perSecond ?? null, burst: options?.burst ?? null };
  const problems = optionProblems('fleetBuckets', given, rules);
  if (!isRedis(options?.redis)) {
    // Without the value: whoever gives a URL or connection options instead has put a password into it.
    problems.push({ name: 'fleetBuckets.redis', expected: 'an ioredis client: an object with evalsha and eval' });
  }
  if (problems.length === 0 && options.burst / options.perSecond > LONGEST_REST_S) {
    const expected = 'at most what perSecond gives in a year';
    problems.push({ name: 'fleetBuckets.burst', value: options.burst, expected });
  }
  if (problems.length > 0) throw new ConfigError(problems, 'options of fleetBuckets');
  return resolveOptions('fleetBuckets', options, fleetBucketsDefaults as Readonly<FleetBucketsOptions>, rules);
}
