/** @module The guard in front of a node:http listener. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Serving } from '../serving.js';

/** What `http.createServer` takes; it may be async. */
export type NodeListener = (request: IncomingMessage, response: ServerResponse) => unknown;

/**
 * Wraps `listener`. If it throws, or its promise is rejected, the client gets a bare 500 (or sees the connection break, if
 * the answer has begun) and the error goes to the guard's `onError`, rather than the process going down.
 */
export function guardNode(guard: Serving, listener: NodeListener): NodeListener {
  return function guarded(request, response): void {
    guard.serve(request, response, (error) =>
      error === undefined ? listener(request, response) : guard.fail(request, response, error),
    );
  };
}
