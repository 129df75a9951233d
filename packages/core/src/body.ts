/** @module The body of a request, and whether it can be sent twice. */

/** A body that can be read any number of times, each time from its beginning. */
export interface OpenBody {
  /** Starts a new reading. */
  open(): AsyncIterable<Uint8Array>;
  /** Length in bytes, if known. */
  readonly length?: number | undefined;
}

/** A body that can be read once. */
export interface OnceBody {
  readonly once: AsyncIterable<Uint8Array>;
  /** Length in bytes, if known. */
  readonly length?: number | undefined;
  /** Set by whoever takes the first byte; until then the body can still be sent elsewhere. */
  started?: boolean;
}

/** What a call carries. */
export type RequestBody = null | string | Uint8Array | OpenBody | OnceBody;

/** Whether `body` can be read only once. */
export function isOnce(body: RequestBody): body is OnceBody {
  return typeof body === 'object' && body !== null && 'once' in body;
}

/** Whether `body` can be sent (again): everything but a one-shot body that somebody has begun to read. */
export function canSend(body: RequestBody): boolean {
  return !isOnce(body) || body.started !== true;
}
