/**
 * @module Spans of calls and attempts, named and attributed as the OpenTelemetry semantic conventions for HTTP client spans
 * say. Attributes are worked out only for spans that are recorded: most are not, and they cost more than the span.
 */
import { type Call, errorCode, type Reply } from '@fairlead/core';
import { currentAmbient } from './ambient.js';
import { boundBaggage } from './baggage.js';
import type { CallSpan, CallTrace } from './call-trace.js';
import type { Otel, OtelContext, OtelSpan, OtelSpanContext } from './otel.js';
import { randomFlag, type TraceContext, traceContextOf } from './trace-context.js';

// `SpanKind` and `SpanStatusCode` of the API.
const INTERNAL = 0;
const CLIENT = 2;
const ERROR = 2;

/**
 * Starts the span of a whole call. Its parent is the `traceparent` that the call carries already, else the active span, else
 * the ambient trace context. Null if the SDK makes no span here, as under suppressed tracing.
 */
export function startCallSpan(otel: Otel, call: Call): (CallTrace & { readonly span: CallSpan }) | null {
  const { api, tracer } = otel;
  const active = api.context.active();
  const ambient = currentAmbient();
  const own = traceContextOf(call.headers);
  const current = api.trace.getSpanContext(active);
  const given = own ?? ambient.trace;
  const hasActive = current !== undefined && api.isSpanContextValid(current);
  const remote = given !== null && (own !== null || !hasActive) ? remoteSpan(otel, given) : null;
  const parent = remote === null ? active : api.trace.setSpanContext(active, remote);

  const span = tracer.startSpan(`${methodName(call.method)} ${call.service}`, { kind: INTERNAL }, parent);
  const identity = span.spanContext();
  if (!api.isSpanContextValid(identity)) return null;
  if (span.isRecording()) describe(span, call);
  const known = given !== null && given.traceId === identity.traceId ? given : null;
  const callSpan = {
    otel,
    span,
    context: api.trace.setSpan(parent, span),
    known,
    knownState: remote?.traceState ?? null,
  };
  return {
    context: contextOf(callSpan, identity),
    baggage: baggageIn(otel, active) ?? ambient.baggage,
    span: callSpan,
  };
}

/**
 * Starts the span of one attempt, a child of `parent`.
 * @param withQuery whether `url.full` may show the query
 */
export function startAttemptSpan(parent: CallSpan, call: Call, withQuery: boolean): OtelSpan {
  const span = parent.otel.tracer.startSpan(methodName(call.method), { kind: CLIENT }, parent.context);
  if (!span.isRecording()) return span;
  describe(span, call);
  if (call.attempt > 1) span.setAttribute('http.request.resend_count', call.attempt - 1);
  const endpoint = call.endpoint;
  if (endpoint === null) {
    span.setAttribute('server.address', call.service);
    return span;
  }
  span.setAttribute('fairlead.endpoint', endpoint.id);
  if (endpoint.origin.startsWith('unix:')) {
    span.setAttribute('server.address', endpoint.origin.slice('unix:'.length));
    return span;
  }
  const url = new URL(endpoint.origin);
  span.setAttribute('server.address', url.hostname);
  span.setAttribute('server.port', url.port === '' ? (url.protocol === 'https:' ? 443 : 80) : Number(url.port));
  span.setAttribute('url.full', url.origin + shownPath(call.path, withQuery));
  return span;
}

/**
 * The active span as a trace context; null if there is none.
 * @param sent what the inbound request said about the trace
 */
export function activeContext(otel: Otel, sent: TraceContext | null): TraceContext | null {
  const identity = otel.api.trace.getSpanContext(otel.api.context.active());
  if (identity === undefined || !otel.api.isSpanContextValid(identity)) return null;
  return contextOf(
    { known: sent !== null && sent.traceId === identity.traceId ? sent : null, knownState: null },
    identity,
  );
}

/** What to send for the span that `identity` names. */
export function contextOf(of: Pick<CallSpan, 'known' | 'knownState'>, identity: OtelSpanContext): TraceContext {
  const { known, knownState } = of;
  const { traceId, spanId, traceState } = identity;
  // SDKs drop the flag that says how a trace id was made; it must go on with the id (W3C Trace Context 2, 2.2.2.5.2).
  const flags = identity.traceFlags | (known === null ? 0 : known.flags & randomFlag);
  // The API's own reading of a state is lossy. If the SDK did not touch it, it goes on as it came.
  const untouched = traceState === undefined || traceState === knownState;
  const state = untouched ? (known?.state ?? null) : traceState.serialize() || null;
  return { traceId, parentId: spanId, flags, state };
}

/** Ends `span` when the request behind `going` is over, with what became of it. */
export function endWith(span: OtelSpan, going: Promise<Reply>): Promise<Reply> {
  return going.then(
    (reply) => {
      if (span.isRecording()) {
        span.setAttribute('http.response.status_code', reply.status);
        if (reply.insteadOf !== undefined) span.setAttribute('fairlead.fallback', reply.insteadOf);
        if (reply.status >= 400) {
          span.setAttribute('error.type', String(reply.status));
          span.setStatus({ code: ERROR });
        }
      }
      reply.onEnd((error) => {
        if (error != null && reply.status < 400) fail(span, error);
        span.end();
      });
      return reply;
    },
    (error: unknown): Reply => {
      fail(span, error);
      span.end();
      throw error;
    },
  );
}

function fail(span: OtelSpan, error: unknown): void {
  if (!span.isRecording()) return;
  const code = errorCode(error);
  span.setAttribute('error.type', code ?? (error instanceof Error ? error.name : '_OTHER'));
  // Nobody wanting the answer any more, as with the slower of two hedged attempts, is not a failure.
  if (code !== 'ERR_CANCELED')
    span.setStatus({ code: ERROR, message: error instanceof Error ? error.message : String(error) });
}

function describe(span: OtelSpan, call: Call): void {
  span.setAttribute('fairlead.service', call.service);
  const known = methods.has(call.method);
  span.setAttribute('http.request.method', known ? call.method : '_OTHER');
  if (!known) span.setAttribute('http.request.method_original', call.method);
}

const methods = new Set(['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'CONNECT', 'OPTIONS', 'TRACE', 'PATCH', 'QUERY']);

function methodName(method: string): string {
  return methods.has(method) ? method : 'HTTP';
}

/** Query parameters that the conventions name as secrets. */
const secrets = /([?&](?:AWSAccessKeyId|Signature|sig|X-Goog-Signature)=)[^&]*/g;

function shownPath(path: string, withQuery: boolean): string {
  if (withQuery) return path.replace(secrets, '$1REDACTED');
  const query = path.indexOf('?');
  return query < 0 ? path : path.slice(0, query);
}

function remoteSpan(otel: Otel, from: TraceContext): OtelSpanContext {
  return {
    traceId: from.traceId,
    spanId: from.parentId,
    traceFlags: from.flags,
    isRemote: true,
    traceState: from.state === null ? undefined : otel.api.createTraceState(from.state),
  };
}

/** The baggage that the application has set through OpenTelemetry; null if it has not. */
function baggageIn(otel: Otel, context: OtelContext): string | null {
  const entries = otel.api.propagation.getBaggage(context)?.getAllEntries();
  if (entries === undefined || entries.length === 0) return null;
  return boundBaggage(
    entries.map(([key, { value }]) => `${encodeURIComponent(key)}=${encodeURIComponent(value)}`).join(','),
  );
}
