/**
 * @module The guard as a hono 4 middleware, known by its shape only: in front of Node's requests where @hono/node-server
 * has put them into the context, else in front of WHATWG ones.
 */
import type { Serving } from '../serving.js';
import { FetchTraffic } from './fetch-traffic.js';
import { type NodeBindings, pass } from './passage.js';

/** What the middleware asks of a hono context. */
export interface HonoContext {
  readonly req: { readonly raw: Request };
  // biome-ignore lint/suspicious/noExplicitAny: hono's own type of it, which each application narrows
  readonly env: any;
  res: Response;
}

/** A middleware as `app.use` takes it. */
// biome-ignore lint/suspicious/noConfusingVoidType: hono's own type
export type HonoMiddleware = (context: HonoContext, next: () => Promise<void>) => Promise<Response | void>;

/** Options of {@link guardHono}. */
export interface HonoOptions {
  /**
   * The address of the other end of the connection, where there are no Node requests to ask: `c => getConnInfo(c).remote.address`
   * of the runtime's own adapter. Default: nobody's, so that all callers are told apart as one, `local`.
   */
  readonly address?: ((context: never) => string | undefined) | undefined;
}

/**
 * Makes the middleware. Errors of handlers take hono's own way, `app.onError`; errors of layers join them there.
 */
export function guardHono(guard: Serving, options: HonoOptions = {}): HonoMiddleware {
  const traffic = new FetchTraffic(guard);
  const address = (options.address ?? (() => undefined)) as (context: HonoContext) => string | undefined;

  return function fairlead(context, next) {
    const { incoming, outgoing } = (context.env ?? {}) as NodeBindings;
    const request = context.req.raw;
    if (incoming === undefined || outgoing === undefined) {
      return traffic
        .serve(request, address(context), false, async () => {
          await next();
          return context.res;
        })
        .then((response) => {
          // Twice, since hono takes headers over from a response that is replaced.
          context.res = undefined as never;
          context.res = response;
        });
    }
    return pass(guard, request, incoming, outgoing, false, next) as Promise<Response | undefined>;
  };
}
