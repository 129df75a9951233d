/** @module Bodies of requests that are longer than they may be, although nobody said so in advance. */
import type { IncomingMessage, ServerResponse } from 'node:http';

/** What the client of such a request is told. */
export const bodyTooLong: string = JSON.stringify({ title: 'Body too long', status: 413 });

/** A request's body is too long. Express and fastify answer by its `statusCode`, hono by its `getResponse`: 413. */
export class BodyTooLongError extends Error {
  readonly status: number = 413;
  readonly statusCode: number = 413;

  constructor(readonly maxBytes: number) {
    super(`the body is longer than ${maxBytes} bytes`);
    this.name = 'BodyTooLongError';
  }

  getResponse(): Response {
    const headers = { 'content-type': 'application/problem+json' };
    return new Response(bodyTooLong, { status: 413, headers });
  }
}

/**
 * Counts the bytes of a body that has not told its length. When there are too many, whoever reads the body gets a
 * {@link BodyTooLongError}, and the rest is dropped: the connection ends with the answer.
 */
export function limitBody(request: IncomingMessage, response: ServerResponse, maxBytes: number): void {
  const push = request.push;
  let left = maxBytes;
  request.push = function counted(chunk: Buffer | null, encoding?: BufferEncoding): boolean {
    if (left < 0) return true;
    left -= chunk?.length ?? 0;
    if (left >= 0) return push.call(request, chunk, encoding);
    // Of its own, since Node's would cut the connection, and with it the answer.
    request._destroy = (error, done) => done(request.listenerCount('error') > 0 ? error : null);
    if (request.httpVersionMajor < 2) {
      if (!response.headersSent) response.setHeader('Connection', 'close');
      // Nothing more is to come of it: express answers no request before it takes that for complete.
      request.complete = true;
    }
    request.destroy(new BodyTooLongError(maxBytes));
    return true;
  };
}
