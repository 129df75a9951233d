/** @module Client-side load balancing: the cluster of endpoints, pickers, endpoint health, and resolvers that need only Node. */
export * from './balance.js';
export * from './cluster.js';
export * from './dns.js';
export * from './dns-ask.js';
export {
  type EndpointHealth,
  type HealthOptions,
  type HealthState,
  healthDefaults,
  type Ward,
} from './endpoint-health.js';
export { fixed } from './fixed.js';
export { type LatencyOptions, latencyDefaults, type Node, type NodeHost } from './node.js';
export * from './p2c.js';
export type { PeakEwma, TypicalLatency } from './peak-ewma.js';
export type { Roster } from './roster.js';
export * from './round-robin.js';
export * from './source.js';
