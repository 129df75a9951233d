/** @module A request on its way down the stack. */
import type { RequestBody } from './body.js';
import type { Endpoint } from './endpoint.js';
import { type HeaderPairs, headerOf, noHeaders } from './headers.js';
import type { Runtime } from './runtime.js';
import { Scope } from './scope.js';

/** The endpoints that one call has been sent to so far; shared by all of its attempts. */
export class Tried {
  /** How often the call was sent, or was about to be: the number of its attempts that got as far as an endpoint. */
  sends = 0;
  /** Set where an attempt was sent on a second connection because its first had died idle. Declared only: it is rare. */
  declare replays?: number;
  #first: Endpoint | null = null;
  #rest: Endpoint[] | null = null;

  /** How many, each counted once. */
  get size(): number {
    return (this.#first === null ? 0 : 1) + (this.#rest?.length ?? 0);
  }

  has(endpoint: Endpoint): boolean {
    const first = this.#first;
    if (first === null) return false;
    if (first.id === endpoint.id) return true;
    return this.#rest?.some((each) => each.id === endpoint.id) ?? false;
  }

  add(endpoint: Endpoint): void {
    this.sends++;
    if (this.#first === null) this.#first = endpoint;
    else if (!this.has(endpoint)) (this.#rest ??= []).push(endpoint);
  }
}

/** What {@link Call.with} can change. */
export interface CallChanges {
  readonly service?: string;
  readonly method?: string;
  readonly path?: string;
  readonly headers?: HeaderPairs;
  readonly body?: RequestBody;
  readonly scope?: Scope;
  readonly runtime?: Runtime;
  readonly idempotent?: boolean;
  readonly attempt?: number;
  readonly endpoint?: Endpoint | null;
  readonly at?: number;
  readonly tried?: Tried;
  readonly trace?: unknown;
  readonly attributes?: CallAttributes;
}

/** Whatever a layer wants to tell the layers below it. Use a symbol as key, so that two layers cannot collide. */
export type CallAttributes = Readonly<Record<string | symbol, unknown>>;

const noAttributes: CallAttributes = Object.freeze(Object.create(null));

/** A request on its way down: immutable; {@link with} makes a changed copy. */
export class Call {
  constructor(
    /** Logical name of the service. */
    readonly service: string,
    /** HTTP method, upper case. */
    readonly method: string,
    /** Target in origin form: path and query, beginning with `/`. */
    readonly path: string,
    readonly headers: HeaderPairs,
    readonly body: RequestBody,
    /** How long the work may go on. */
    readonly scope: Scope,
    readonly runtime: Runtime,
    /** Whether sending it twice is the same as sending it once. */
    readonly idempotent: boolean,
    /** Which try this is; the first is 1. */
    readonly attempt: number,
    /** Where to, once a balancer has chosen. */
    readonly endpoint: Endpoint | null,
    /** Monotonic ms at which this call, or this attempt of it, began. */
    readonly at: number,
    /** Endpoints that this call was already sent to. */
    readonly tried: Tried,
    /** Trace context, owned by the telemetry layers. */
    readonly trace: unknown,
    readonly attributes: CallAttributes,
  ) {}

  /** A copy for the place that a balancer chose: {@link with}, for the path of every attempt. */
  withEndpoint(endpoint: Endpoint): Call {
    return this.#copy(this.headers, this.scope, endpoint, this.trace);
  }

  /** A copy that may go on for as long as `scope`: {@link with}, for the path of every attempt. */
  withScope(scope: Scope): Call {
    return this.#copy(this.headers, scope, this.endpoint, this.trace);
  }

  /** A copy that sends other headers: {@link with}, for the path of every attempt. */
  withHeaders(headers: HeaderPairs): Call {
    return this.#copy(headers, this.scope, this.endpoint, this.trace);
  }

  /** A copy in another place of a trace: {@link with}, for the path of every call. */
  withTrace(trace: unknown): Call {
    return this.#copy(this.headers, this.scope, this.endpoint, trace);
  }

  #copy(headers: HeaderPairs, scope: Scope, endpoint: Endpoint | null, trace: unknown): Call {
    const { service, method, path, body, runtime, idempotent, attempt, at, tried, attributes } = this;
    return new Call(
      service,
      method,
      path,
      headers,
      body,
      scope,
      runtime,
      idempotent,
      attempt,
      endpoint,
      at,
      tried,
      trace,
      attributes,
    );
  }

  /** A copy with some fields changed. */
  with(changes: CallChanges): Call {
    return new Call(
      changes.service ?? this.service,
      changes.method ?? this.method,
      changes.path ?? this.path,
      changes.headers ?? this.headers,
      changes.body === undefined ? this.body : changes.body,
      changes.scope ?? this.scope,
      changes.runtime ?? this.runtime,
      changes.idempotent ?? this.idempotent,
      changes.attempt ?? this.attempt,
      changes.endpoint === undefined ? this.endpoint : changes.endpoint,
      changes.at ?? this.at,
      changes.tried ?? this.tried,
      changes.trace === undefined ? this.trace : changes.trace,
      changes.attributes ?? this.attributes,
    );
  }
}

/** What {@link createCall} needs to know. */
export interface CallInit {
  readonly service: string;
  readonly runtime: Runtime;
  /** Default `GET`. */
  readonly method?: string;
  /** Default `/`. */
  readonly path?: string;
  readonly headers?: HeaderPairs;
  readonly body?: RequestBody;
  /** Default: a new root scope on the runtime's clock. */
  readonly scope?: Scope;
  /** Default: by method (RFC 9110, 9.2.2), or the presence of an `Idempotency-Key`. */
  readonly idempotent?: boolean;
  readonly attributes?: CallAttributes;
}

/** Begins a call: attempt 1, no endpoint yet, started now. */
export function createCall(init: CallInit): Call {
  const method = init.method ?? 'GET';
  const headers = init.headers ?? noHeaders;
  return new Call(
    init.service,
    method,
    init.path ?? '/',
    headers,
    init.body ?? null,
    init.scope ?? new Scope(init.runtime.clock),
    init.runtime,
    init.idempotent ?? (isIdempotentMethod(method) || headerOf(headers, 'idempotency-key') !== undefined),
    1,
    null,
    init.runtime.clock.now(),
    new Tried(),
    null,
    init.attributes ?? noAttributes,
  );
}

/** Whether `method` (upper case) is idempotent: RFC 9110, 9.2.2, and the safe method QUERY. */
export function isIdempotentMethod(method: string): boolean {
  switch (method) {
    case 'GET':
    case 'HEAD':
    case 'PUT':
    case 'DELETE':
    case 'OPTIONS':
    case 'TRACE':
    case 'QUERY':
      return true;
    default:
      return false;
  }
}
