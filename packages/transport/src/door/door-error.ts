/**
 * @module Our errors as what a caller of undici knows: the very object that undici or the system made, with ours attached.
 * `error.code === 'ECONNREFUSED'` is how such callers tell what happened. Refusals of our own have no counterpart there,
 * and go out as they are.
 */
import { CanceledError, FairleadError, TimeoutError } from '@fairlead/core';
import { explain } from './explanation.js';
import { parts } from './parts.js';

/**
 * What the handler of a dispatch that failed with `error` is told.
 * @param answered whether it has been given a head before
 */
export function doorError(error: unknown, answered: boolean): Error {
  // Whatever else somebody threw, undici hands on as it is.
  if (!(error instanceof FairleadError)) return error as Error;
  return explain(counterpart(error, answered), error);
}

function counterpart(error: FairleadError, answered: boolean): Error {
  const { errors } = parts;
  if (error.cause instanceof Error && !(error.cause instanceof FairleadError)) return error.cause;
  const Counterpart =
    error instanceof TimeoutError
      ? answered
        ? errors.BodyTimeoutError
        : errors.HeadersTimeoutError
      : error instanceof CanceledError
        ? errors.RequestAbortedError
        : null;
  return Counterpart === null ? error : Object.assign(new Counterpart(error.message), { cause: error });
}
