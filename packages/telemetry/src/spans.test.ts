// Would catch: spans without or with a wrong parent, a traceparent that does not name its span, attributes that leak a
// secret, spans that never end, a second span beside that of an instrumentation, and any effect at all without an SDK.
// Longer than other files because all of it stands on one real SDK and one way of sending.
import { channel, subscribe, unsubscribe } from 'node:diagnostics_channel';
import {
  type Call,
  CanceledError,
  compose,
  createCall,
  createEndpoint,
  createReply,
  type EndListener,
  type Handler,
  type HeaderPairs,
  headerOf,
  type Middleware,
  type Reply,
  TransportError,
  tellEnd,
} from '@fairlead/core';
import { VirtualClock } from '@fairlead/testing';
import * as api from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  InMemorySpanExporter,
  type ReadableSpan,
  type Sampler,
  SimpleSpanProcessor,
  TracerProvider,
} from '@opentelemetry/sdk-trace';
import { afterEach, describe, expect, it } from 'vitest';
import { noAmbient, runWith } from './ambient.js';
import { ambientReader } from './inbound.js';
import { type OtelApi, OtelSource } from './otel.js';
import { type PropagateOptions, propagate } from './propagate.js';
import { trace } from './trace.js';
import { parseTraceparent } from './trace-context.js';

const traceId = '0af7651916cd43dd8448eb211c80319c';
const parentId = 'b7ad6b7169203331';
const inbound = { traceId, parentId, flags: 3, state: 'rojo=1' };

function sdk(sampler: Sampler = new AlwaysOnSampler()) {
  const exporter = new InMemorySpanExporter();
  const provider = new TracerProvider({ sampler, spanProcessors: [new SimpleSpanProcessor({ exporter })] });
  api.trace.setGlobalTracerProvider(provider);
  api.context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  return exporter;
}

afterEach(() => {
  api.trace.disable();
  api.context.disable();
});

interface Sending {
  headers?: HeaderPairs;
  method?: string;
  path?: string;
  endpoint?: string | null;
  options?: Partial<PropagateOptions>;
  /** What each attempt gets; the last one is handed up, the others are discarded. */
  replies?: (Reply | Error)[];
  layer?: Middleware;
}

/** Sends one call; gives what reached the transport. */
async function send(sending: Sending = {}): Promise<Call[]> {
  const {
    headers = [],
    method = 'GET',
    path = '/charges/42?card=4111',
    options = {},
    replies = [createReply()],
  } = sending;
  const arrived: Call[] = [];
  const end: Handler = (call) => {
    arrived.push(call);
    const next = replies[arrived.length - 1] as Reply | Error;
    return next instanceof Error ? Promise.reject(next) : Promise.resolve(next);
  };
  const { endpoint = 'http://10.0.0.5:8080' } = sending;
  const place = endpoint === null ? null : createEndpoint(endpoint, { id: 'pod-1' });
  const again: Middleware = async (call, next) => {
    for (let n = 1; n < replies.length; n++) {
      try {
        await next(call.with({ attempt: n, endpoint: place }));
      } catch {
        // The next attempt follows.
      }
    }
    return next(call.with({ attempt: replies.length, endpoint: place }));
  };
  const through: Middleware = sending.layer ?? ((call, next) => next(call));
  const stack = compose([trace({ tracing: options.tracing ?? 'auto' }), again, propagate(options), through], end);
  const clock = new VirtualClock();
  await stack(createCall({ service: 'payments', runtime: { clock }, headers, method, path }));
  expect(clock.pending).toBe(0);
  return arrived;
}

const ids = (span: ReadableSpan | undefined) => span?.spanContext();
const named = (exporter: InMemorySpanExporter, kind: api.SpanKind) =>
  exporter.getFinishedSpans().filter((span) => span.kind === kind);

