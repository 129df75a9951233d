/** @module What the layers of one call know about its trace: the value of `call.trace`. */
import { type Call, type Check, checks, headerOf } from '@fairlead/core';
import { currentAmbient } from './ambient.js';
import { type IdSource, idsOf } from './ids.js';
import type { Otel, OtelContext, OtelSpan, OtelTraceState } from './otel.js';
import { randomFlag, sampledFlag, type TraceContext, traceContextOf } from './trace-context.js';

/**
 * Who takes part in tracing.
 * - `auto`: we send `traceparent` and, with an OpenTelemetry SDK, make a span per attempt, unless somebody listens to undici's
 *   diagnostics channel: then that is an instrumentation which does both, and only the span of the whole call is ours
 * - `own`: we do both in any case, and keep OpenTelemetry's undici instrumentation quiet meanwhile
 * - `off`: no spans, and no trace or baggage header is added or taken away
 */
export type TracingMode = 'auto' | 'own' | 'off';

/**
 * What to do where no trace is going on and no SDK decides: begin one with the sampled flag unset or set, or none. Services
 * that sample as their caller did (the default of OpenTelemetry) then record nothing, everything, or what they like. In the
 * place of a `traceparent` that is invalid a trace is begun in any case, an unsampled one if this is `none`.
 */
export type NewTraces = 'unsampled' | 'sampled' | 'none';

/** Checks an option that is a {@link TracingMode}. */
export const tracingCheck: Check = checks.oneOf<TracingMode>('auto', 'own', 'off');
/** Checks an option that is {@link NewTraces}. */
export const newTracesCheck: Check = checks.oneOf<NewTraces>('unsampled', 'sampled', 'none');

/** The span of a call, as its attempts need it. */
export interface CallSpan {
  readonly otel: Otel;
  readonly span: OtelSpan;
  /** The context in which it is the active span. */
  readonly context: OtelContext;
  /** What the caller or the inbound request said about the trace, if it is the same one. */
  readonly known: TraceContext | null;
  /** {@link known}'s state in the form that the SDK hands on. */
  readonly knownState: OtelTraceState | null;
}

/** Shared by all attempts of a call. */
export interface CallTrace {
  /** The parent of the attempts; null if there is no trace. */
  readonly context: TraceContext | null;
  readonly baggage: string | null;
  /** The span of the whole call; null without an OpenTelemetry SDK. */
  readonly span: CallSpan | null;
}

/** The first context of a new trace for `call`, which has no valid `traceparent`; null if none is to begin. */
export function newTrace(call: Call, kind: NewTraces): TraceContext | null {
  // One that is invalid is restarted (W3C Trace Context 2, processing model): somebody meant to trace this.
  if (kind === 'none' && headerOf(call.headers, 'traceparent') === undefined) return null;
  const ids = idsOf(call.runtime.clock);
  // The ids are random in all their bytes, which the second flag says.
  const flags = kind === 'sampled' ? randomFlag | sampledFlag : randomFlag;
  return new FreshTrace(ids, flags);
}

/**
 * A trace that begins here, and all that a call knows of it unless it has baggage. Nearly nobody asks who its parent is:
 * every attempt has an id of its own.
 */
class FreshTrace implements TraceContext, CallTrace {
  readonly traceId: string;
  readonly #ids: IdSource;
  #parentId: string | null = null;

  constructor(
    ids: IdSource,
    readonly flags: number,
  ) {
    this.traceId = ids.traceId();
    this.#ids = ids;
  }

  get state(): null {
    return null;
  }

  get context(): this {
    return this;
  }

  get baggage(): null {
    return null;
  }

  get span(): null {
    return null;
  }

  get parentId(): string {
    this.#parentId ??= this.#ids.spanId();
    return this.#parentId;
  }
}

/** The trace of `call` where there are no spans: the one it names itself, else the ambient one, else as `kind` says. */
export function plainTrace(call: Call, kind: NewTraces): CallTrace {
  const ambient = currentAmbient();
  const { baggage } = ambient;
  const context = traceContextOf(call.headers) ?? ambient.trace ?? newTrace(call, kind);
  return baggage === null && context instanceof FreshTrace ? context : { context, baggage, span: null };
}
