/** @module What undici's callers give, as what a call needs. */
import { stringify } from 'node:querystring';
import { type Clock, type HeaderPairs, headerOf, type RequestBody, withHeader } from '@fairlead/core';
import { isOriginForm } from '../target.js';
import type { Dispatcher } from '../undici.js';
import { parts } from './parts.js';
import { encodeDoorBody } from './request-body.js';
import { noWishes, type TapWishes } from './tap.js';

/** A dispatch, checked and encoded. */
export interface DoorRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: HeaderPairs;
  readonly body: RequestBody;
  /** What the caller says about sending it twice; undefined to go by the method. */
  readonly idempotent: boolean | undefined;
  readonly wishes: TapWishes;
}

/**
 * Encodes `options`. What undici itself checks when the request is sent is left to it.
 * @throws undici's InvalidArgumentError
 */
export function encodeDispatch(options: Dispatcher.DispatchOptions, clock: Clock): DoorRequest {
  const method: unknown = options.method;
  if (typeof method !== 'string') throw invalid('method must be a string');
  const { throwOnError, maxRedirections } = options as { throwOnError?: unknown; maxRedirections?: unknown };
  if (throwOnError != null) throw invalid('invalid throwOnError');
  if (maxRedirections) throw invalid('maxRedirections is not supported, use the redirect interceptor');
  // Where other hosts are mocked, fetch hands over what its body was made of, and beside it what it is to be sent as.
  const { __mockAgentBodyForDispatch: sent } = options as { __mockAgentBodyForDispatch?: unknown };
  const { body, type } = encodeDoorBody(sent ?? options.body, clock);
  let headers = encodePairs(options.headers);
  if (type !== null) headers = withType(headers, type);
  // undici says GET, HEAD and QUERY where the caller says nothing, which is about pipelining and less than is true.
  const { idempotent } = options;
  return {
    method,
    path: pathOf(options),
    headers,
    body,
    idempotent: idempotent ?? undefined,
    wishes: wishesOf(options),
  };
}

function withType(headers: HeaderPairs, type: string): HeaderPairs {
  // A form is written with a boundary of ours, whatever its sender says about it.
  const ours = type.startsWith('multipart/') || headerOf(headers, 'content-type') === undefined;
  return ours ? withHeader(headers, 'content-type', type) : headers;
}

function wishesOf({ upgrade, headersTimeout, bodyTimeout }: Dispatcher.DispatchOptions): TapWishes {
  if (upgrade == null && headersTimeout == null && bodyTimeout == null) return noWishes;
  // undici checks them, and its word for `upgrade` is a string, whatever its types say.
  return {
    upgrade: (upgrade as unknown as string | null | undefined) ?? null,
    headersTimeout: headersTimeout ?? 0,
    bodyTimeout: bodyTimeout ?? 0,
  };
}

function pathOf({ path, query }: Dispatcher.DispatchOptions): string {
  if (typeof path !== 'string' || !isOriginForm(path)) throw invalid("path must begin with one '/'");
  if (!query) return path;
  if (path.includes('?') || path.includes('#')) {
    throw invalid('Query params cannot be passed when url already contains "?" or "#".');
  }
  const text = stringify(query);
  return text === '' ? path : `${path}?${text}`;
}

type Pairs = string[];

/** Flat, names in lower case. undici takes a flat list, pairs, or an object, each with single values or lists of them. */
function encodePairs(headers: unknown): HeaderPairs {
  const pairs: Pairs = [];
  if (headers == null) return pairs;
  if (typeof headers !== 'object') throw invalid('headers must be an object or an array');
  if (Array.isArray(headers)) {
    if (headers.length % 2 !== 0) throw invalid('headers array must be even');
    for (let i = 0; i < headers.length; i += 2) add(pairs, headers[i], headers[i + 1]);
  } else if (Symbol.iterator in headers) {
    for (const pair of headers as Iterable<unknown>) {
      if (!Array.isArray(pair) || pair.length !== 2) throw invalid('headers must be in key-value pair format');
      add(pairs, pair[0], pair[1]);
    }
  } else {
    for (const name of Object.keys(headers)) add(pairs, name, (headers as Record<string, unknown>)[name]);
  }
  return pairs;
}

function add(pairs: Pairs, key: unknown, value: unknown): void {
  if (value === undefined) return;
  const name = String(key).toLowerCase();
  if (Array.isArray(value)) for (const each of value) pairs.push(name, textOf(name, each));
  else if (name === 'content-length') pairs.push(name, oneLength(textOf(name, value)));
  else pairs.push(name, textOf(name, value));
}

function textOf(name: string, value: unknown): string {
  if (value === null) return '';
  if (typeof value === 'object') throw invalid(`invalid ${name} header`);
  return String(value);
}

/**
 * The fetch of Node 22 adds its own length to that of its caller, `3, 3`, which undici 8 refuses (nodejs/undici#5500). Equal
 * values may be taken for one (RFC 9110, 8.6).
 */
function oneLength(value: string): string {
  if (!value.includes(',')) return value;
  const [first, ...rest] = value.split(',').map((each) => each.trim());
  return rest.every((each) => each === first) ? (first as string) : value;
}

function invalid(message: string): Error {
  return new parts.errors.InvalidArgumentError(message);
}
