/** @module A request on its way to one destination, and what carries it. */

import type { Dispatcher } from '../undici.js';
import type { PoolClient } from './pool-client.js';
import type { Waiting } from './waiting-room.js';

/** A request that is told what becomes of it, and that knows by itself which connection it is on. */
export interface Passenger extends Waiting, Dispatcher.DispatchHandler {
  /** What carries it, where a connection carries one at a time; null while it waits, and once it is carried no more. */
  carrier: PoolClient | null;
  /** Whether nobody waits for its answer any more. */
  readonly isOver: boolean;
  /** Whether it wants to be told of 1xx answers. */
  readonly hearsInterim: boolean;
  /** Whether it is over by now, though perhaps nobody could say so: timers do not fire while the event loop is blocked. */
  late(): boolean;
  /** What to send, made when it is sent. */
  request(): Dispatcher.DispatchOptions;
}

/** The connections to one destination. */
export interface Connections {
  /** Sends now or as soon as a connection is free. */
  dispatch(passenger: Passenger): void;
  /** The request is over, or its connection is not one of these any more; `clean` if another may be sent at once. */
  leave(passenger: Passenger, clean: boolean): void;
  /** Resolves when everything that was dispatched is over, and all connections are closed. */
  close(): Promise<void>;
  /** Breaks everything off. */
  destroy(): Promise<void>;
}
