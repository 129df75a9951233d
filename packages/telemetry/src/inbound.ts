/** @module What outbound calls inherit from an inbound request. */
import { type Call, checks, type Middleware, named, resolveOptions, type Scope } from '@fairlead/core';
import { type Ambient, runWith } from './ambient.js';
import { baggageOf } from './baggage.js';
import { type NewTraces, newTrace, newTracesCheck, type TracingMode, tracingCheck } from './call-trace.js';
import { type OtelApi, OtelSource } from './otel.js';
import { activeContext } from './spans.js';
import { type TraceContext, traceContextOf } from './trace-context.js';

/** Options of {@link inboundTrace}. */
export interface InboundTraceOptions {
  /** Default `auto`; `own` is the same here, `off` reads neither trace context nor baggage. */
  readonly tracing: TracingMode;
  /**
   * Default `none`. Otherwise a request without a `traceparent` begins a trace, so that its calls share one; a request with
   * an invalid one does so in any case.
   */
  readonly newTraces: NewTraces;
  /** The application's `@opentelemetry/api`; default null: found by itself once an SDK is registered. */
  readonly api: OtelApi | null;
}

/** Defaults of {@link inboundTrace}. */
export const inboundTraceDefaults: Readonly<InboundTraceOptions> = Object.freeze({
  tracing: 'auto',
  newTraces: 'none',
  api: null,
});

/**
 * Makes the function that reads what an inbound call hands on: its scope, its baggage, and the trace. The trace is that of
 * the active OpenTelemetry span if there is one (the HTTP instrumentation has then read the headers already, and a second
 * `SERVER` span would be wrong), else that of the headers, else as `newTraces` says.
 * @throws ConfigError if an option is wrong
 */
export function ambientReader(options?: Partial<InboundTraceOptions>): (call: Call) => Ambient {
  const { tracing, newTraces, api } = resolveOptions('inboundTrace', options, inboundTraceDefaults, {
    tracing: tracingCheck,
    newTraces: newTracesCheck,
    api: checks.orNull(checks.object('the module @opentelemetry/api')),
  });
  if (tracing === 'off') return (call) => ({ scope: call.scope, trace: null, baggage: null });
  const source = new OtelSource(api);
  return (call) => {
    const otel = source.active();
    if (otel === null) return new RequestAmbient(call, newTraces);
    const sent = traceContextOf(call.headers);
    const active: TraceContext | null = activeContext(otel, sent);
    // With `none`, an SDK without a span here begins its own traces: a flag of ours would switch their recording off.
    const trace = active ?? sent ?? (newTraces === 'none' ? null : newTrace(call, newTraces));
    return { scope: call.scope, trace, baggage: baggageOf(call.headers) };
  };
}

/** What a request hands on where no SDK has a say. Its headers are read when somebody asks: most handlers call nobody. */
class RequestAmbient implements Ambient {
  readonly scope: Scope;
  readonly #call: Call;
  readonly #newTraces: NewTraces;
  #trace: TraceContext | null | undefined = undefined;
  #baggage: string | null | undefined = undefined;

  constructor(call: Call, newTraces: NewTraces) {
    this.scope = call.scope;
    this.#call = call;
    this.#newTraces = newTraces;
  }

  get trace(): TraceContext | null {
    // Once, or each of its calls would begin a trace of its own.
    if (this.#trace === undefined) {
      this.#trace = traceContextOf(this.#call.headers) ?? newTrace(this.#call, this.#newTraces);
    }
    return this.#trace;
  }

  get baggage(): string | null {
    if (this.#baggage === undefined) this.#baggage = baggageOf(this.#call.headers);
    return this.#baggage;
  }
}

/** Reads what an inbound call hands on, with the defaults of {@link inboundTrace}. */
export const inboundAmbient: (call: Call) => Ambient = ambientReader();

/**
 * Runs the rest of the stack, and the handler at its end, so that outbound calls made there inherit the deadline, the trace
 * and the baggage of the request.
 * @throws ConfigError if an option is wrong
 */
export function inboundTrace(options?: Partial<InboundTraceOptions>): Middleware {
  const read = ambientReader(options);
  return named('inboundTrace', (call, next) => {
    return runWith(read(call), next, call);
  });
}
