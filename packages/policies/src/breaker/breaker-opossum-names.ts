/** @module The names by which opossum knows the options of a breaker, for those who come from there. */
import {
  type Check,
  ConfigError,
  type ConfigProblem,
  checks,
  judge as judgeByDefault,
  type Outcome,
} from '@fairlead/core';
import type { BreakerOptions } from './breaker-options.js';

/** Options of opossum 10 that `breaker` takes in place of its own. */
export interface OpossumNames {
  /** `errorRatio`, in percent. We open at the share, opossum above it. */
  readonly errorThresholdPercentage?: number;
  /** `minCalls`; opossum's default of 0 would open at the first failure, and is 1 here. */
  readonly volumeThreshold?: number;
  /** `windowMs`. */
  readonly rollingCountTimeout?: number;
  /** `openMs`. */
  readonly resetTimeout?: number;
  /** False is `mode: 'off'`. */
  readonly enabled?: boolean;
  /** Errors of which it is true say nothing of the service; with opossum they would close a half-open breaker. */
  readonly errorFilter?: (error: unknown) => boolean;
  /** Without effect, like the ones below: the window has ten buckets, and no percentiles are kept. */
  readonly rollingCountBuckets?: number;
  readonly rollingPercentilesEnabled?: boolean;
  readonly enableSnapshots?: boolean;
  readonly name?: string;
  readonly group?: string;
}

type Given = Partial<BreakerOptions> & OpossumNames;

const names: { readonly [K in keyof OpossumNames]-?: readonly [Check, keyof BreakerOptions | null] } = {
  errorThresholdPercentage: [checks.number(0, 100), 'errorRatio'],
  volumeThreshold: [checks.integer(0), 'minCalls'],
  rollingCountTimeout: [checks.ms(100), 'windowMs'],
  resetTimeout: [checks.ms(1), 'openMs'],
  enabled: [checks.boolean(), 'mode'],
  errorFilter: [checks.fn('a function of the error'), 'judge'],
  rollingCountBuckets: [checks.any(), null],
  rollingPercentilesEnabled: [checks.any(), null],
  enableSnapshots: [checks.any(), null],
  name: [checks.any(), null],
  group: [checks.any(), null],
};

/** What a breaker of ours does not do, and what does. */
const elsewhere: Readonly<Record<string, string>> = {
  timeout: 'attemptTimeout() or deadline() in the stack, which cancel what they end',
  capacity: 'a limit of its own in the stack, whose refusals are no failures',
  fallback: 'fallback() above the breaker',
};

/**
 * The options of a breaker in names of our own.
 * @throws ConfigError if a value is wrong, given twice, or of something that a breaker of ours does not do
 */
export function withoutOpossumNames(given: Given | undefined): Partial<BreakerOptions> | undefined {
  // Whatever is no object is told by the check that follows.
  if (typeof given !== 'object' || given === null) return given;
  const problems: ConfigProblem[] = [];
  const own: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(given)) {
    const expected = Object.hasOwn(elsewhere, name) ? elsewhere[name] : undefined;
    if (expected !== undefined) problems.push({ name: `breaker.${name}`, expected });
    else if (!Object.hasOwn(names, name)) own[name] = value;
    else if (value !== undefined) {
      const [rule, ours] = names[name as keyof OpossumNames];
      if (!rule.test(value)) problems.push({ name: `breaker.${name}`, value, expected: rule.expected });
      else if (ours !== null && given[ours] !== undefined) {
        problems.push({ name: `breaker.${name}`, value, expected: `not to be there beside ${ours}` });
      } else if (ours !== null) own[ours] = translated(name as keyof OpossumNames, value);
    }
  }
  if (problems.length > 0) throw new ConfigError(problems, 'options of breaker');
  return own;
}

function translated(name: keyof OpossumNames, value: unknown): unknown {
  switch (name) {
    case 'errorThresholdPercentage':
      return (value as number) / 100;
    case 'volumeThreshold':
      return Math.max(1, value as number);
    case 'enabled':
      return value === true ? 'on' : 'off';
    case 'errorFilter': {
      const filter = value as (error: unknown) => boolean;
      return (outcome: Outcome) =>
        outcome.error !== null && filter(outcome.error) ? 'ignored' : judgeByDefault(outcome);
    }
    default:
      return value;
  }
}
