/** @module The guard as an express 5 (or connect) middleware, known by its shape only. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Serving } from '../serving.js';

/** A middleware as express and connect call it. */
export type ExpressMiddleware = (
  request: IncomingMessage,
  response: ServerResponse,
  next: (error?: unknown) => void,
) => void;

/**
 * Makes the middleware. Errors of handlers, async ones included, take express's own way; errors of layers join them there
 * through `next(error)`.
 */
export function guardExpress(guard: Serving): ExpressMiddleware {
  return function fairlead(request, response, next): void {
    guard.serve(request, response, next);
  };
}
