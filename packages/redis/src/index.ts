/** @module Rate limits that a fleet shares through Redis. */
export * from './fleet-buckets.js';
export * from './fleet-limit.js';
export {
  type FleetBucketsInit,
  type FleetBucketsOptions,
  fleetBucketsDefaults,
  type OnDown,
} from './fleet-options.js';
export type { RedisScripts } from './script.js';
export type { FleetVerdict } from './verdict.js';
