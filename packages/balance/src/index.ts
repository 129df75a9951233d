/** @module Client-side load balancing: the cluster of endpoints, pickers, endpoint health, and resolvers that need only Node. */
export * from './balance.js';
export * from './cluster.js';
export {
  type EndpointHealth,
  type HealthOptions,
  type HealthState,
  healthDefaults,
  type Ward,
} from './endpoint-health.js';
export { type LoadReportOptions, loadReportDefaults } from './load-reports.js';
export type { Neighbourhood } from './neighbourhood.js';
export { type LatencyOptions, latencyDefaults, type Node, type NodeHost } from './node.js';
export * from './p2c.js';
export type { PeakEwma, TypicalLatency } from './peak-ewma.js';
export type { ReportedLoad } from './reported-load.js';
export * from './resolvers/compose/failover.js';
export * from './resolvers/compose/first-of.js';
export * from './resolvers/consul/consul.js';
export * from './resolvers/consul/consul-access.js';
export type { ConsulAttributes, ConsulInstanceOptions } from './resolvers/consul/consul-instances.js';
export { ConsulError } from './resolvers/consul/consul-query.js';
export * from './resolvers/consul/consul-target.js';
export type { ConsulWatchOptions } from './resolvers/consul/consul-watch.js';
export * from './resolvers/dns/dns.js';
export * from './resolvers/dns/dns-ask.js';
export { type FileOptions, file, fileDefaults } from './resolvers/file/file.js';
export { fixed } from './resolvers/fixed.js';
export { type HttpSdOptions, httpSd, httpSdDefaults, httpSdOf } from './resolvers/http-sd/http-sd.js';
export { HttpSdError } from './resolvers/http-sd/http-sd-poll.js';
export * from './resolvers/remember/remember.js';
export type { RememberedSnapshot, RememberWatchOptions } from './resolvers/remember/remember-watch.js';
export * from './resolvers/source.js';
export type { Roster } from './roster.js';
export * from './round-robin.js';
export type { Freshness } from './source-state.js';
export { type WaitOptions, waitDefaults } from './waiters.js';
