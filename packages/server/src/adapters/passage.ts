/** @module A request of WHATWG that @hono/node-server has made of one of Node's, on its way through the guard. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { markGuarded } from '../exchange.js';
import type { Serving } from '../serving.js';

/** What @hono/node-server has in its environment. */
export interface NodeBindings {
  readonly incoming?: IncomingMessage;
  readonly outgoing?: ServerResponse;
}

/**
 * Asks the guard, and then `proceed`, unless the guard has answered itself.
 * @param answers whether the guard answers for layers that fail; else what is returned is rejected with their errors
 * @returns what `proceed` gives, as it gives it; a response that says so if the guard has answered
 */
export function pass<R>(
  guard: Serving,
  request: Request,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  answers: boolean,
  proceed: () => R | Promise<R>,
): R | Response | Promise<R | Response> {
  const passage = new Passage(request, incoming, proceed);
  guard.serve(incoming, outgoing, (error) => {
    if (answers && error !== undefined) guard.fail(incoming, outgoing, error);
    else passage.enter(error);
  });
  return passage.entered ? (passage.result as R | Promise<R>) : passage.wait(outgoing);
}

/** Nearly all requests get through at once, and need no promise beside that of `proceed`, if there is one. */
class Passage<R> {
  entered = false;
  result: R | Promise<R> | null = null;
  #settle: ((result: R | Promise<R> | Response) => void) | null = null;

  constructor(
    readonly request: Request,
    readonly incoming: IncomingMessage,
    readonly proceed: () => R | Promise<R>,
  ) {}

  /** Returns nothing: what becomes of the handler's promise is the framework's affair, and not the guard's. */
  enter(error: unknown): void {
    this.entered = true;
    this.result = error === undefined ? this.#goOn() : Promise.reject(error);
    this.#settle?.(this.result);
  }

  #goOn(): R | Promise<R> {
    markGuarded(this.request, this.incoming);
    try {
      return this.proceed();
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** Until the request is let in. Whoever answers in place of the handler does so without calling `proceed`. */
  wait(outgoing: ServerResponse): Promise<R | Response> {
    return new Promise((resolve) => {
      this.#settle = resolve;
      outgoing.once('close', () => {
        if (!this.entered) resolve(alreadySent());
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