/** The one traceparent of a call. */
function sent(call: Call | undefined) {
  const values = (call?.headers ?? []).filter((_, i, list) => i % 2 === 1 && list[i - 1] === 'traceparent');
  expect(values).toHaveLength(1);
  return parseTraceparent(values[0] as string);
}

/** Stands for OpenTelemetry's instrumentation of undici: a span and a header for each request it is told about. */
async function instrumented<T>(work: (layer: Middleware, made: api.Span[]) => Promise<T>): Promise<T> {
  const listener = () => {};
  subscribe('undici:request:create', listener);
  const made: api.Span[] = [];
  const layer: Middleware = (call, next) => {
    const span = api.trace.getTracer('undici').startSpan('GET', { kind: api.SpanKind.CLIENT });
    if (!api.isSpanContextValid(span.spanContext())) return next(call);
    made.push(span);
    span.end();
    const { traceId, spanId } = span.spanContext();
    return next(call.with({ headers: [...call.headers, 'traceparent', `00-${traceId}-${spanId}-01`] }));
  };
  try {
    return await work(layer, made);
  } finally {
    unsubscribe('undici:request:create', listener);
  }
}

describe('spans', () => {
  it('say of a stand-in that it is one, and why', async () => {
    const exporter = sdk();
    await send({ replies: [Object.assign(createReply(), { insteadOf: 'timeout' })] });
    expect(named(exporter, api.SpanKind.INTERNAL)[0]?.attributes).toMatchObject({ 'fairlead.fallback': 'timeout' });
  });

  it('are one INTERNAL for the call and a CLIENT child for each attempt, named on the wire', async () => {
    const exporter = sdk();
    const calls = await send({ replies: [createReply({ status: 503 }), createReply()] });
    const [call] = named(exporter, api.SpanKind.INTERNAL);
    const attempts = named(exporter, api.SpanKind.CLIENT);
    expect(exporter.getFinishedSpans()).toHaveLength(3);
    expect(call).toMatchObject({ name: 'GET payments', parentSpanContext: undefined });
    for (const [i, attempt] of attempts.entries()) {
      expect(attempt.name).toBe('GET');
      expect(attempt.parentSpanContext?.spanId).toBe(ids(call)?.spanId);
      expect(sent(calls[i])).toMatchObject({ traceId: ids(call)?.traceId, parentId: ids(attempt)?.spanId });
      expect((sent(calls[i])?.flags ?? 0) & 1).toBe(1);
    }
    expect(attempts.map((a) => a.attributes['http.request.resend_count'])).toEqual([undefined, 1]);
    expect(attempts[0]?.attributes).toMatchObject({ 'http.response.status_code': 503, 'error.type': '503' });
    expect(attempts[0]?.status.code).toBe(api.SpanStatusCode.ERROR);
    expect(attempts[1]?.attributes).toEqual({
      'http.request.method': 'GET',
      'http.request.resend_count': 1,
      'http.response.status_code': 200,
      'server.address': '10.0.0.5',
      'server.port': 8080,
      'url.full': 'http://10.0.0.5:8080/charges/42',
      'fairlead.service': 'payments',
      'fairlead.endpoint': 'pod-1',
    });
    expect(call?.attributes).toEqual({
      'http.request.method': 'GET',
      'http.response.status_code': 200,
      'fairlead.service': 'payments',
    });
    expect(call?.status.code).toBe(api.SpanStatusCode.UNSET);
  });

  it.each([
    ['https://a.example', 443],
    ['http://a.example', 80],
  ])('know the port that %s leaves out', async (endpoint, port) => {
    const exporter = sdk();
    await send({ endpoint });
    expect(named(exporter, api.SpanKind.CLIENT)[0]?.attributes).toMatchObject({
      'server.address': 'a.example',
      'server.port': port,
    });
  });

  it('name the service where no endpoint was chosen', async () => {
    const exporter = sdk();
    await send({ endpoint: null });
    expect(named(exporter, api.SpanKind.CLIENT)[0]?.attributes).toMatchObject({ 'server.address': 'payments' });
  });

  it('show the query only when asked, and known secrets not even then', async () => {
    const exporter = sdk();
    await send({ path: '/a?x=1&sig=s3cret&Signature=t0p&y=2', options: { urlQuery: true } });
    expect(named(exporter, api.SpanKind.CLIENT)[0]?.attributes['url.full']).toBe(
      'http://10.0.0.5:8080/a?x=1&sig=REDACTED&Signature=REDACTED&y=2',
    );
  });

  it('keep methods that nobody knows out of their names', async () => {
    const exporter = sdk();
    await send({ method: 'BREW' });
    expect(named(exporter, api.SpanKind.INTERNAL)[0]?.name).toBe('HTTP payments');
    expect(named(exporter, api.SpanKind.CLIENT)[0]).toMatchObject({
      name: 'HTTP',
      attributes: { 'http.request.method': '_OTHER', 'http.request.method_original': 'BREW' },
    });
  });

  it('tell what went wrong', async () => {
    const exporter = sdk();
    const error = new TransportError({ phase: 'connect', sent: 'no', message: 'refused' });
    await expect(send({ replies: [error] })).rejects.toBe(error);
    for (const span of exporter.getFinishedSpans()) {
      expect(span.attributes['error.type']).toBe('ERR_TRANSPORT');
      expect(span.status).toEqual({ code: api.SpanStatusCode.ERROR, message: error.message });
    }
    expect(exporter.getFinishedSpans()).toHaveLength(2);
  });

  it('do not call it a failure that nobody wants the answer any more', async () => {
    const exporter = sdk();
    await expect(send({ replies: [new CanceledError()] })).rejects.toThrow();
    expect(exporter.getFinishedSpans().map((s) => s.status.code)).toEqual([0, 0]);
    expect(exporter.getFinishedSpans()[0]?.attributes['error.type']).toBe('ERR_CANCELED');
  });

  it.each([
    ['to its end', null, undefined],
    ['not to its end', new TypeError('cut'), 'TypeError'],
  ])('end when the body has come %s', async (_, why, type) => {
    const exporter = sdk();
    const listeners: EndListener[] = [];
    const reply = Object.create(createReply(), { onEnd: { value: (fn: EndListener) => listeners.push(fn) } }) as Reply;
    await send({ replies: [reply] });
    expect(exporter.getFinishedSpans()).toHaveLength(0);
    for (const listener of listeners) tellEnd(listener, why);
    expect(exporter.getFinishedSpans().map((s) => s.attributes['error.type'])).toEqual([type, type]);
  });

  it('are children of the active span', async () => {
    const exporter = sdk();
    const outer = api.trace.getTracer('app').startSpan('outer');
    await runWith({ ...noAmbient, trace: inbound }, () =>
      api.context.with(api.trace.setSpan(api.context.active(), outer), () => send()),
    );
    expect(named(exporter, api.SpanKind.INTERNAL)[0]?.parentSpanContext?.spanId).toBe(outer.spanContext().spanId);
  });

  it('are children of the ambient trace context otherwise, whose state goes on as it came', async () => {
    const exporter = sdk();
    const state = `long=${'x'.repeat(200)},${Array.from({ length: 4 }, (_, i) => `k${i}=${'y'.repeat(200)}`).join(',')}`;
    const [call] = await runWith({ ...noAmbient, trace: { ...inbound, state }, baggage: 'k=v' }, () => send());
    expect(named(exporter, api.SpanKind.INTERNAL)[0]?.parentSpanContext).toMatchObject({
      traceId,
      spanId: parentId,
      isRemote: true,
    });
    expect(sent(call)).toMatchObject({ traceId, flags: 3 });
    expect(headerOf(call?.headers ?? [], 'tracestate')).toBe(state);
    expect(headerOf(call?.headers ?? [], 'baggage')).toBe('k=v');
  });

  it('hand on a state that the sampler has changed', async () => {
    sdk({
      shouldSample: () => ({ decision: 2, traceState: api.createTraceState('mine=1') }),
      toString: () => 'changing',
    } as Sampler);
    const [call] = await runWith({ ...noAmbient, trace: inbound }, () => send());
    expect(headerOf(call?.headers ?? [], 'tracestate')).toBe('mine=1');
  });

  it('are children of the traceparent that the caller set, before all others', async () => {
    const exporter = sdk();
    const outer = api.trace.getTracer('app').startSpan('outer');
    const headers = ['traceparent', `00-${traceId}-${parentId}-01`, 'tracestate', 'own=1'];
    const [call] = await api.context.with(api.trace.setSpan(api.context.active(), outer), () => send({ headers }));
    expect(named(exporter, api.SpanKind.INTERNAL)[0]?.parentSpanContext?.spanId).toBe(parentId);
    expect(sent(call)?.traceId).toBe(traceId);
    expect(headerOf(call?.headers ?? [], 'tracestate')).toBe('own=1');
  });

  it('that are not sampled still name themselves on the wire, unsampled and without attributes', async () => {
    const exporter = sdk(new AlwaysOffSampler());
    const [call] = await runWith({ ...noAmbient, trace: inbound }, () => send());
    expect(sent(call)).toMatchObject({ traceId, flags: 2 });
    expect(sent(call)?.parentId).not.toBe(parentId);
    expect(exporter.getFinishedSpans()).toHaveLength(0);
  });

  it('carry the baggage that the application has set', async () => {
    sdk();
    const bag = api.propagation.createBaggage({ tenant: { value: 'a b' }, tier: { value: 'gold' } });
    const [call] = await runWith({ ...noAmbient, baggage: 'k=v' }, () =>
      api.context.with(api.propagation.setBaggage(api.context.active(), bag), () => send()),
    );
    expect(headerOf(call?.headers ?? [], 'baggage')).toBe('tenant=a%20b,tier=gold');
  });

  it('are active for the layers below, so theirs are children of the call', async () => {
    const exporter = sdk();
    let seen: string | undefined;
    await send({
      layer: (call, next) => {
        seen = api.trace.getActiveSpan()?.spanContext().spanId;
        return next(call);
      },
    });
    expect(seen).toBe(ids(named(exporter, api.SpanKind.INTERNAL)[0])?.spanId);
  });

  it('are not made where tracing is suppressed, and the call goes on', async () => {
    const exporter = sdk();
    const key = api.createContextKey('OpenTelemetry SDK Context Key SUPPRESS_TRACING');
    const suppressed = api.context.active().setValue(key, true);
    const [call] = await api.context.with(suppressed, () => runWith({ ...noAmbient, trace: inbound }, () => send()));
    expect(exporter.getFinishedSpans()).toHaveLength(0);
    expect(sent(call)?.traceId).toBe(traceId);
  });

  it('are not made when off', async () => {
    const exporter = sdk();
    const [call] = await send({ options: { tracing: 'off' } });
    expect(exporter.getFinishedSpans()).toHaveLength(0);
    expect(call?.headers).toEqual([]);
  });
});

