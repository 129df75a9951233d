/** @module A connection of a pool that many requests share, if the other side agrees to HTTP/2. */
import type { Connector } from './connector.js';
import { PoolClient } from './pool-client.js';

/** Requests that may be under way on a connection that was given up, while a new one is made. */
const BESIDE = 1_000;

/**
 * A connection that is replaced as soon as its server says farewell. undici lets the requests that were accepted finish,
 * and sends the others again on a new connection; but it makes that only when there are fewer under way than could be
 * pipelined, which is 1, and so a single long answer would hold up everything that comes after. Over HTTP/2 that number
 * means nothing else; over HTTP/1.1 it must stay 1.
 */
export class SharedClient extends PoolClient {
  constructor(origin: URL, options: object, connector: Connector) {
    super(origin, options, null);
    this.on('connect', () => {
      this.pipelining = connector.latestIsMultiplexed ? BESIDE : 1;
    });
  }
}
