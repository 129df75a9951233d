/** @module What a caller of fetch gave, `Request` and `init` together, as what a call needs. */
import type { CallAttributes, Clock } from '@fairlead/core';
import { type EncodedBody, encodeBody, encodeRequestBody } from './body-encode.js';
import { encodeHeaders, type HeadersInput } from './headers-encode.js';
import type { Draft } from './redirect.js';

/** What one call may ask of Fairlead, beside what fetch knows. */
export interface FetchCallOptions {
  /** The time of the whole call, body included, in ms; at most what is left of the caller's own. */
  readonly timeoutMs?: number;
  /** Whether sending it twice is the same as sending it once. Default: by method. */
  readonly idempotent?: boolean;
  /** Whatever layers of your own want to know. */
  readonly attributes?: CallAttributes;
}

/** Key of {@link FetchCallOptions} among the attributes of a call. */
export const fetchCallOptions: unique symbol = Symbol.for('fairlead.fetchCallOptions') as never;

/** `RequestInit`, and what one call may ask of Fairlead. */
export interface FetchInit extends Omit<RequestInit, 'body'> {
  readonly body?: unknown;
  readonly fairlead?: FetchCallOptions;
}

/** A request as given, checked and encoded. */
export interface FetchRequest extends Draft {
  readonly signal: AbortSignal | null;
  readonly redirect: 'follow' | 'manual' | 'error';
  readonly options: FetchCallOptions | undefined;
}

const noInit: FetchInit = {};

/**
 * Encodes what a caller gave.
 * @throws TypeError where fetch would, for a method, header, body or option that cannot be
 */
export function encodeRequest(request: Request | null, given: FetchInit | undefined, clock: Clock): FetchRequest {
  const init = given ?? noInit;
  if (init.integrity) throw new TypeError('integrity is not supported here: verify the body of the response instead');
  const method = encodeMethod(init.method === undefined ? request?.method : init.method);
  const { body, type } = init.body == null && request !== null ? bodyOf(request) : encodeBody(init.body, clock);
  if (body !== null && (method === 'GET' || method === 'HEAD')) {
    throw new TypeError('Request with GET/HEAD method cannot have body.');
  }
  const signal = init.signal === undefined ? (request?.signal ?? null) : init.signal;
  if (signal !== null && typeof signal.addEventListener !== 'function') throw new TypeError('signal is no AbortSignal');
  const redirect = init.redirect === undefined ? (request?.redirect ?? 'follow') : init.redirect;
  if (redirect !== 'follow' && redirect !== 'manual' && redirect !== 'error') {
    throw new TypeError(`redirect must be follow, manual or error, not ${String(redirect)}`);
  }
  const headers = encodeHeaders((init.headers as HeadersInput | undefined) ?? request?.headers, type);
  return { method, headers, body, signal, redirect, options: optionsOf(init.fairlead) };
}

const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

function encodeMethod(given: unknown): string {
  if (given === undefined || given === 'GET') return 'GET';
  const method = `${given}`;
  if (!token.test(method)) throw new TypeError(`'${method}' is not a valid HTTP method.`);
  const upper = method.toUpperCase();
  switch (upper) {
    case 'CONNECT':
    case 'TRACE':
    case 'TRACK':
      throw new TypeError(`'${method}' HTTP method is unsupported.`);
    case 'DELETE':
    case 'GET':
    case 'HEAD':
    case 'OPTIONS':
    case 'POST':
    case 'PUT':
      return upper;
    default:
      // Others keep their case: methods are case-sensitive, and `patch` is not `PATCH`.
      return method;
  }
}

function bodyOf(request: Request): EncodedBody {
  if (request.bodyUsed || request.body?.locked === true)
    throw new TypeError('Cannot construct a Request with a Request object that has already been used.');
  return encodeRequestBody(request);
}

function optionsOf(options: FetchCallOptions | undefined): FetchCallOptions | undefined {
  if (options === undefined) return undefined;
  const { timeoutMs } = options;
  if (timeoutMs !== undefined && !(timeoutMs >= 0)) throw new TypeError('fairlead.timeoutMs must be a number from 0');
  return options;
}
