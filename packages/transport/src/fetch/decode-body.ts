/**
 * @module Undoes `content-encoding`, as fetch does: always, whether or not it was asked for. Only a coded reply costs
 * anything; the others keep the body they have.
 */
import type { Transform } from 'node:stream';
import * as zlib from 'node:zlib';
import {
  type BodySink,
  CanceledError,
  type Reply,
  type ReplyBody,
  type ReplyHeaders,
  replyHeader,
} from '@fairlead/core';

type Coding = 'gzip' | 'deflate' | 'br' | 'zstd';

/** The body of `reply` without its codings; as it is if there are none, or one of them is unknown. */
export function decodedBody(reply: Reply): ReplyBody {
  if (reply.headers['content-encoding'] === undefined) return reply.body;
  const codings = parseCodings(replyHeader(reply, 'content-encoding') as string);
  // Applied in the order in which they are listed (RFC 9110, 8.4), so the last is the first to be undone.
  return codings.reduceRight<ReplyBody>((body, coding) => new DecodedBody(body, coding), reply.body);
}

/** The codings of a reply; none if there is one that cannot be undone, or more than anybody has a use for. */
function parseCodings(value: string): Coding[] {
  const codings: Coding[] = [];
  for (const part of value.split(',')) {
    const name = part.trim().toLowerCase();
    if (name === '' || name === 'identity') continue;
    if (name === 'gzip' || name === 'x-gzip') codings.push('gzip');
    else if (name === 'deflate' || name === 'br') codings.push(name);
    else if (name === 'zstd' && 'createZstdDecompress' in zlib) codings.push(name);
    else return [];
  }
  return codings.length > 5 ? [] : codings;
}

/** Tolerant of an end that was cut short, as browsers and fetch are. */
const tolerant = { flush: zlib.constants.Z_SYNC_FLUSH, finishFlush: zlib.constants.Z_SYNC_FLUSH };
const tolerantBr = {
  flush: zlib.constants.BROTLI_OPERATION_FLUSH,
  finishFlush: zlib.constants.BROTLI_OPERATION_FLUSH,
};

function decoder(coding: Coding, first: Uint8Array): Transform {
  switch (coding) {
    case 'gzip':
      return zlib.createGunzip(tolerant);
    case 'br':
      return zlib.createBrotliDecompress(tolerantBr);
    case 'zstd':
      return zlib.createZstdDecompress();
    default:
      // `deflate` means the zlib format, but many servers send it bare. A zlib stream begins with the method, 8.
      return ((first[0] as number) & 0x0f) === 0x08 ? zlib.createInflate(tolerant) : zlib.createInflateRaw(tolerant);
  }
}

class DecodedBody implements ReplyBody, BodySink {
  readonly #source: ReplyBody;
  readonly #coding: Coding;
  #sink: BodySink | null = null;
  #decoder: Transform | null = null;
  #trailers: ReplyHeaders = {};
  #paused = false;
  #over = false;

  constructor(source: ReplyBody, coding: Coding) {
    this.#source = source;
    this.#coding = coding;
  }

  attach(sink: BodySink): void {
    this.#sink = sink;
    this.#source.attach(this);
  }

  pause(): void {
    this.#paused = true;
    this.#decoder?.pause();
  }

  resume(): void {
    this.#paused = false;
    if (this.#decoder !== null) this.#decoder.resume();
    else this.#source.resume();
  }

  cancel(reason?: unknown): void {
    const why = reason ?? new CanceledError({ message: 'the body was canceled' });
    this.#source.cancel(why);
    this.#fail(why);
  }

  onData(chunk: Uint8Array): void {
    if (this.#over) return;
    this.#decoder ??= this.#start(chunk);
    if (!this.#decoder.write(chunk)) this.#source.pause();
  }

  onEnd(trailers: ReplyHeaders): void {
    this.#trailers = trailers;
    // A body without a byte is an empty body in every coding.
    if (this.#decoder === null) this.#finish();
    else this.#decoder.end();
  }

  onError(error: unknown): void {
    this.#fail(error);
  }

  #start(first: Uint8Array): Transform {
    const stream = decoder(this.#coding, first);
    stream.on('data', (chunk: Uint8Array) => {
      if (!this.#over && chunk.length > 0) this.#sink?.onData(chunk);
    });
    stream.on('drain', () => this.#source.resume());
    stream.on('end', () => this.#finish());
    stream.on('error', (error) => {
      this.#source.cancel(error);
      this.#fail(error);
    });
    if (this.#paused) stream.pause();
    return stream;
  }

  #finish(): void {
    if (this.#over) return;
    this.#over = true;
    this.#sink?.onEnd(this.#trailers);
  }

  #fail(error: unknown): void {
    if (this.#over) return;
    this.#over = true;
    this.#decoder?.destroy();
    this.#sink?.onError(error);
  }
}
