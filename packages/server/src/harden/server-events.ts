/** @module Sees the events of a server before its listeners do, which a listener cannot: that others listen is not its choice. */
import type { Server } from 'node:net';

/** Sees an event with its first two arguments; true keeps it from the listeners. */
export type Interceptor = (event: string | symbol, first: unknown, second: unknown) => boolean;

/**
 * Shows every event of `server` to `interceptor` first. A listener would do for most of them, but not for `upgrade`, whose
 * mere listener changes what Node does, nor for keeping an event to oneself.
 * @returns takes that back, unless somebody else has done the same since
 */
export function interceptEvents(server: Server, interceptor: Interceptor): () => void {
  const emit = server.emit as (event: string | symbol, ...args: unknown[]) => boolean;
  let on = true;
  const intercepted = function (this: Server, event: string | symbol, ...args: unknown[]): boolean {
    if (on && interceptor(event, args[0], args[1])) return true;
    return emit.call(this, event, ...args);
  };
  server.emit = intercepted as Server['emit'];
  return () => {
    on = false;
    if (server.emit === intercepted) server.emit = emit as Server['emit'];
  };
}
