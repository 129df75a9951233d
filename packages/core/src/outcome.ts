/** @module How a call went, as told to whoever let it in. */

import { errorCode, type TimeoutError, type TransportError } from './errors.js';
import type { Reply } from './reply.js';

/** How a call went: a reply, or an error if there is none. */
export class Outcome {
  constructor(
    readonly reply: Reply | null,
    readonly error: unknown,
    /** Time from the start of the call or attempt until now, in ms. */
    readonly ms: number,
  ) {}
}

/**
 * What an outcome says about the other side.
 * - `success`: it did its work, whatever it answered
 * - `failure`: it is broken: 5xx, connection errors, no answer in time
 * - `overload`: it works, and asked to be left alone: 429, or 503 with `Retry-After`; or it turned the request away before
 *   it looked at it, as HTTP/2 can say: by refusing the stream, or with a GOAWAY (RFC 9113, 8.7)
 * - `ignored`: it says nothing: canceled by the caller, refused on our own side, an error of somebody's own layer
 */
export type Verdict = 'success' | 'failure' | 'overload' | 'ignored';

/** The default {@link Verdict}. */
export function judge(outcome: Outcome): Verdict {
  const reply = outcome.reply;
  if (reply !== null && outcome.error == null) {
    const status = reply.status;
    if (status < 429) return 'success';
    if (status === 429) return 'overload';
    if (status < 500) return 'success';
    return status === 503 && reply.headers['retry-after'] !== undefined ? 'overload' : 'failure';
  }
  const { error } = outcome;
  switch (errorCode(error)) {
    case 'ERR_CANCELED':
    case 'ERR_REJECTED':
    case 'ERR_NO_ENDPOINT':
    case 'ERR_CONFIG':
      return 'ignored';
    case 'ERR_TIMEOUT': {
      const { of, attempts } = error as TimeoutError;
      // A call may have begun with too little time. One in which attempts had failed already had enough of it.
      return of === 'attempt' || attempts.length > 0 ? 'failure' : 'ignored';
    }
    case 'ERR_TRANSPORT': {
      const { sent, phase } = error as TransportError;
      // There was a connection, and still it is known that nothing was done: only the other side can have said so.
      return sent === 'no' && (phase === 'send' || phase === 'wait') ? 'overload' : 'failure';
    }
    case undefined:
      // Not ours. What the system says is of the connection; what anybody else throws is of a layer on this side.
      return typeof (error as { code?: unknown } | null)?.code === 'string' ? 'failure' : 'ignored';
    default:
      return 'failure';
  }
}
