/** @module Reads a whole body, at once if it has already arrived, which a small one has. */
import type { BodySink, ReplyBody } from '@fairlead/core';

/** Turns the bytes of a whole body into what was asked for. May throw. */
export type Convert<T> = (chunks: readonly Uint8Array[], size: number) => T;

/** Says what an error of a body means to whoever reads it. */
export interface Explainer {
  explain(error: unknown): unknown;
}

/** Reads `body` and converts it. Errors of the body go through `context` first. */
export function readBody<T>(body: ReplyBody, convert: Convert<T>, context: Explainer): Promise<T> {
  const reader = new BodyReader();
  body.attach(reader);
  if (reader.waiter === null && reader.over) {
    try {
      if (reader.failed) return Promise.reject(context.explain(reader.error));
      return Promise.resolve(convert(reader.chunks, reader.size));
    } catch (error) {
      return Promise.reject(error);
    }
  }
  return new Promise((resolve, reject) => {
    reader.waiter = (): void => {
      try {
        if (reader.failed) reject(context.explain(reader.error));
        else resolve(convert(reader.chunks, reader.size));
      } catch (error) {
        reject(error);
      }
    };
  });
}

const none: Uint8Array[] = [];

class BodyReader implements BodySink {
  chunks: Uint8Array[] = none;
  size = 0;
  over = false;
  failed = false;
  error: unknown = undefined;
  waiter: (() => void) | null = null;

  onData(chunk: Uint8Array): void {
    // A list of one, as most are, is a third of one that has begun to grow.
    if (this.chunks === none) this.chunks = [chunk];
    else this.chunks.push(chunk);
    this.size += chunk.length;
  }
  onEnd(): void {
    this.over = true;
    this.waiter?.();
  }
  onError(error: unknown): void {
    this.over = true;
    this.failed = true;
    this.error = error;
    this.waiter?.();
  }
}

/** All bytes, in memory of their own: chunks are views of what the socket read. */
export function toBytes(chunks: readonly Uint8Array[], size: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(size);
  let offset = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, offset);
    offset += chunk.length;
  }
  return bytes;
}

/** UTF-8 with what is not UTF-8 replaced, and without a byte order mark, as fetch decodes it. */
export function toText(chunks: readonly Uint8Array[], size: number): string {
  if (size === 0) return '';
  const bytes = chunks.length === 1 ? (chunks[0] as Uint8Array) : toBytes(chunks, size);
  const start = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? 3 : 0;
  const buffer = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  return buffer.toString('utf8', start);
}

/** @throws SyntaxError */
export function toJson(chunks: readonly Uint8Array[], size: number): unknown {
  return JSON.parse(toText(chunks, size));
}
