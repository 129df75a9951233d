/**
 * @module The attempt-level layer of tracing: what travels with each attempt, written in one copy of the headers. This is on
 * the path of every attempt, so nothing is made that is not sent.
 */
import { channel } from 'node:diagnostics_channel';
import {
  attemptHeader,
  type Call,
  checks,
  criticalityHeader,
  criticalityKey,
  type Handler,
  type HeaderPairs,
  handlerOf,
  headerOf,
  inheritedAttempt,
  inheritedCriticality,
  type Middleware,
  type Reply,
  relay,
  resolveOptions,
  tellOf,
} from '@fairlead/core';
import { withBaggageValue } from './baggage.js';
import {
  type CallSpan,
  type CallTrace,
  type NewTraces,
  newTracesCheck,
  plainTrace,
  type TracingMode,
  tracingCheck,
} from './call-trace.js';
import { type DeadlineHeader, deadlineHeadersCheck, formatDeadline } from './deadline-header.js';
import { idsOf } from './ids.js';
import { contextOf, endWith, startAttemptSpan } from './spans.js';
import { formatTraceparent, type TraceContext, traceContextOf } from './trace-context.js';

/** Options of {@link propagate}. */
export interface PropagateOptions {
  /** Default `auto`. Must be the same as that of `trace`. */
  readonly tracing: TracingMode;
  /** Only for stacks without `trace`: then each attempt is on its own. Default `none`. */
  readonly newTraces: NewTraces;
  /** The headers that tell how many ms are left; default `x-request-timeout-ms`. Sent only if the call has a deadline. */
  readonly deadlineHeaders: readonly DeadlineHeader[];
  /**
   * Whether to send which attempt this is as `x-envoy-attempt-count` with the first one, too; default false. With later ones,
   * and with calls made for a request that is a repetition itself, it is sent in any case: who gets them need not repeat.
   */
  readonly attemptCount: boolean;
  /** Whether spans may show the query of the URL, which may hold secrets; default false. */
  readonly urlQuery: boolean;
}

/** Defaults of {@link propagate}. */
export const propagateDefaults: Readonly<PropagateOptions> = Object.freeze({
  tracing: 'auto',
  newTraces: 'none',
  deadlineHeaders: Object.freeze<DeadlineHeader[]>(['x-request-timeout-ms']),
  attemptCount: false,
  urlQuery: false,
});

const endless: number = Number.POSITIVE_INFINITY;
const none: readonly DeadlineHeader[] = [];

/** Has subscribers while somebody instruments undici, whichever copy of it. */
const created = channel('undici:request:create');

/**
 * Writes the headers that an attempt brings along: one `traceparent` with a span id of its own if the call is part of a
 * trace, `tracestate`, `baggage` (unless the caller set one) and the time that is left. An invalid `traceparent` never goes out. With an OpenTelemetry SDK each attempt is a `CLIENT` span,
 * a child of the call's.
 * @throws ConfigError if an option is wrong
 * @throws TimeoutError (as rejection) if the call's deadline has passed and would have been sent
 */
export function propagate(options?: Partial<PropagateOptions>): Middleware {
  const settings = resolveOptions('propagate', options, propagateDefaults, {
    tracing: tracingCheck,
    newTraces: newTracesCheck,
    deadlineHeaders: deadlineHeadersCheck,
    attemptCount: checks.boolean(),
    urlQuery: checks.boolean(),
  });
  const { tracing, newTraces, deadlineHeaders, attemptCount } = settings;
  if (tracing === 'off' && deadlineHeaders.length === 0 && !attemptCount) {
    return relay('propagate', (call, next, receiver) => {
      if (attemptOf(call) === 1 && inheritedCriticality(call.scope) === undefined) next(call, receiver);
      else next(call.withHeaders(headersFor(call, settings, endless, null, false, null)), receiver);
    });
  }
  return relay('propagate', (call, next, receiver) => {
    let leftMs = endless;
    const { scope, runtime } = call;
    if (scope.deadlineAt !== leftMs && deadlineHeaders.length > 0) {
      // Not `call.at`: the attempt may have waited for discovery or in a queue since.
      const now = runtime.clock.now();
      leftMs = scope.deadlineAt - now;
      if (leftMs <= 0) {
        receiver.onError(scope.expiry(now));
        return;
      }
    }
    if (tracing === 'off') {
      next(call.withHeaders(headersFor(call, settings, leftMs, null, false, null)), receiver);
      return;
    }
    const trace = (call.trace as CallTrace | null) ?? plainTrace(call, newTraces);
    const instrumented = created.hasSubscribers;
    const { span } = trace;
    if (span !== null) {
      const below = handlerOf('spanned', next);
      tellOf(receiver, () => spanned(call, below, settings, leftMs, trace, span, instrumented), call);
      return;
    }
    const inject = tracing === 'own' || !instrumented;
    const context = inject ? trace.context : null;
    // Beside the header of an instrumentation only one that means something may stay.
    const replace = inject || traceContextOf(call.headers) === null;
    next(call.withHeaders(headersFor(call, settings, leftMs, context, replace, trace.baggage)), receiver);
  });
}