describe('beside an instrumentation of undici', () => {
  it('auto makes the span of the call, and leaves spans and headers of attempts to it', async () => {
    const exporter = sdk();
    const headers = ['traceparent', `00-${traceId}-${parentId}-01`];
    const calls = await instrumented((layer) =>
      send({ headers, layer, replies: [createReply({ status: 503 }), createReply()] }),
    );
    const [call] = named(exporter, api.SpanKind.INTERNAL);
    const attempts = named(exporter, api.SpanKind.CLIENT);
    expect(call?.parentSpanContext?.spanId).toBe(parentId);
    expect(attempts.map((a) => a.instrumentationScope.name)).toEqual(['undici', 'undici']);
    for (const [i, attempt] of attempts.entries()) {
      expect(attempt.parentSpanContext?.spanId).toBe(ids(call)?.spanId);
      expect(sent(calls[i])).toMatchObject({ traceId, parentId: ids(attempt)?.spanId });
    }
  });

  it('auto leaves it the baggage that OpenTelemetry knows, and sends the ambient one otherwise', async () => {
    sdk();
    const bags = async (context: api.Context) => {
      const send1 = () => instrumented((layer) => api.context.with(context, () => send({ layer })));
      const [call] = await runWith({ ...noAmbient, baggage: 'k=v' }, send1);
      return headerOf(call?.headers ?? [], 'baggage');
    };
    expect(await bags(api.context.active())).toBe('k=v');
    const known = api.propagation.createBaggage({ tenant: { value: 'a' } });
    expect(await bags(api.propagation.setBaggage(api.context.active(), known))).toBeUndefined();
  });

  it('own makes all spans and suppresses those of the instrumentation', async () => {
    const exporter = sdk();
    const [call] = await instrumented((layer, made) =>
      send({ layer, options: { tracing: 'own' } }).finally(() => expect(made).toEqual([])),
    );
    const [attempt] = named(exporter, api.SpanKind.CLIENT);
    expect(exporter.getFinishedSpans()).toHaveLength(2);
    expect(attempt?.instrumentationScope.name).toBe('@fairlead/telemetry');
    expect(sent(call)?.parentId).toBe(ids(attempt)?.spanId);
    expect(channel('undici:request:create').hasSubscribers).toBe(false);
  });
});

