/**
 * @module The guard as a hono 4 middleware, known by its shape only: in front of Node's requests where @hono/node-server
 * has put them into the context, else in front of WHATWG ones.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { markGuarded } from '../exchange.js';
import type { Serving } from '../serving.js';
import { FetchTraffic } from './fetch-traffic.js';

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

/** What @hono/node-server has in its environment. */
interface NodeBindings {
  readonly incoming?: IncomingMessage;
  readonly outgoing?: ServerResponse;
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
        .serve(request, address(context), async () => {
          await next();
          return context.res;
        })
        .then((response) => {
          // Twice, since hono takes headers over from a response that is replaced.
          context.res = undefined as never;
          context.res = response;
        });
    }
    const passage = new Passage(request, incoming, next);
    guard.serve(incoming, outgoing, (error) => passage.enter(error));
    return passage.result ?? passage.wait(outgoing);
  };
}

/** One request on its way through the guard. Nearly all get through at once, and need no promise beside that of `next`. */
class Passage {
  result: Promise<Response | undefined> | null = null;
  #settle: ((result: Promise<undefined> | Response) => void) | null = null;

  constructor(
    readonly request: Request,
    readonly incoming: IncomingMessage,
    readonly next: () => Promise<void>,
  ) {}

  enter(error: unknown): void {
    const result = error === undefined ? this.#goOn() : Promise.reject(error);
    this.result = result;
    this.#settle?.(result);
  }

  #goOn(): Promise<undefined> {
    markGuarded(this.request, this.incoming);
    return this.next() as Promise<undefined>;
  }

  /** Until the request is let in. Whoever answers in place of the handler does so without calling `next`. */
  wait(outgoing: ServerResponse): Promise<Response | undefined> {
    return new Promise((resolve) => {
      this.#settle = resolve;
      outgoing.once('close', () => {
        if (this.result === null) resolve(alreadySent());
      });
    });
  }
}

/** What @hono/node-server takes for an answer that is no business of its own. */
function alreadySent(): Response {
  const response = new Response(null, { headers: { 'x-hono-already-sent': 'true' } });
  // It has replaced the global class by one that it writes out unseen, until something is asked of it that only the real one has.
  void response.body;
  return response;
}
