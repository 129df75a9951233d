/**
 * @module Our errors as what a client of node:http knows: the very object that the system made, with ours attached.
 * `error.code === 'ECONNREFUSED'` is how such clients tell what happened. What undici says by codes of its own is said as
 * node:http would. Refusals and timeouts of our own have no counterpart there, and go out as they are.
 */
import { CanceledError, errorCode } from '@fairlead/core';
import { systemCode } from '../wire-error.js';

/** Under which the door of undici attaches ours as well. */
const explanation: unique symbol = Symbol.for('fairlead.explanation') as never;

/** What a request that failed with `error`, before the head of a reply, emits. */
export function bridgeError(error: unknown): Error {
  if (!(error instanceof Error)) return new CanceledError({ cause: error });
  if (errorCode(error) !== 'ERR_TRANSPORT' || !(error.cause instanceof Error)) return error;
  const told = counterpart(error.cause);
  if (Object.isExtensible(told)) {
    // One broken connection may fail many calls with one error: the last of them has its explanation there.
    Object.defineProperty(told, explanation, { value: error, configurable: true, writable: true });
  }
  return told;
}

function counterpart(cause: Error): Error {
  switch (systemCode(cause)) {
    case 'UND_ERR_SOCKET':
      return Object.assign(new Error('socket hang up', { cause }), { code: 'ECONNRESET' });
    case 'UND_ERR_CONNECT_TIMEOUT':
      return Object.assign(new Error('connect ETIMEDOUT', { cause }), { code: 'ETIMEDOUT', syscall: 'connect' });
    default:
      return cause;
  }
}
