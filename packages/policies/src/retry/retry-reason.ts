/** @module Whether a failed attempt may be made again. */
import {
  errorCode,
  type FairleadError,
  type RejectedError,
  type Reply,
  replyHeader,
  retryHeader,
  type TimeoutError,
} from '@fairlead/core';

/**
 * When an attempt may be repeated.
 * - `always`: the request provably was not processed
 * - `idempotent`: only if twice is the same as once
 * - `never`: it did not fail, or nothing would be better the next time
 */
export type Repeatable = 'always' | 'idempotent' | 'never';

/** Whether an attempt that ended in `error` may be repeated. */
export function repeatableError(error: unknown): Repeatable {
  const code = errorCode(error);
  switch (code) {
    // Not one of ours: a bug in somebody's layer, most likely. It would fail again, and it proves nothing.
    case undefined:
    case 'ERR_CONFIG':
    case 'ERR_CANCELED':
      return 'never';
    case 'ERR_TIMEOUT':
      return (error as TimeoutError).of === 'attempt' ? 'idempotent' : 'never';
    case 'ERR_REJECTED':
      // An endpoint that is not well is not the only one. Every other gate would say the same again.
      return (error as RejectedError).by === 'health' ? 'always' : 'never';
    case 'ERR_NO_ENDPOINT':
    case 'ERR_TRANSPORT':
      return (error as FairleadError).sent === 'no' ? 'always' : 'idempotent';
    default:
      // An error that somebody derived from ours: only a proof counts.
      return (error as FairleadError).sent === 'no' ? 'always' : 'never';
  }
}

/** Whether an attempt that was answered with `reply` may be repeated. */
export function repeatableReply(reply: Reply, statuses: ReadonlySet<number>): Repeatable {
  if (isNack(reply)) return 'always';
  if (statuses.has(reply.status)) return 'idempotent';
  // A quota: it pays to come again only if we are told when.
  return reply.status === 429 && reply.headers['retry-after'] !== undefined ? 'idempotent' : 'never';
}

/**
 * Whether one replica says of itself that it has not processed the request, and that another one may. Its `Retry-After` is
 * then about that replica only.
 */
export function isReplicaNack(reply: Reply): boolean {
  return reply.status === 503 && replyHeader(reply, 'x-fairlead-nack') === 'retryable';
}

/** The same, in the words of others; they may mean the whole service by it. */
function isNack(reply: Reply): boolean {
  if (reply.status !== 503) return false;
  const headers = reply.headers;
  return (
    isReplicaNack(reply) ||
    headers['finagle-http-nack'] !== undefined ||
    headers['x-envoy-overloaded'] !== undefined ||
    headers['x-envoy-local-overloaded'] !== undefined
  );
}

/**
 * Whether a reply says that everything has been tried behind it, or that nobody shall try again: in our words, in Finagle's,
 * or in those of gRPC (gRFC A6: a pushback that is negative or no number).
 */
export function forbidsRetry(reply: Reply): boolean {
  const { headers } = reply;
  if (headers[retryHeader] === 'no' || headers['finagle-http-nonretryable-nack'] !== undefined) return true;
  const pushback = headers['grpc-retry-pushback-ms'];
  return pushback !== undefined && !/^\d+$/.test(String(pushback));
}
