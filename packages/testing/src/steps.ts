/** @module What a scripted backend can do with one request: answer, fail, or hang. */
import { type Call, type ReplyHeaders, TransportError } from '@fairlead/core';

/** A piece of a body. */
export type Piece = string | Uint8Array;

/** Answers. Made by {@link reply}. */
export interface ReplyStep {
  readonly kind: 'reply';
  readonly afterMs: number;
  readonly early: boolean;
  readonly status: number;
  readonly headers: ReplyHeaders;
  readonly chunks: readonly Uint8Array[];
  readonly betweenMs: number;
  /** How the body ends once its chunks are through. */
  readonly ending: 'end' | 'cut' | 'stall';
}

/** Fails before there is a reply. Made by {@link fail}, {@link refuse} and {@link reset}. */
export interface FailStep {
  readonly kind: 'fail';
  readonly afterMs: number;
  readonly early: boolean;
  readonly error: (call: Call) => unknown;
}

/** Never answers. Made by {@link hang}. */
export interface HangStep {
  readonly kind: 'hang';
}

/** What happens to one request. */
export type Step = ReplyStep | FailStep | HangStep;

/** How a scripted reply comes. */
export interface ReplyStepOptions {
  /** Default none. Names in lower case. */
  readonly headers?: ReplyHeaders;
  /** One piece or several; default an empty body. */
  readonly body?: Piece | readonly Piece[];
  /** Time until the head, counted from the end of the request's body. Default 0: at once, without a timer. */
  readonly afterMs?: number;
  /** Time before each piece of the body. Default 0: all there with the head. */
  readonly betweenMs?: number;
  /** The connection is reset after this many pieces. Default never. */
  readonly cutAfter?: number;
  /** Nothing more comes after this many pieces. Default never. */
  readonly stallAfter?: number;
  /** Answers without reading the request's body. Default false. */
  readonly early?: boolean;
}

const encoder = new TextEncoder();

/** Answers with `status` (default 200). */
export function reply(status = 200, options: ReplyStepOptions = {}): ReplyStep {
  const { body = [], cutAfter, stallAfter } = options;
  const pieces = typeof body === 'string' || body instanceof Uint8Array ? [body] : body;
  const chunks = pieces.map((piece) => (typeof piece === 'string' ? encoder.encode(piece) : piece));
  return {
    kind: 'reply',
    status,
    headers: options.headers ?? {},
    // An empty chunk is no chunk: a sink never gets one.
    chunks: chunks.filter((chunk) => chunk.length > 0).slice(0, cutAfter ?? stallAfter),
    afterMs: options.afterMs ?? 0,
    betweenMs: options.betweenMs ?? 0,
    early: options.early ?? false,
    ending: cutAfter !== undefined ? 'cut' : stallAfter !== undefined ? 'stall' : 'end',
  };
}

/** When a scripted failure comes. */
export interface FailStepOptions {
  /** Default 0: at once, without a timer. */
  readonly afterMs?: number;
  /** Fails without reading the request's body. Default false. */
  readonly early?: boolean;
}

/** Fails with `error`, or with what it makes of the call. */
export function fail(error: Error | ((call: Call) => unknown), options: FailStepOptions = {}): FailStep {
  const make = error instanceof Error ? () => error : error;
  return { kind: 'fail', afterMs: options.afterMs ?? 0, early: options.early ?? false, error: make };
}

/** Nobody listens there: a {@link TransportError} that proves that nothing was sent. */
export function refuse(options: { readonly afterMs?: number } = {}): FailStep {
  return fail((call) => transportError(call, 'connect', 'ECONNREFUSED'), { ...options, early: true });
}

/** The connection is reset when the request may have been read: a {@link TransportError} that proves nothing. */
export function reset(options: FailStepOptions = {}): FailStep {
  return fail((call) => transportError(call, 'wait', 'ECONNRESET'), options);
}

/** Never answers; ends only when the call's scope is canceled. */
export function hang(): HangStep {
  return { kind: 'hang' };
}

/** @internal The error that the real transport would make. */
export function transportError(
  call: Call,
  phase: TransportError['phase'],
  code: string,
  cause?: unknown,
): TransportError {
  return new TransportError({
    phase,
    sent: phase === 'connect' ? 'no' : 'maybe',
    service: call.service,
    endpoint: call.endpoint?.id ?? null,
    cause: cause ?? Object.assign(new Error(code), { code }),
  });
}
