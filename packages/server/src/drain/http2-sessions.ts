/**
 * @module Connections of HTTP/2 that come to their end without losing a request (RFC 9113, 6.8): first a notice that no new
 * requests are wanted, which still lets those pass that are on their way; then the end, once all are answered.
 */
import type { Http2ServerRequest, Http2Session } from 'node:http2';
import type { Server, Socket } from 'node:net';

const told: unique symbol = Symbol('fairlead.told');

type ToldSession = Http2Session & { [told]?: boolean };

/** Larger than the number of any request, so that none is refused. */
const NO_LAST_STREAM = 2 ** 31 - 1;

/** Asks the other side, once, to send its further requests somewhere else. */
export function announceEnd(session: Http2Session): void {
  if ((session as ToldSession)[told] || session.closed || session.destroyed) return;
  (session as ToldSession)[told] = true;
  session.goaway(0, NO_LAST_STREAM);
}

/** The session that a request of HTTP/2 came on; undefined for one that is gone. */
export function sessionOf(request: unknown): Http2Session | undefined {
  return (request as Http2ServerRequest).stream?.session;
}

/** The sessions of a process's servers. */
export class Http2Sessions {
  readonly #sessions = new Set<Http2Session>();
  readonly #servers = new Set<Server>();
  readonly #opened = (session: Http2Session): void => this.add(session);

  /** Listens for the sessions of `server`, whatever it is: only servers of HTTP/2 have any. */
  watch(server: Server): void {
    this.#servers.add(server);
    server.on('session', this.#opened);
  }

  add(session: Http2Session): void {
    if (this.#sessions.has(session)) return;
    this.#sessions.add(session);
    session.once('close', () => this.#sessions.delete(session));
  }

  /** Whether one of them is on `socket`; known by its other end, since a session shows a stand-in for its socket only. */
  isOn(socket: Socket): boolean {
    for (const { socket: own } of this.#sessions) {
      if (own?.remotePort === socket.remotePort && own?.remoteAddress === socket.remoteAddress) return true;
    }
    return false;
  }

  /** Gives notice to all that are open. */
  announce(): void {
    for (const session of this.#sessions) announceEnd(session);
  }

  /** Closes each session as soon as its requests are answered. */
  close(): void {
    for (const session of this.#sessions) if (!session.closed) session.close();
  }

  /** Lets go of everything. */
  stop(): void {
    for (const server of this.#servers) server.off('session', this.#opened);
    this.#servers.clear();
    this.#sessions.clear();
  }
}
