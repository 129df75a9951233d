/** @module A pace that a fleet shares through Redis, and each process's share of it while Redis is away. */
import { type Checks, ConfigError, checks, optionProblems, resolveOptions } from '@fairlead/core';
import { loadBottleneck } from '../load-engine.js';
import type { PaceRedis } from './pace-fleet-connection.js';
import { FleetMember } from './pace-fleet-member.js';
import { type FleetPace, type FleetPaceOptions, fleetPaceDefaults } from './pace-fleet-options.js';

export type { PaceRedis } from './pace-fleet-connection.js';
export { type FleetPace, type FleetPaceOptions, fleetPaceDefaults } from './pace-fleet-options.js';

/**
 * Makes a limiter for `pace` that all processes share which give the same name: together they let go what one `pace` would
 * alone, one call after the other. The engine is bottleneck's Redis mode.
 *
 * While Redis is away (down, frozen, too slow, restarting) each process goes at its share, `perSecond / replicas`, and
 * whoever waits is moved over, so that no call ever waits for Redis. It is tried again while there are calls, after pauses of
 * 0.1 to 2 s. When it is back, all go on at their shares until as many are there as had parted, at most for 2 s and four times
 * `timeoutMs`, so that the fleet never goes by both. What a partner asks of one process (429, `Retry-After`) holds all of them; the pace learned by the last one
 * to learn is the pace of all.
 *
 * Connects with the first call. A turn costs two questions to Redis, some 5 ms; a process gets some 200 per second. One
 * limiter is for one layer.
 * @throws ConfigError if an option is wrong, or bottleneck is not installed
 */
export function fleetPace(options: Pick<FleetPaceOptions, 'redis' | 'name'> & Partial<FleetPaceOptions>): FleetPace {
  // Null is what the checks refuse, so that a missing option is reported like a wrong one.
  const problems = optionProblems<FleetPaceOptions>('fleetPace', { ...options, name: options?.name ?? null }, rules);
  const { duplicate } = Object(options?.redis) as Partial<PaceRedis>;
  if (typeof duplicate !== 'function') {
    // Without the value: whoever gives a URL or connection options instead has put a password into it.
    problems.push({ name: 'fleetPace.redis', expected: 'an ioredis client' });
  }
  if (problems.length > 0) throw new ConfigError(problems, 'options of fleetPace');
  loadBottleneck();
  return new FleetMember(resolveOptions('fleetPace', options, fleetPaceDefaults as Readonly<FleetPaceOptions>, rules));
}

const rules: Checks<FleetPaceOptions> = {
  // Checked apart, see above.
  redis: checks.any(),
  name: checks.text(),
  timeoutMs: checks.ms(1),
  replicas: checks.orNull(checks.either(checks.number(1), checks.fn('a function that gives one'))),
};
