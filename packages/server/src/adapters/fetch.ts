/**
 * @module The guard around a fetch handler: `(request) => response`, as hono's `app.fetch` is, and what Deno, Bun and srvx
 * serve. In front of Node's requests where @hono/node-server has put them into the environment, else in front of WHATWG ones.
 */
import type { Serving } from '../serving.js';
import { FetchTraffic } from './fetch-traffic.js';
import { type NodeBindings, pass } from './passage.js';

/** Answers requests of WHATWG. What comes beside them is the runtime's own, and is handed on as it is. */
// biome-ignore lint/suspicious/noExplicitAny: whatever the runtime gives
export type FetchHandler = (request: Request, env?: any, context?: any) => Response | Promise<Response>;

/** Options of {@link guardFetch}. */
export interface FetchOptions {
  /**
   * The address of the other end of the connection, where there are no Node requests to ask: given the request, and what the
   * runtime gives beside it. Default: nobody's, so that all callers are told apart as one, `local`.
   */
  readonly address?: ((request: Request, env: never) => string | undefined) | undefined;
}

/**
 * Wraps `handler`. Its errors reject what it returns, and are the server's to answer; those of layers go to the guard's
 * `onError`, and the client gets a bare 500.
 *
 * A response that `handler` gives without a promise is given without one here, too: @hono/node-server has a shorter way for
 * these.
 */
export function guardFetch(guard: Serving, handler: FetchHandler, options: FetchOptions = {}): FetchHandler {
  const traffic = new FetchTraffic(guard);
  const address = (options.address ?? (() => undefined)) as (request: Request, env: unknown) => string | undefined;

  return function guarded(request, env, context) {
    const { incoming, outgoing } = (env ?? {}) as NodeBindings;
    if (incoming === undefined || outgoing === undefined) {
      return traffic.serve(request, address(request, env), true, async () => handler(request, env, context));
    }
    return pass<Response>(guard, request, incoming, outgoing, true, () => handler(request, env, context));
  };
}
