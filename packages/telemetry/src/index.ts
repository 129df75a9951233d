/** @module Trace context, baggage, spans and counters: what a request brings along, and what is told about it. */
export * from './ambient.js';
export * from './baggage.js';
export type { CallSpan, CallTrace, NewTraces, TracingMode } from './call-trace.js';
export * from './counters.js';
export type { DeadlineHeader } from './deadline-header.js';
export type { AskDiscovery, DiscoveryReport } from './discovery-gauges.js';
export { exposition, expositionType } from './exposition.js';
export * from './ids.js';
export * from './inbound.js';
export type {
  HistogramFamily,
  HistogramSeries,
  Labels,
  MetricFamily,
  ValueFamily,
  ValueSeries,
} from './metric-families.js';
export * from './otel.js';
export * from './propagate.js';
export * from './trace.js';
export * from './trace-context.js';
