/** @module One connection of a pool that carries one request at a time, and how old it may become. */
import { type Clock, Timer } from '@fairlead/core';
import { Client, type Dispatcher } from '../undici.js';

/** How far from the limit a connection may be retired, as a share of it. */
const JITTER_RATIO = 0.1;

/** How old connections may become. */
export class AgeLimit {
  readonly clock: Clock;
  readonly #ms: number;

  constructor(clock: Clock, ms: number) {
    this.clock = clock;
    this.#ms = ms;
  }

  /** The limit for one connection, in ms: ±10 %, so that those that were opened together do not end together. */
  draw(): number {
    return this.#ms * (1 - JITTER_RATIO + 2 * JITTER_RATIO * this.clock.random());
  }
}

/** Whether one connection is too old, without a look at the clock for each request. */
class Age extends Timer {
  over = false;

  constructor(readonly limit: AgeLimit) {
    super();
    this.background = true;
  }

  begin(): void {
    this.limit.clock.arm(this, this.limit.clock.now() + this.limit.draw());
  }

  end(): void {
    this.over = false;
    this.limit.clock.disarm(this);
  }

  fire(): void {
    this.over = true;
  }
}

/**
 * A connection whose next request is its last once it is too old: that request says `connection: close`, so that both
 * sides know before its answer, and none is lost on a connection that is being closed.
 */
export class PoolClient extends Client {
  /** Whether it has a socket. */
  connected = false;
  readonly #serverName: string | undefined;
  readonly #age: Age | null;

  /** @param serverName for TLS. undici takes it from the `host` header otherwise, and drops the connection when that changes. */
  constructor(origin: URL, options: object, serverName: string | undefined, limit: AgeLimit | null) {
    super(origin, options);
    this.#serverName = serverName;
    const age = limit === null ? null : new Age(limit);
    this.#age = age;
    this.on('connect', () => {
      this.connected = true;
      age?.begin();
    }).on('disconnect', () => {
      this.connected = false;
      age?.end();
    });
  }

  override dispatch(request: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
    const wishes = request as { servername?: string | undefined; reset?: boolean };
    if (this.#serverName !== undefined) wishes.servername = this.#serverName;
    if (this.#age?.over === true) {
      wishes.reset = true;
      // What comes after it has another socket.
      this.#age.end();
      this.connected = false;
    }
    return super.dispatch(request, handler);
  }
}