function spanned(
  call: Call,
  next: Handler,
  settings: PropagateOptions,
  leftMs: number,
  trace: CallTrace,
  parent: CallSpan,
  instrumented: boolean,
): Promise<Reply> {
  const { api, suppressed } = parent.otel;
  if (instrumented && settings.tracing === 'auto') {
    // The instrumentation makes the span and appends its headers. What the caller set has become the parent of the call's
    // span, so it is not lost by being left out here. Baggage it knows only from OpenTelemetry's context.
    const baggage = api.propagation.getBaggage(parent.context) === undefined ? trace.baggage : null;
    const headers = headersFor(call, settings, leftMs, null, true, baggage);
    return api.context.with(parent.context, next, undefined, call.withHeaders(headers));
  }
  const span = startAttemptSpan(parent, call, settings.urlQuery);
  const context = contextOf(parent, span.spanContext());
  const headers = headersFor(call, settings, leftMs, context, true, trace.baggage, context.parentId);
  const outgoing = call.withHeaders(headers);
  if (!instrumented) return endWith(span, next(outgoing));
  return endWith(span, api.context.with(parent.context.setValue(suppressed, true), next, undefined, outgoing));
}

/**
 * The headers of `call` with ours.
 * @param context the trace to be continued; null sends no trace headers
 * @param replace whether trace headers that are there already are taken out
 * @param spanId the id of the attempt; default a new one
 */
function headersFor(
  call: Call,
  settings: PropagateOptions,
  leftMs: number,
  context: TraceContext | null,
  replace: boolean,
  baggage: string | null,
  spanId: string = context === null ? '' : idsOf(call.runtime.clock).spanId(),
): HeaderPairs {
  const attempt = attemptOf(call);
  const tellsAttempt = attempt > 1 || settings.attemptCount;
  const names = leftMs === endless ? none : settings.deadlineHeaders;
  let criticality: string | undefined = inheritedCriticality(call.scope);
  let bag = baggage;
  let given = call.headers;
  for (let i = 0; i < given.length; i += 2) {
    const name = given[i] as string;
    // What the caller says of a call goes before what it inherits.
    if (name === 'baggage') bag = null;
    else if (name === criticalityHeader) criticality = undefined;
    else if (isOurs(name, names, replace, tellsAttempt)) {
      given = withoutOurs(given, names, replace, tellsAttempt);
      i -= 2;
    }
  }
  const headers = withUsual(given, names, leftMs, context, spanId);
  if (context !== null && context.state !== null) headers.push('tracestate', context.state);
  if (criticality !== undefined) {
    headers.push(criticalityHeader, criticality);
    // For hops that know of baggage only.
    if (settings.tracing !== 'off' && headerOf(given, 'baggage') === undefined) {
      bag = withBaggageValue(bag, criticalityKey, criticality);
    }
  }
  if (bag !== null) headers.push('baggage', bag);
  if (tellsAttempt) headers.push(attemptHeader, String(attempt));
  return headers;
}

/** Whether a header of the caller is taken out, since we write it ourselves. */
function isOurs(name: string, deadlines: readonly string[], trace: boolean, attempt: boolean): boolean {
  if (name === 'traceparent' || name === 'tracestate') return trace;
  return (attempt && name === attemptHeader) || deadlines.includes(name);
}

function withoutOurs(given: HeaderPairs, deadlines: readonly string[], trace: boolean, attempt: boolean): HeaderPairs {
  return given.filter((_, i) => !isOurs(given[i & ~1] as string, deadlines, trace, attempt));
}

/** `given` with what nearly every attempt has. In one list of its size: one that grows takes room for a dozen more. */
function withUsual(
  given: HeaderPairs,
  names: readonly DeadlineHeader[],
  leftMs: number,
  context: TraceContext | null,
  spanId: string,
): string[] {
  const parent = context === null ? null : formatTraceparent(context.traceId, spanId, context.flags);
  const [name] = names;
  if (name === undefined) return parent === null ? [...given] : [...given, 'traceparent', parent];
  const left = formatDeadline(name, leftMs);
  const headers = parent === null ? [...given, name, left] : [...given, 'traceparent', parent, name, left];
  for (let i = 1; i < names.length; i++) {
    const other = names[i] as DeadlineHeader;
    headers.push(other, formatDeadline(other, leftMs));
  }
  return headers;
}

/** The attempt that `call` is, or that its caller's request is: for whoever gets it either is a repetition. */
function attemptOf(call: Call): number {
  return call.attempt > 1 ? call.attempt : inheritedAttempt(call.scope);
}
