/** @module From what fetch takes as a body to what a call carries, with the content type that fetch would send. */
import { Readable } from 'node:stream';
import type { Clock, RequestBody } from '@fairlead/core';
import { encodeForm } from './multipart.js';

/** An encoded body. */
export interface EncodedBody {
  readonly body: RequestBody;
  /** Content type by the kind of body; null if it says nothing. */
  readonly type: string | null;
}

const none: EncodedBody = Object.freeze({ body: null, type: null });

/**
 * Encodes `body`. Everything but streams and iterables can be sent again. Views and buffers are copied, as in fetch: the
 * caller may write on while the request waits.
 * @throws TypeError for a stream that is locked or has been read from
 */
export function encodeBody(body: unknown, clock: Clock): EncodedBody {
  if (body == null) return none;
  if (typeof body === 'string') return { body, type: 'text/plain;charset=UTF-8' };
  if (body instanceof Uint8Array) return { body: new Uint8Array(body), type: null };
  if (body instanceof URLSearchParams) {
    return { body: body.toString(), type: 'application/x-www-form-urlencoded;charset=UTF-8' };
  }
  if (ArrayBuffer.isView(body)) {
    return { body: new Uint8Array(body.buffer, body.byteOffset, body.byteLength).slice(), type: null };
  }
  if (body instanceof ArrayBuffer || body instanceof SharedArrayBuffer) {
    return { body: new Uint8Array(body).slice(), type: null };
  }
  if (body instanceof Blob) return blobBody(body);
  if (body instanceof FormData) return blobBody(encodeForm(body, clock));
  if (body instanceof ReadableStream) return { body: { once: streamChunks(body) }, type: null };
  if (typeof body === 'object' && Symbol.asyncIterator in body) {
    return { body: { once: body as AsyncIterable<Uint8Array> }, type: null };
  }
  return { body: String(body), type: 'text/plain;charset=UTF-8' };
}

function blobBody(blob: Blob): EncodedBody {
  return { body: { open: () => streamChunks(blob.stream()), length: blob.size }, type: blob.type || null };
}

/**
 * Reads a stream through a reader of its own: unlike the stream's iterator it can be told to stop while a read is under way.
 */
function streamChunks(stream: ReadableStream<Uint8Array>): AsyncIterable<Uint8Array> {
  if (Readable.isDisturbed(stream as never))
    throw new TypeError('Response body object should not be disturbed or locked');
  const reader = stream.getReader();
  const iterator: AsyncIterator<Uint8Array> = {
    next: () => reader.read() as Promise<IteratorResult<Uint8Array>>,
    return: async () => {
      await reader.cancel();
      return { done: true, value: undefined };
    },
  };
  return { [Symbol.asyncIterator]: () => iterator };
}
