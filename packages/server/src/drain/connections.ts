/**
 * @module The connections of a process's servers. Node can close idle ones, but before version 26 it overlooks those on
 * which nothing was ever sent, and it takes an answer that is still on its way to a slow reader for idle and cuts it off.
 */
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { Http2Session } from 'node:http2';
import type { Server, Socket } from 'node:net';
import { Http2Sessions } from './http2-sessions.js';
import { type Farewell, Upgrades } from './upgrades.js';

/** Node publishes every accepted connection here, so those made before a server was known are not missed. */
const accepted = 'net.server.socket';

/** What a drain can close: a server, or what behaves like one. */
export interface Drainable {
  /** Told at the start of a drain, before anything else. */
  announce?(): void;
  /** Accepts nothing more. @param closed called when nothing is open any more */
  close(closed: () => void): unknown;
  /** Time is up. */
  closeAllConnections?(): void;
  // biome-ignore lint/suspicious/noExplicitAny: what Node's servers take
  on(event: string, listener: (...args: any[]) => void): unknown;
  // biome-ignore lint/suspicious/noExplicitAny: what Node's servers take
  off(event: string, listener: (...args: any[]) => void): unknown;
}

type ServedSocket = Socket & { readonly server?: unknown };
type MaybeHttpServer = Server & {
  closeIdleConnections?: () => void;
  closeAllConnections?: () => void;
  readonly keepAliveTimeout?: number;
  readonly keepAliveTimeoutBuffer?: number;
};

/** Since version 26, Node takes connections for idle whose first request is still to come, or has come in part. */
const eager = Number(process.versions.node.split('.')[0]) >= 26;

/** Keeps track of accepted connections until it is stopped. */
export class Connections {
  readonly #sockets = new Set<ServedSocket>();
  /** TLS sockets, which stand in front of an accepted one each. */
  readonly #secure = new Set<ServedSocket>();
  readonly #servers = new Set<MaybeHttpServer>();
  readonly #sessions = new Http2Sessions();
  readonly #upgrades = new Upgrades();
  readonly #accepted = (message: unknown): void => keep(this.#sockets, (message as { socket: ServedSocket }).socket);
  readonly #secured = (socket: ServedSocket): void => keep(this.#secure, socket);

  constructor() {
    subscribe(accepted, this.#accepted);
  }

  get servers(): Iterable<Server> {
    return this.#servers;
  }

  /** Adds a server; false if it was known already. */
  add(drainable: Drainable): boolean {
    const server = drainable as MaybeHttpServer;
    if (this.#servers.has(server)) return false;
    this.#servers.add(server);
    server.on('secureConnection', this.#secured);
    this.#sessions.watch(server);
    this.#upgrades.watch(server);
    return true;
  }

  /** Adds a connection of HTTP/2 that may have been there before its server was known. */
  addSession(session: Http2Session): void {
    this.#sessions.add(session);
  }

  /** Asks for no more requests where that can be said before an answer: to workers, and on HTTP/2. */
  announceEnd(): void {
    for (const server of this.#servers) (server as Drainable).announce?.();
    this.#sessions.announce();
  }

  /** Tells connections that are not of HTTP any more. */
  farewell(say: Farewell): void {
    this.#upgrades.farewell(say);
  }

  /**
   * Stops `server` from listening without closing anything else.
   * @param closed called when its last connection is gone
   */
  stopListening(server: Server, closed: () => void): void {
    const http = server as MaybeHttpServer;
    const closeIdle = http.closeIdleConnections;
    // `close()` would call this, and cut answers that are still being read.
    if (closeIdle !== undefined) http.closeIdleConnections = () => {};
    try {
      server.close(closed);
    } finally {
      if (closeIdle !== undefined) http.closeIdleConnections = closeIdle;
    }
  }

  /** Closes connections that wait for a request, unless an answer is still being written on one of the same server. */
  closeIdle(): void {
    for (const server of this.#servers) {
      if (this.#writing(server)) continue;
      if (eager && (server.keepAliveTimeout ?? 0) > 0) this.#closeResting(server);
      else server.closeIdleConnections?.();
    }
  }

  /** Closes connections that wait for another request: Node gives them a timeout of their own, until the head of the next is there. */
  #closeResting(server: MaybeHttpServer): void {
    const restingMs = (server.keepAliveTimeout as number) + (server.keepAliveTimeoutBuffer ?? 0);
    for (const sockets of [this.#sockets, this.#secure]) {
      for (const socket of sockets) if (socket.server === server && socket.timeout === restingMs) socket.destroy();
    }
  }

  /**
   * Closes connections on which nothing has ever been sent (where servers speak first, that says nothing), and those of HTTP/2
   * as soon as their requests are answered.
   */
  closeSilent(): void {
    this.#sessions.close();
    for (const sockets of [this.#sockets, this.#secure]) {
      for (const socket of sockets) if (this.#awaitsRequest(socket) || this.#isUnknownSession(socket)) socket.destroy();
    }
  }

  /**
   * Closes everything.
   * @returns how many connections that were
   */
  closeAll(): number {
    let count = 0;
    for (const socket of this.#sockets) {
      if (!this.#ours(socket)) continue;
      count++;
      socket.destroy();
    }
    for (const server of this.#servers) server.closeAllConnections?.();
    return count;
  }

  /** Lets go of everything. */
  stop(): void {
    unsubscribe(accepted, this.#accepted);
    for (const server of this.#servers) server.off('secureConnection', this.#secured);
    this.#sessions.stop();
    this.#upgrades.stop();
    this.#servers.clear();
    this.#sockets.clear();
    this.#secure.clear();
  }

  #ours(socket: ServedSocket): boolean {
    return this.#servers.has(socket.server as MaybeHttpServer);
  }

  #awaitsRequest(socket: ServedSocket): boolean {
    const server = socket.server as MaybeHttpServer;
    return socket.bytesRead === 0 && this.#servers.has(server) && server.closeIdleConnections !== undefined;
  }

  /**
   * Whether this is a connection of HTTP/2 that was there before its server was known and has not made a request since. Node 22
   * does not close those with their server.
   */
  #isUnknownSession(socket: ServedSocket): boolean {
    const server = socket.server as MaybeHttpServer;
    if (!this.#servers.has(server) || !('updateSettings' in server)) return false;
    // A server with TLS may speak HTTP/1.1 as well.
    const speaksIt = !('setSecureContext' in server) || (socket as { alpnProtocol?: unknown }).alpnProtocol === 'h2';
    return speaksIt && !this.#sessions.isOn(socket);
  }

  #writing(server: Server): boolean {
    for (const sockets of [this.#sockets, this.#secure]) {
      for (const socket of sockets) if (socket.server === server && socket.writableLength > 0) return true;
    }
    return false;
  }
}

function keep(sockets: Set<ServedSocket>, socket: ServedSocket): void {
  sockets.add(socket);
  socket.once('close', () => sockets.delete(socket));
}
