/** @module Our errors as what fetch promises: a `TypeError`, or what the caller's signal says. Ours is the cause. */
import { errorCode } from '@fairlead/core';

/**
 * What a fetch that failed with `error` rejects with.
 * @param what `fetch failed` before the head of the reply, `terminated` after it: the words of Node's own fetch
 * @param signal the caller's; if it has aborted, its reason is the answer
 * @param canceled whether somebody else canceled it: the request that it was made for, or a client that closes. Else a
 *   `CanceledError` means that something broke off on our own side, such as the caller's body, and nobody aborted
 */
export function fetchError(
  error: unknown,
  what: 'fetch failed' | 'terminated',
  signal: AbortSignal | null,
  canceled: boolean,
): unknown {
  if (canceled && errorCode(error) === 'ERR_CANCELED') {
    if (signal?.aborted === true) return signal.reason;
    return new DOMException('This operation was aborted', { name: 'AbortError', cause: error } as never);
  }
  // Not one of ours, but the reason that somebody canceled with.
  if (!(error instanceof Error) || error instanceof DOMException) return error;
  return new TypeError(what, { cause: error });
}