describe('OtelSource', () => {
  it('finds nothing without an SDK, and one that is registered later', () => {
    const source = new OtelSource();
    expect(source.active()).toBeNull();
    sdk();
    const found = source.active();
    expect(found?.tracer.startSpan('x', { kind: 0 }, api.context.active()).isRecording()).toBe(true);
    expect(source.active()).toBe(found);
  });

  it('takes the copy of the API that it is given, and sees whether there is an SDK behind it', () => {
    const given: OtelApi = api;
    const source = new OtelSource(given);
    expect(source.active()).toBeNull();
    sdk();
    expect(source.active()?.api).toBe(api);
  });

  it('is not taken in by an API that has registered something else', () => {
    api.context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
    expect(new OtelSource().active()).toBeNull();
  });
});

describe('inbound', () => {
  it('hands on the active SERVER span rather than the headers that it was made from', () => {
    sdk();
    const call = createCall({
      service: 'self',
      runtime: { clock: new VirtualClock() },
      headers: ['traceparent', `00-${traceId}-${parentId}-03`, 'tracestate', 'a=1', 'baggage', 'k=v'],
    });
    const read = ambientReader();
    expect(read(call).trace?.parentId).toBe(parentId);
    const remote = api.trace.setSpanContext(api.context.active(), {
      traceId,
      spanId: parentId,
      traceFlags: 1,
      isRemote: true,
    });
    const server = api.trace.getTracer('http').startSpan('GET /', { kind: api.SpanKind.SERVER }, remote);
    const ambient = api.context.with(api.trace.setSpan(remote, server), () => read(call));
    expect(ambient).toMatchObject({
      baggage: 'k=v',
      trace: { traceId, parentId: server.spanContext().spanId, flags: 3, state: 'a=1' },
    });
    server.end();
  });

  it.each([[[]], [['traceparent', 'nonsense']]])(
    'leaves it to the SDK to begin a trace, and to sample it: %j',
    (headers) => {
      sdk();
      const call = createCall({ service: 'self', runtime: { clock: new VirtualClock() }, headers });
      expect(ambientReader()(call).trace).toBeNull();
      expect(ambientReader({ newTraces: 'sampled' })(call).trace?.flags).toBe(3);
    },
  );
});
