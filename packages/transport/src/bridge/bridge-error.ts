/**
 * @module Our errors as what a client of node:http knows: the very object that the system made, with ours attached.
 * `error.code === 'ECONNREFUSED'` is how such clients tell what happened. What undici says by codes of its own is said as
 * node:http would. Refusals and timeouts of our own have no counterpart there, and go out as they are.
 */
import { CanceledError, TransportError } from '@fairlead/core';
import { explain } from '../door/explanation.js';
import { systemCode } from '../wire-error.js';

/** What a request that failed with `error`, before the head of a reply, emits. */
export function bridgeError(error: unknown): Error {
  if (!(error instanceof Error)) return new CanceledError({ cause: error });
  if (!(error instanceof TransportError) || !(error.cause instanceof Error)) return error;
  return explain(counterpart(error.cause), error);
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
