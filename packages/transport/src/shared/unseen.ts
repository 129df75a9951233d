/** @module Errors of requests that the other side has never looked at, whatever was written of them. */

const unseen: WeakSet<Error> = new WeakSet();

/** Notes that `error` is the end of such a request. */
export function markUnseen(error: Error): Error {
  unseen.add(error);
  return error;
}

/** Whether the request that ended with `error` is known not to have been looked at. */
export function isUnseen(error: Error): boolean {
  return unseen.has(error);
}
