/** @module Sends calls over undici, and looks like fetch. */
export {
  createTransport,
  type Transport,
  type TransportOptions,
  type TransportStats,
  transportDefaults,
} from './transport.js';
