/** @module A connection of a pool that many requests share, if the other side agrees to HTTP/2. */
import type { Socket } from 'node:net';
import type { Clock } from '@fairlead/core';
import type { Connector } from './connector.js';
import { PoolClient } from './pool-client.js';
import type { Dispatcher } from './undici.js';

/** Requests that may be under way on a connection that was given up, while a new one is made. */
const BESIDE = 1_000;

/** How long a connection may say nothing although it was asked, in ms: a packet that was lost once is sent again by then. */
const SILENCE_MS = 1_000;

/**
 * A connection that is replaced as soon as its server says farewell. undici lets the requests that were accepted finish,
 * and sends the others again on a new connection; but it makes that only when there are fewer under way than could be
 * pipelined, which is 1, and so a single long answer would hold up everything that comes after. Over HTTP/2 that number
 * means nothing else; over HTTP/1.1 it must stay 1.
 *
 * It is replaced, too, when its server says nothing at all any more. Over HTTP/1.1 a request that is given up takes its
 * connection with it; here it ends a stream, and of a connection that died without a word (a NAT or load balancer that
 * forgot it, a host that is gone) nobody would hear for a quarter of an hour, while every request is sent into the void.
 * So when a request is given up on a connection that has brought not a byte since it was asked, and that was long ago, it
 * gets no more of them. It is not closed: if it lives after all, those under way finish.
 */
export class SharedClient extends PoolClient {
  /** What a Pool counts the age of a connection from. */
  ttl = 0;
  readonly #clock: Clock;
  #socket: Socket | null = null;
  /** Bytes that it had brought when somebody looked last. */
  #heard = 0;
  /** When the first request after those was sent. */
  #askedAt = 0;

  constructor(origin: URL, options: object, connector: Connector, clock: Clock) {
    super(origin, options, null);
    this.#clock = clock;
    this.on('connect', () => {
      const { latest, latestIsMultiplexed } = connector;
      this.pipelining = latestIsMultiplexed ? BESIDE : 1;
      this.#socket = latestIsMultiplexed ? latest : null;
      this.#heard = -1;
    }).on('disconnect', () => {
      this.#socket = null;
    });
  }

  override dispatch(request: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
    if (this.#socket !== null) this.#listen(this.#socket);
    return super.dispatch(request, handler);
  }

  /** A request is given up, perhaps one of this connection. */
  givenUp(): void {
    if (this.#socket === null || this.#listen(this.#socket)) return;
    // The next request finds it too old.
    if (this.#clock.now() - this.#askedAt >= SILENCE_MS) this.ttl = Number.NEGATIVE_INFINITY;
  }

  /** Whether anything has come since it was asked last. */
  #listen({ bytesRead }: Socket): boolean {
    if (bytesRead === this.#heard) return false;
    this.#heard = bytesRead;
    this.#askedAt = this.#clock.now();
    return true;
  }
}
