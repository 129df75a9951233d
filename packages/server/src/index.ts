/** @module Protects Node HTTP servers: one engine for every framework, and the layers that go with it. */

export { type ExpressMiddleware, guardExpress } from './adapters/express.js';
export { type FastifyHooks, type FastifyPlugin, guardFastify } from './adapters/fastify.js';
export * from './adapters/fetch.js';
export { guardHono, type HonoContext, type HonoMiddleware, type HonoOptions } from './adapters/hono.js';
export * from './adapters/node.js';
export type { Drainable } from './drain/connections.js';
export * from './drain/drain.js';
export { clusterWorkers, workerThreads } from './drain/stop-relay.js';
export { audibleSignals, processSignals, type SignalSource } from './drain/stop-signals.js';
export { type Farewell, farewellToWebSockets } from './drain/upgrades.js';
export { callOf, type GuardedRequest, requestOf, signalOf } from './exchange.js';
export * from './guard.js';
export { isAmbiguousPath } from './harden/ambiguous-path.js';
export { BodyTooLongError } from './harden/body-limit.js';
export * from './harden/harden.js';
export { readTimeoutMs, timeoutHeader } from './headers/inbound-deadline.js';
export type { InboundHeaders } from './headers/inbound-headers.js';
export * from './health.js';
export * from './limits/client-key.js';
export type { ForwardingHeader } from './limits/forwarded.js';
export { addressKey, normalAddress } from './limits/ip-address.js';
export type { Limiter, LimitVerdict, Quota, SharedLimiter } from './limits/limiter.js';
export * from './limits/peer-identity.js';
export * from './limits/rate-limit.js';
export {
  type CallerKey,
  type RateLimitInit,
  type RateLimitOptions,
  rateLimitDefaults,
} from './limits/rate-limit-options.js';
export type { Next } from './next.js';
export type { HealthCheck } from './probe.js';
export { type LimitRefusal, nackHeader } from './refusal.js';
export type { Serving } from './serving.js';
export { type EventLoop, eventLoop } from './shed/event-loop.js';
export { shed } from './shed/shed.js';
export { type ShedMode, type ShedOptions, shedDefaults } from './shed/shed-options.js';
export type { Door, Shedder } from './shed/shedder.js';
export { loadHeader, tellHeader } from './tell.js';
