/** @module What a pace that a fleet shares needs to know, and what comes of it. */
import type { PaceRedis } from './pace-fleet-connection.js';
import type { PaceLimiter } from './pace-tickets.js';

/** Options of `fleetPace`. */
export interface FleetPaceOptions {
  /**
   * An ioredis client (5 or 6), `Redis` or `Cluster`. It is not used itself: the two connections that a fleet needs are made
   * like it, and closed by {@link FleetPace.close}. Has no default.
   */
  readonly redis: PaceRedis;
  /** Whose pace it is. Processes that give the same name, and use the same database, share it. Has no default. */
  readonly name: string;
  /** Longest time to connect, or for an answer of Redis, in ms. Default 500. */
  readonly timeoutMs: number;
  /**
   * How many processes divide the pace while Redis is away, or a function that says so; what is not a number from 1 counts
   * as 1. Default null: as many as were last seen in Redis, and 1 if Redis was never there.
   */
  readonly replicas: number | (() => number) | null;
}

/** The defaults of `fleetPace`; `redis` and `name` have none. */
export const fleetPaceDefaults: Readonly<Omit<FleetPaceOptions, 'redis' | 'name'>> = Object.freeze({
  timeoutMs: 500,
  replicas: null,
});

/** For `pace({ limiter })`. */
export interface FleetPace extends PaceLimiter {
  /** Whether Redis is away, and this process goes at its share. */
  readonly down: boolean;
  /** Lets go of both connections. Calls that come later go at this process's share. */
  close(): void;
  [Symbol.dispose](): void;
}
