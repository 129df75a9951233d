/** @module A connection made ahead of need: a socket, or soon one, that undici has not asked for yet. */
import type { Socket } from 'node:net';
import { type Clock, Timer } from '@fairlead/core';
import type { buildConnector } from '../undici.js';

/** What undici wants to be told of a socket. */
export type Callback = Parameters<ReturnType<typeof buildConnector>>[1];

/** One connection that waits. It is its own timer: nobody who accepted it waits forever for a first request. */
export class Spare extends Timer {
  readonly #clock: Clock;
  readonly #waitMs: number;
  readonly #gone: (self: Spare) => void;
  #socket: Socket | null = null;
  #waiting: Callback | null = null;

  /** @param gone told when it is no good any more without having been taken */
  constructor(clock: Clock, waitMs: number, gone: (self: Spare) => void) {
    super();
    this.background = true;
    this.#clock = clock;
    this.#waitMs = waitMs;
    this.#gone = gone;
  }

  /** The connection is there, or will not be. */
  readonly made: Callback = (...result) => {
    const socket = result[1] as Socket | null | undefined;
    if (this.#waiting !== null) this.#waiting(...result);
    else if (socket) {
      this.#socket = socket;
      // Waiting here keeps nobody's process alive.
      socket.unref().once('close', this.#lost);
      this.#clock.arm(this, this.#clock.now() + this.#waitMs);
    } else this.#lost();
  };

  /**
   * Hands the connection over, now or when it is there.
   * @param otherwise called if the connection breaks on the way
   */
  take(callback: Callback, otherwise: () => void): void {
    const socket = this.#socket;
    if (socket === null) {
      this.#waiting = callback;
      return;
    }
    this.#clock.disarm(this);
    socket.off('close', this.#lost).ref();
    // undici expects no answer while it still asks.
    queueMicrotask(() => (socket.destroyed ? otherwise() : callback(null, socket as never)));
  }

  /** It has waited long enough, or nobody will come. */
  fire(): void {
    this.#lost();
    this.#socket?.destroy();
  }

  readonly #lost = (): void => {
    this.#clock.disarm(this);
    this.#gone(this);
  };
}
