/** @module The call-level layer of tracing: decides once per call which trace it belongs to. */
import { checks, type Handler, handlerOf, type Middleware, relay, resolveOptions, tellOf } from '@fairlead/core';
import { type NewTraces, newTracesCheck, plainTrace, type TracingMode, tracingCheck } from './call-trace.js';
import { type OtelApi, OtelSource } from './otel.js';
import { endWith, startCallSpan } from './spans.js';

/** Options of {@link trace}. */
export interface TraceOptions {
  /** Default `auto`. Must be the same as that of `propagate`. */
  readonly tracing: TracingMode;
  /** Default `none`. Does not matter once an OpenTelemetry SDK decides. */
  readonly newTraces: NewTraces;
  /** The application's `@opentelemetry/api`; default null: found by itself once an SDK is registered. */
  readonly api: OtelApi | null;
}

/** Defaults of {@link trace}. */
export const traceDefaults: Readonly<TraceOptions> = Object.freeze({
  tracing: 'auto',
  newTraces: 'none',
  api: null,
});

/**
 * Gives a call its place in a trace, for all of its attempts: below the `traceparent` that the caller set himself, else below
 * the active OpenTelemetry span, else below the ambient trace context, else as `newTraces` says. While an OpenTelemetry SDK
 * is registered, the call gets an `INTERNAL` span that ends when its reply is over.
 *
 * Reads the ambient context here and nowhere below: later attempts may be started by a timer, which belongs to nobody.
 * @throws ConfigError if an option is wrong
 */
export function trace(options?: Partial<TraceOptions>): Middleware {
  const { tracing, newTraces, api } = resolveOptions('trace', options, traceDefaults, {
    tracing: tracingCheck,
    newTraces: newTracesCheck,
    api: checks.orNull(checks.object('the module @opentelemetry/api')),
  });
  if (tracing === 'off') {
    return relay('trace', (call, next, receiver) => next(call, receiver));
  }
  const source = new OtelSource(api);
  return relay('trace', (call, next, receiver) => {
    const otel = source.active();
    const spanned = otel === null ? null : startCallSpan(otel, call);
    if (otel === null || spanned === null) {
      next(call.withTrace(plainTrace(call, newTraces)), receiver);
      return;
    }
    const { context, span } = spanned.span;
    const below = handlerOf('traced', next);
    const traced: Handler = (outer) => endWith(span, otel.api.context.with(context, below, undefined, outer));
    tellOf(receiver, traced, call.withTrace(spanned));
  });
}
