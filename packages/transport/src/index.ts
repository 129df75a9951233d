/** @module Sends calls over undici, and looks like fetch. */
export { type Bridge, type BridgeOptions, createBridge } from './bridge/bridge.js';
export { createAgent, createDoor, type DoorOptions, explanationOf, installDoor } from './door/index.js';
export { createFetch, type FairleadFetch, type FetchOptions, type Route } from './fetch/fetch.js';
export { type FetchCallOptions, type FetchInit, fetchCallOptions } from './fetch/fetch-init.js';
export { fetchHandler } from './fetch-handler.js';
export { pathWithin } from './target.js';
export {
  createTransport,
  type Transport,
  type TransportOptions,
  type TransportStats,
  transportDefaults,
} from './transport.js';
export type { Dispatcher } from './undici.js';
