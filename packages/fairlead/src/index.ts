/** @module A service mesh without sidecars: what an application needs to call its services, and the parts to extend it. */
export * from '@fairlead/balance';
export * from '@fairlead/core';
export * from '@fairlead/kubernetes';
export * from '@fairlead/policies';
export * from '@fairlead/telemetry';
export {
  createTransport,
  type Dispatcher,
  explanationOf,
  type FairleadFetch,
  type FetchCallOptions,
  type FetchInit,
  fetchHandler,
  type Transport,
  type TransportOptions,
  type TransportStats,
  transportDefaults,
} from '@fairlead/transport';
export { type Client, type ClientInit, createClient } from './client.js';
export type { EndpointDescription, ServiceDescription } from './service.js';
export type * from './settings/index.js';
export { type WrapFetchInit, type WrappedFetch, wrapFetch } from './wrap-fetch.js';
