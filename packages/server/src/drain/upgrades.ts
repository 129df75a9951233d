/** @module Connections that have left HTTP for another protocol, WebSocket above all, which has its own way of saying goodbye. */
import type { IncomingMessage } from 'node:http';
import type { Server } from 'node:net';
import type { Duplex } from 'node:stream';
import { interceptEvents } from '../harden/server-events.js';

/** Tells the other side of an upgraded connection that this process stops. Must not throw. */
export type Farewell = (request: IncomingMessage, socket: Duplex) => void;

/** A close frame with status 1001, going away (RFC 6455, 5.5.1 and 7.4.1); frames of a server are not masked. */
const goingAway: Uint8Array = Uint8Array.of(0x88, 0x02, 0x03, 0xe9);

/**
 * Sends WebSockets a close frame with status 1001, whatever library serves them: a control frame may stand between any two
 * others, and libraries write frames whole. Other protocols are left alone.
 */
export const farewellToWebSockets: Farewell = (request, socket) => {
  if (request.headers.upgrade?.toLowerCase() === 'websocket' && socket.writable) socket.write(goingAway);
};

/** Keeps track of upgraded connections. */
export class Upgrades {
  readonly #open = new Map<Duplex, IncomingMessage>();
  readonly #unwatch: (() => void)[] = [];

  watch(server: Server): void {
    const see = (event: string | symbol, request: unknown, socket: unknown): false => {
      if (event === 'upgrade') this.#add(request as IncomingMessage, socket as Duplex);
      return false;
    };
    this.#unwatch.push(interceptEvents(server, see));
  }

  #add(request: IncomingMessage, socket: Duplex): void {
    this.#open.set(socket, request);
    socket.once('close', () => this.#open.delete(socket));
  }

  /** Takes leave of all that are open. */
  farewell(say: Farewell): void {
    for (const [socket, request] of this.#open) say(request, socket);
  }

  /** Lets go of everything. */
  stop(): void {
    for (const unwatch of this.#unwatch.splice(0)) unwatch();
    this.#open.clear();
  }
}
