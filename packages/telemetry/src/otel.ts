/**
 * @module `@opentelemetry/api`, if it is there and has an SDK behind it. The package is loaded only once somebody has
 * registered an SDK; until then finding out costs one look at a global.
 */
import { createRequire } from 'node:module';

/** The part of `@opentelemetry/api` that is used, so that our declarations need no types of an optional package. */
export interface OtelApi {
  readonly context: {
    active(): OtelContext;
    with<A extends unknown[], R>(context: OtelContext, work: (...args: A) => R, self?: undefined, ...args: A): R;
  };
  readonly trace: {
    getTracerProvider(): object;
    setSpan(context: OtelContext, span: OtelSpan): OtelContext;
    setSpanContext(context: OtelContext, spanContext: OtelSpanContext): OtelContext;
    getSpanContext(context: OtelContext): OtelSpanContext | undefined;
  };
  readonly propagation: {
    getBaggage(context: OtelContext): { getAllEntries(): [string, { readonly value: string }][] } | undefined;
  };
  createContextKey(description: string): symbol;
  createTraceState(raw?: string): OtelTraceState;
  isSpanContextValid(spanContext: OtelSpanContext): boolean;
}

/** OpenTelemetry's context: immutable. */
export interface OtelContext {
  setValue(key: symbol, value: unknown): OtelContext;
  getValue(key: symbol): unknown;
}

/** OpenTelemetry's `tracestate`. */
export interface OtelTraceState {
  serialize(): string;
}

/** Identity of a span. */
export interface OtelSpanContext {
  readonly traceId: string;
  readonly spanId: string;
  readonly traceFlags: number;
  readonly isRemote?: boolean | undefined;
  readonly traceState?: OtelTraceState | undefined;
}

/** A span. */
export interface OtelSpan {
  spanContext(): OtelSpanContext;
  isRecording(): boolean;
  setAttribute(name: string, value: string | number | boolean): unknown;
  setStatus(status: { code: number; message?: string }): unknown;
  end(): void;
}

/** Makes spans. */
export interface OtelTracer {
  startSpan(name: string, options: { kind: number }, context: OtelContext): OtelSpan;
}

/** An API with an SDK behind it. */
export interface Otel {
  readonly api: OtelApi;
  readonly tracer: OtelTracer;
  /** Set in a context, it makes the SDK and its instrumentations do nothing there. */
  readonly suppressed: symbol;
}

const scopeName = '@fairlead/telemetry';
/** Where every copy of version 1 of the API registers; it is what lets several copies work together. */
const registryKey = Symbol.for('opentelemetry.js.api.1');
const registry = globalThis as { [registryKey]?: { trace?: unknown } };

/** Looks for an SDK until it has found one: applications may register theirs after they made a client. */
export class OtelSource {
  #api: OtelApi | null;
  #found: Otel | null = null;
  #absent = false;

  /** @param api the application's own copy; default: loaded when it is needed, from this package or the application */
  constructor(api: OtelApi | null = null) {
    this.#api = api;
  }

  /** The SDK; null while there is none. */
  active(): Otel | null {
    if (this.#found !== null) return this.#found;
    if (this.#absent || (this.#api === null && registry[registryKey]?.trace === undefined)) return null;
    this.#api ??= loadApi();
    if (this.#api === null) this.#absent = true;
    else this.#found = withSdk(this.#api);
    return this.#found;
  }
}

function withSdk(api: OtelApi): Otel | null {
  const provider = api.trace.getTracerProvider() as {
    getDelegateTracer?(name: string): OtelTracer | undefined;
    getTracer(name: string): OtelTracer;
  };
  // The API's stand-in gives a tracer to anybody; only this method tells whether a real one is behind it.
  const tracer =
    provider.getDelegateTracer === undefined ? provider.getTracer(scopeName) : provider.getDelegateTracer(scopeName);
  if (tracer === undefined) return null;
  return { api, tracer, suppressed: api.createContextKey('OpenTelemetry SDK Context Key SUPPRESS_TRACING') };
}

function loadApi(): OtelApi | null {
  for (const from of [import.meta.url, `${process.cwd()}/`]) {
    try {
      return createRequire(from)('@opentelemetry/api') as OtelApi;
    } catch {
      // Not to be found from there, or not to be loaded: the calls themselves do not depend on it.
    }
  }
  return null;
}
