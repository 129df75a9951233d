/** @module What can be said of how a server sheds load, and whether it makes sense. */
import type { IncomingMessage } from 'node:http';
import { type Checks, type Clock, ConfigError, check, checks, resolveOptions, systemClock } from '@fairlead/core';
import { type EventLoop, eventLoop } from './event-loop.js';

/**
 * - `on`: refuses what is too much
 * - `shadow`: lets everything in, and tells `policy.shadowed` for what it would have refused
 * - `off`: lets everything in, learns nothing, costs nothing
 */
export type ShedMode = 'on' | 'shadow' | 'off';

/** Options of `shed`. */
export interface ShedOptions {
  /** Whether it acts. Default `on`. */
  readonly mode: ShedMode;
  /** How long a request may wait while there is only a burst, in ms. Default 100. */
  readonly maxWaitMs: number;
  /** How long it may wait in an overload, in ms, if handlers are fast enough for that. Default 5. */
  readonly targetMs: number;
  /** How many may wait. Default 1,000. */
  readonly maxWaiting: number;
  /** The least that a limit on handlers at work is lowered to. Default 4. */
  readonly minLimit: number;
  /** The most that it is raised to. Default 1,000. */
  readonly maxLimit: number;
  /** What it begins with. Default 100. */
  readonly initialLimit: number;
  /** How many times as long as when not crowded handlers may take before there are fewer at a time. Default 1.5. */
  readonly tolerance: number;
  /** From which share of the heap's limit on the least critical are refused; the most critical are so at the limit. Default 0.9. */
  readonly heapRatio: number;
  /**
   * Tells tenants apart: in an overload, those who ask for more than an equal share come after the others of their class.
   * Must not throw. Default null: all are one.
   */
  readonly tenant: ((request: IncomingMessage) => string) | null;
  /** The process that is protected. Default: the event loop of this thread. */
  readonly loop: EventLoop;
  /** Time and chance. Default: the real clock. */
  readonly clock: Clock;
}

/** Defaults of {@link ShedOptions}. */
export const shedDefaults: Readonly<ShedOptions> = Object.freeze({
  mode: 'on',
  maxWaitMs: 100,
  targetMs: 5,
  maxWaiting: 1_000,
  minLimit: 4,
  maxLimit: 1_000,
  initialLimit: 100,
  tolerance: 1.5,
  heapRatio: 0.9,
  tenant: null,
  loop: eventLoop,
  clock: systemClock,
} satisfies ShedOptions);

const rules: Checks<ShedOptions> = {
  mode: checks.oneOf('on', 'shadow', 'off'),
  maxWaitMs: checks.ms(1, 60_000),
  targetMs: checks.ms(1, 60_000),
  maxWaiting: checks.integer(1, 1_000_000),
  minLimit: checks.integer(1),
  maxLimit: checks.integer(1),
  initialLimit: checks.integer(1),
  tolerance: checks.number(1, 100),
  heapRatio: checks.ratio(),
  tenant: checks.orNull(checks.fn('a function from a request to a string')),
  loop: check('an event loop: afterReading, activeMs, heapRatio', (v) => isLoop(v)),
  clock: checks.object('a clock'),
};

function isLoop(value: unknown): boolean {
  const { afterReading, activeMs, heapRatio } = (value ?? {}) as Partial<EventLoop>;
  return [afterReading, activeMs, heapRatio].every((each) => typeof each === 'function');
}

/**
 * Checks `options` of `shed` and fills in defaults.
 * @throws ConfigError if one is unknown or wrong, or `minLimit` is above `maxLimit`
 */
export function resolveShed(options: Partial<ShedOptions> | undefined): Readonly<ShedOptions> {
  const resolved = resolveOptions('shed', options, shedDefaults, rules);
  const { minLimit, maxLimit, initialLimit } = resolved;
  if (minLimit > maxLimit) {
    const problem = { name: 'shed.minLimit', value: minLimit, expected: `at most ${maxLimit}, which is shed.maxLimit` };
    throw new ConfigError([problem], 'options of shed');
  }
  return { ...resolved, initialLimit: Math.min(maxLimit, Math.max(minLimit, initialLimit)) };
}
