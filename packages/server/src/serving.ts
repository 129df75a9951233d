/** @module What adapters are made of: the engine as they see it. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Next } from './next.js';

/** Serves requests of any framework. */
export interface Serving {
  /**
   * Takes a request through the layers, then calls `next`. An error of a layer that no client should see is passed to
   * `next`, which has to answer it.
   */
  serve(request: IncomingMessage, response: ServerResponse, next: Next): void;
  /** Answers for a handler that has failed: 500 if it has not begun to answer; what it has begun is cut off. */
  fail(request: IncomingMessage, response: ServerResponse, error: unknown): void;
}
