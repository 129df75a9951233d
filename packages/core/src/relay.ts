/**
 * @module Layers and handlers that do without promises. A promise to wait for costs an object or two, two functions, and a
 * turn in the queue of microtasks; a receiver is one object, and is told at once. A layer of this form can be used wherever
 * a middleware can.
 */
import type { Call } from './call.js';
import { type Dispatch, type Handler, type Middleware, named, type Receiver, type Relay } from './middleware.js';
import { ends, openPromise } from './open-promise.js';
import type { Reply } from './reply.js';

/** Makes a layer, called `name`, out of what it does without a promise. */
export function relay(name: string, through: Relay): Middleware {
  const middleware = (call: Call, next: Handler): Promise<Reply> => {
    const promise = openPromise<Reply>();
    through(call, dispatchOf(next), { onReply: ends.resolve, onError: ends.reject });
    return promise;
  };
  return named(name, Object.assign(middleware, { relay: through }));
}

/** Makes a handler, called `name`, out of what it does without a promise. */
export function handlerOf(name: string, dispatch: Dispatch): Handler {
  const handler = (call: Call): Promise<Reply> => {
    const promise = openPromise<Reply>();
    dispatch(call, { onReply: ends.resolve, onError: ends.reject });
    return promise;
  };
  return named(name, Object.assign(handler, { dispatch }));
}

/** How to send calls to `handler` without a promise; if it has no such form, its promise is waited for. */
export function dispatchOf(handler: Handler): Dispatch {
  return handler.dispatch ?? ((call, receiver) => tellOf(receiver, handler, call));
}

/** Tells `receiver` what becomes of the promise of `handler`, in the async context of now. */
export function tellOf(receiver: Receiver, handler: Handler, call: Call): void {
  try {
    handler(call).then(
      (reply) => {
        try {
          receiver.onReply(reply);
        } catch (error) {
          // What came is no reply, and the first who looked at it found out.
          receiver.onError(error);
        }
      },
      (error: unknown) => receiver.onError(error),
    );
  } catch (error) {
    // A handler must not throw. One that does would keep everybody waiting.
    receiver.onError(error);
  }
}
