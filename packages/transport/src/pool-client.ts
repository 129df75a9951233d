/** @module One connection of a pool that carries one request at a time, and how old it may become. */
import { type Clock, Timer } from '@fairlead/core';
import { Client, type Dispatcher } from './undici.js';

/** A handler that says what has become of its request. */
export interface Refusable {
  /** Whether undici has just refused it. */
  readonly refused: boolean;
  /** Whether nobody waits for its answer any more. */
  readonly isOver: boolean;
  /** Whether it wants to be told of 1xx answers. */
  readonly hearsInterim: boolean;
}

/** What a pool takes for a handler. */
export type Handler = Dispatcher.DispatchHandler & Refusable;

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
 *
 * Its `dispatch` is true for a request that undici refuses as malformed. undici says false, its Pool takes that for "busy
 * until I say `drain`", nothing ever drains, and one bad header has cost the pool a connection for good. It is true, too, for
 * what was canceled while it waited in the pool, which undici keeps there: no connection is made for that.
 */
export class PoolClient extends Client {
  readonly #age: Age | null = null;

  constructor(origin: URL, options: object, limit: AgeLimit | null) {
    super(origin, options);
    if (limit === null) return;
    const age = new Age(limit);
    this.#age = age;
    this.on('connect', () => age.begin()).on('disconnect', () => age.end());
  }

  override dispatch(request: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
    if ((handler as Handler).isOver) return true;
    const sent = this.#age?.over === true ? { ...request, reset: true } : request;
    return super.dispatch(sent, handler) || (handler as Handler).refused;
  }
}
