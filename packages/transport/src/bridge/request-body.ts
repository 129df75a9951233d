/** @module The body of a request to our server within the process: whole if that is possible at once, else as it comes. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { OnceBody, RequestBody } from '@fairlead/core';

/** A body of at most so many bytes is read before the call is made, so that it can be sent again. */
const wholeBytes = 65_536;

/** Whether `request` has a body. */
export function hasBody({ headers }: IncomingMessage): boolean {
  const length = headers['content-length'];
  return headers['transfer-encoding'] !== undefined || (length !== undefined && Number(length) > 0);
}

/** Whether `request` holds its body back until it is told to continue. */
function waits({ headers }: IncomingMessage): boolean {
  return headers.expect?.toLowerCase() === '100-continue';
}

/**
 * The body of `request`. A body without a length is small enough if it is all here by now, as it is if the client wrote it
 * in one go; more is not waited for, since who streams may want an answer to the first half. Never settles if the client
 * goes away before.
 *
 * A client that waits to be told to continue is told so when the body is wanted: at once if it is small, else when a
 * connection to an endpoint is there to take it.
 */
export async function requestBody(request: IncomingMessage, response: ServerResponse): Promise<RequestBody> {
  const given = request.headers['content-length'];
  const length = given === undefined ? undefined : Number(given);
  // What the client has written so far is handed over within this tick.
  if (length === undefined) await new Promise<void>((resolve) => process.nextTick(resolve));
  const small = length === undefined ? request.complete && request.readableLength <= wholeBytes : length <= wholeBytes;
  const proceed = waits(request) ? response : null;
  if (!small) return new Pieces(request, length, proceed);
  proceed?.writeContinue();
  return wholeBody(request);
}

function wholeBody(request: IncomingMessage): Promise<Uint8Array> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => resolve(chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks)));
  });
}

/** A body as it comes. When nobody wants more the rest is read away, since the answer comes on the same connection. */
class Pieces implements OnceBody, AsyncIterable<Uint8Array>, AsyncIterator<Uint8Array, undefined> {
  readonly once: AsyncIterable<Uint8Array> = this;
  readonly length: number | undefined;
  started = false;
  readonly #request: IncomingMessage;
  #proceed: ServerResponse | null;
  #pieces: AsyncIterator<Uint8Array> | null = null;

  constructor(request: IncomingMessage, length: number | undefined, proceed: ServerResponse | null) {
    this.#request = request;
    this.length = length;
    this.#proceed = proceed;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<Uint8Array, undefined>> {
    if (this.#pieces === null) {
      this.#pieces = this.#request.iterator({ destroyOnReturn: false });
      this.#proceed?.writeContinue();
      this.#proceed = null;
    }
    return this.#pieces.next();
  }

  return(): Promise<IteratorResult<Uint8Array, undefined>> {
    void this.#readAway();
    // Not waited for: it may be in the middle of waiting for a piece that never comes.
    return Promise.resolve({ done: true, value: undefined });
  }

  async #readAway(): Promise<void> {
    try {
      // A stream that is still being iterated does not heed `resume`.
      await this.#pieces?.return?.();
    } catch {}
    this.#request.resume();
  }
}
