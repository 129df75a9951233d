/** @module Puts faults in the way of calls on purpose, to see whether what should help does. */
import {
  type Call,
  ConfigError,
  check,
  checks,
  createReply,
  type Handler,
  headerOf,
  type Middleware,
  named,
  type Reply,
  resolveOptions,
  sleep,
  TransportError,
} from '@fairlead/core';
import { isMode, type PolicyMode } from '../policy-mode.js';
import { SlowBody, withBody } from './inject-fault-body.js';

/** Options of {@link injectFault}. */
export interface InjectFaultOptions {
  /** Default `on`. In `shadow` it only counts the calls that it would have hit. */
  readonly mode: PolicyMode;
  /** Share of calls that are hit, from 0 to 1. Default 0. */
  readonly ratio: number;
  /** Only calls to this service. Default null: to any. */
  readonly service: string | null;
  /** Only calls with this request header (lower case), whatever its value. Default null: all. */
  readonly header: string | null;
  /** Added before the call is sent, in ms. Default 0. */
  readonly latencyMs: number;
  /** Answered with this status instead of being sent. Default null. */
  readonly abortStatus: number | null;
  /** Fails as if the connection had been reset after the request was sent; it is not sent. Default false. */
  readonly reset: boolean;
  /** Time added before each piece of the reply's body, in ms. Default 0. */
  readonly slowBodyMs: number;
  /** Also where `NODE_ENV` is `production`. Default false. */
  readonly force: boolean;
}

/** The defaults of {@link injectFault}. */
export const injectFaultDefaults: Readonly<InjectFaultOptions> = Object.freeze({
  mode: 'on',
  ratio: 0,
  service: null,
  header: null,
  latencyMs: 0,
  abortStatus: null,
  reset: false,
  slowBodyMs: 0,
  force: false,
});

/**
 * Makes a layer that delays, refuses, breaks off or slows down a share of calls. Latency comes first and may be combined with
 * any of the others; of `abortStatus` and `reset` only one is possible. What the stack above makes of it is real: deadlines
 * run out, retries are made, breakers open.
 *
 * Stands below the balancer, so that endpoints are blamed as they would be. Tells `fault.injected`.
 * @throws ConfigError if an option is wrong, or in production without `force`
 */
export function injectFault(options?: Partial<InjectFaultOptions>): Middleware {
  const given = resolveOptions<InjectFaultOptions>('injectFault', options, injectFaultDefaults, {
    mode: isMode,
    ratio: checks.ratio(),
    service: checks.orNull(checks.text()),
    header: checks.orNull(check('a header name in lower case', (v) => typeof v === 'string' && /^[!-@[-~]+$/.test(v))),
    latencyMs: checks.ms(),
    abortStatus: checks.orNull(checks.integer(200, 599)),
    reset: checks.boolean(),
    slowBodyMs: checks.ms(),
    force: checks.boolean(),
  });
  const { mode, ratio, service, header } = given;
  if (given.abortStatus !== null && given.reset) {
    throw new ConfigError([{ name: 'injectFault.reset', value: true, expected: 'false beside abortStatus' }]);
  }
  if (mode === 'on' && !given.force && environment() === 'production') {
    throw new ConfigError([{ name: 'injectFault.force', value: false, expected: 'true where NODE_ENV is production' }]);
  }
  if (mode === 'off' || ratio === 0) return named('injectFault', (call, next) => next(call));
  return named('injectFault', (call: Call, next: Handler): Promise<Reply> => {
    const meant =
      (service === null || call.service === service) &&
      (header === null || headerOf(call.headers, header) !== undefined) &&
      call.runtime.clock.random() < ratio;
    if (!meant) return next(call);
    if (mode === 'on') return inject(given, call, next);
    call.runtime.on?.({ type: 'policy.shadowed', service: call.service, policy: 'injectFault', would: 'inject' });
    return next(call);
  });
}

async function inject(options: Readonly<InjectFaultOptions>, call: Call, next: Handler): Promise<Reply> {
  const { service, runtime, scope } = call;
  const { latencyMs, abortStatus, reset, slowBodyMs } = options;
  if (latencyMs > 0) {
    runtime.on?.({ type: 'fault.injected', service, fault: 'latency' });
    await sleep(runtime.clock, latencyMs, scope);
  }
  if (abortStatus !== null) {
    runtime.on?.({ type: 'fault.injected', service, fault: 'abort' });
    return createReply({ status: abortStatus, at: runtime.clock.now() });
  }
  if (reset) {
    runtime.on?.({ type: 'fault.injected', service, fault: 'reset' });
    const cause = Object.assign(new Error('injected'), { code: 'ECONNRESET' });
    throw new TransportError({ phase: 'wait', sent: 'maybe', service, endpoint: call.endpoint?.id ?? null, cause });
  }
  const reply = await next(call);
  if (slowBodyMs === 0) return reply;
  runtime.on?.({ type: 'fault.injected', service, fault: 'slowBody' });
  return withBody(reply, new SlowBody(reply.body, runtime.clock, slowBodyMs));
}

function environment(): string | undefined {
  const { NODE_ENV } = process.env;
  return NODE_ENV;
}
