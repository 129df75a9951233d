/** @module Protects Node HTTP servers: one engine for every framework, and the layers that go with it. */
export * from './client-key.js';
export * from './drain.js';
export { callOf, type GuardedRequest, type Next, requestOf, signalOf } from './exchange.js';
export { type ExpressMiddleware, guardExpress } from './express.js';
export { type FastifyHooks, type FastifyPlugin, guardFastify } from './fastify.js';
export type { ForwardingHeader } from './forwarded.js';
export * from './guard.js';
export * from './health.js';
export { guardHono, type HonoContext, type HonoMiddleware, type HonoOptions } from './hono.js';
export { readTimeoutMs, timeoutHeader } from './inbound-deadline.js';
export * from './node.js';
export type { HealthCheck } from './probe.js';
export * from './rate-limit.js';
export { type LimitRefusal, nackHeader } from './refusal.js';
export type { Serving } from './serving.js';
export { processSignals, type SignalSource } from './stop-signals.js';
