/** @module From what fetch takes as a body to what a call carries, with the content type that fetch would send. */
import { Readable } from 'node:stream';
import type { Clock, RequestBody } from '@fairlead/core';
import { ReplayBody } from '../door/replay-body.js';
import { encodeForm } from './multipart.js';

/** An encoded body. */
export interface EncodedBody {
  readonly body: RequestBody;
  /** Content type by the kind of body; null if it says nothing. */
  readonly type: string | null;
}

const none: EncodedBody = Object.freeze({ body: null, type: null });

/**
 * Views and buffers beyond this many bytes are sent from where they are. fetch copies, so that the caller may write on while
 * the request waits; for 1 MiB the copy costs more than everything else (docs/decisions/0008).
 */
export const copiedBytes = 65_536;

/**
 * Encodes `body`. Streams and iterables can be sent again as long as a {@link ReplayBody} remembers their beginning, and must
 * be disposed of; everything else can be at any time. Views and buffers are copied up to
 * {@link copiedBytes}; larger ones must not be written to until the call has been answered.
 * @throws TypeError for a stream that is locked or has been read from
 */
export function encodeBody(body: unknown, clock: Clock): EncodedBody {
  if (body == null) return none;
  if (typeof body === 'string') return { body, type: 'text/plain;charset=UTF-8' };
  if (body instanceof Uint8Array) return { body: kept(body), type: null };
  if (body instanceof URLSearchParams) {
    return { body: body.toString(), type: 'application/x-www-form-urlencoded;charset=UTF-8' };
  }
  if (ArrayBuffer.isView(body)) return { body: kept(viewOf(body)), type: null };
  if (body instanceof ArrayBuffer || body instanceof SharedArrayBuffer) {
    return { body: body.byteLength === 0 ? nothing : kept(new Uint8Array(body)), type: null };
  }
  if (body instanceof Blob) return blobBody(body);
  if (body instanceof FormData) return blobBody(encodeForm(body, clock));
  if (body instanceof ReadableStream) return { body: new ReplayBody(streamChunks(body)), type: null };
  if (typeof body === 'object' && Symbol.asyncIterator in body) {
    return { body: new ReplayBody(iterableChunks(body as AsyncIterable<unknown>)), type: null };
  }
  // Not String(): a symbol is an error.
  return { body: `${body}`, type: 'text/plain;charset=UTF-8' };
}

/**
 * Encodes the body of a `Request`, which is a stream whatever it was made of, so that it can be sent once and its length is
 * not known.
 *
 * Nobody tells one that was made of a form when it is not wanted: Node's goes on filling a stream that has been canceled, and
 * the error of that, which nobody can catch, ends the process.
 * @throws TypeError for a stream that is locked or has been read from
 */
export function encodeRequestBody({ body, headers }: Request): EncodedBody {
  if (body === null) return none;
  const isForm = headers.get('content-type')?.startsWith('multipart/form-data; boundary=----formdata-undici-') === true;
  return { body: new ReplayBody(streamChunks(body, isForm ? leave : cancel)), type: null };
}

type Reader = ReadableStreamDefaultReader<unknown>;

const cancel = (reader: Reader, reason: unknown): Promise<void> =>
  reader.cancel(reason).then(() => reader.releaseLock());

const leave = (reader: Reader): void => reader.releaseLock();

const nothing = new Uint8Array(0);

/**
 * A copy of what is small; of a view whose memory is gone an empty one. Memory that others can write to at any time, or that
 * can shrink, is copied whatever its size.
 */
function kept(view: Uint8Array): Uint8Array {
  const { length } = view;
  if (length === 0) return nothing;
  if (length > copiedBytes && isSteady(view.buffer)) return view;
  return new Uint8Array(view);
}

function isSteady(memory: ArrayBufferLike): boolean {
  return memory instanceof ArrayBuffer && !memory.resizable;
}

function viewOf(view: ArrayBufferView): Uint8Array {
  return view.byteLength === 0 ? nothing : new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
}

function blobBody(blob: Blob): EncodedBody {
  const type = blob.type === '' ? null : blob.type.trim();
  return { body: { open: () => streamChunks(blob.stream()), length: blob.size }, type };
}

/**
 * Reads a stream through a reader of its own: unlike the stream's iterator it can be told to stop while a read is under way.
 */
function streamChunks(
  stream: ReadableStream<unknown>,
  stop: (reader: Reader, reason: unknown) => unknown = cancel,
): AsyncIterable<Uint8Array> {
  if (stream.locked || Readable.isDisturbed(stream as never))
    throw new TypeError('Response body object should not be disturbed or locked');
  const reader = stream.getReader();
  const read = (): Promise<IteratorResult<unknown>> => reader.read() as Promise<IteratorResult<unknown>>;
  const chunks = new Chunks(read, (reason) => stop(reader, reason));
  return { [Symbol.asyncIterator]: () => chunks };
}

function iterableChunks(body: AsyncIterable<unknown>): AsyncIterable<Uint8Array> {
  return {
    [Symbol.asyncIterator]: () => {
      const source = body[Symbol.asyncIterator]();
      return new Chunks(
        () => source.next(),
        () => source.return?.(),
      );
    },
  };
}

/** The pieces of a body as bytes. Beside bytes, which is all that the standard allows, Node's fetch takes text and any view. */
class Chunks implements AsyncIterator<Uint8Array> {
  constructor(
    readonly read: () => Promise<IteratorResult<unknown>>,
    readonly stop: (reason: unknown) => unknown,
  ) {}

  async next(): Promise<IteratorResult<Uint8Array>> {
    const { done, value } = await this.read();
    if (done === true) return { done, value: undefined };
    if (typeof value === 'string') return { done: false, value: Buffer.from(value) };
    if (ArrayBuffer.isView(value)) return { done: false, value: value instanceof Uint8Array ? value : viewOf(value) };
    // Whoever sends it says what is wrong with it.
    return { done: false, value: value as Uint8Array };
  }

  async return(reason?: unknown): Promise<IteratorResult<Uint8Array>> {
    await this.stop(reason);
    return { done: true, value: undefined };
  }
}
