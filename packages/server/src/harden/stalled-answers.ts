/**
 * @module Connections whose client does not read the answer. Nothing that Node has ends them as long as a handler may still
 * be at work, and each holds the memory of what it was sent.
 */
import type { Server, Socket } from 'node:net';
import { type Clock, later, type Timer } from '@fairlead/core';

type WrittenSocket = Socket & { readonly _handle?: { readonly writeQueueSize?: number } | null };

/** How often connections are looked at while the stall timeout passes. */
const LOOKS = 4;

class StalledAnswers {
  readonly #clock: Clock;
  readonly #everyMs: number;
  /** How far the answer had got, and how many looks ago that was. */
  readonly #sockets = new Map<WrittenSocket, { mark: number; looks: number }>();
  #timer: Timer | null = null;

  constructor(clock: Clock, timeoutMs: number) {
    this.#clock = clock;
    this.#everyMs = timeoutMs / LOOKS;
  }

  add(socket: WrittenSocket): void {
    this.#sockets.set(socket, { mark: 0, looks: 0 });
    socket.once('close', () => this.#sockets.delete(socket));
    if (this.#timer === null) this.#again();
  }

  #again(): void {
    // It need not keep the process alive, and while there are no connections there is no timer.
    this.#timer = later(this.#clock, this.#everyMs, () => this.#look(), true);
  }

  #look(): void {
    this.#timer = null;
    for (const [socket, seen] of this.#sockets) {
      const mark = socket.writableLength === 0 ? 0 : written(socket);
      seen.looks = mark !== 0 && mark === seen.mark ? seen.looks + 1 : 0;
      seen.mark = mark;
      if (seen.looks >= LOOKS) socket.destroy();
    }
    if (this.#sockets.size > 0) this.#again();
  }
}

/** A number that grows as long as bytes leave; a large one may take a while to leave the queue of the system. */
function written(socket: WrittenSocket): number {
  return 1 + socket.bytesWritten - socket.writableLength - (socket._handle?.writeQueueSize ?? 0);
}

/** Closes the connections of `server` on which an answer has made no progress for `timeoutMs`. */
export function cutStalledAnswers(server: Server, clock: Clock, timeoutMs: number): void {
  const stalled = new StalledAnswers(clock, timeoutMs);
  server.on('connection', (socket) => stalled.add(socket));
  // Over TLS these are what is written to.
  server.on('secureConnection', (socket: Socket) => stalled.add(socket));
}
