/** @module What undici takes as a body, as what a call carries. */
import { Readable, type Stream } from 'node:stream';
import type { Clock } from '@fairlead/core';
import { type EncodedBody, encodeBody } from '../fetch/body-encode.js';
import { encodeForm } from '../fetch/multipart.js';
import { parts } from './parts.js';
import { ReplayBody } from './replay-body.js';

/**
 * Encodes `body`, with the content type that undici would add. Strings, bytes, blobs, forms and arrays can be sent any
 * number of times; streams and generators as long as a {@link ReplayBody} remembers their beginning.
 * @throws undici's InvalidArgumentError
 */
export function encodeDoorBody(body: unknown, clock: Clock): EncodedBody {
  if (body == null) return { body: null, type: null };
  if (typeof body === 'string' || body instanceof Uint8Array) return { body, type: null };
  if (ArrayBuffer.isView(body)) {
    return { body: new Uint8Array(body.buffer, body.byteOffset, body.byteLength), type: null };
  }
  if (body instanceof ArrayBuffer) return { body: new Uint8Array(body), type: null };
  if (isStream(body)) return { body: streamBody(body), type: null };
  if (body instanceof Blob) return encodeBody(body, clock);
  if (isForm(body)) return encodeBody(encodeForm(body, clock), clock);
  if (typeof body === 'object' && (Symbol.asyncIterator in body || Symbol.iterator in body)) {
    return { body: iterableBody(body as Iterable<string> | AsyncIterable<string>), type: null };
  }
  const expected = 'a string, a Buffer, a Readable stream, an iterable, or an async iterable';
  throw new parts.errors.InvalidArgumentError(`body must be ${expected}`);
}

function isStream(body: object): body is Stream {
  const { pipe, on } = body as Partial<Readable>;
  return typeof pipe === 'function' && typeof on === 'function';
}

/** A form of whichever copy of undici: it is only read, through its iterator. */
function isForm(body: object): body is FormData {
  return (body as { [Symbol.toStringTag]?: unknown })[Symbol.toStringTag] === 'FormData' && 'getAll' in body;
}

function streamBody(stream: Stream): ReplayBody {
  const readable = Symbol.asyncIterator in stream ? (stream as Readable) : new Readable().wrap(stream as never);
  // A stream that has got all that it will ever get knows its length, but says so nowhere else.
  const { ended } = (readable as never as { _readableState?: { ended?: boolean } })._readableState ?? {};
  return new ReplayBody(readable, ended === true && !readable.readableObjectMode ? readable.readableLength : undefined);
}

function iterableBody(input: Iterable<string> | AsyncIterable<string>): EncodedBody['body'] {
  return Array.isArray(input) ? { open: () => new ReplayBody(input) } : new ReplayBody(input);
}
