/** @module The connections to each destination: made when first used, closed when unused for long. Never the global dispatcher. */
import { type Clock, type Endpoint, later, Timer } from '@fairlead/core';
import { SharedConnections } from '../shared/connections.js';
import type { UndiciClient } from '../undici.js';
import { Connector, type ConnectorSettings } from './connector.js';
import { type Destination, destinationOf, keyOf } from './destination.js';
import type { Connections, Passenger } from './passenger.js';
import { AgeLimit, PoolClient } from './pool-client.js';
import { SingleConnections } from './single-connections.js';

/** What every pool of a transport has in common; see `TransportOptions` for the meaning. */
export interface PoolSettings extends ConnectorSettings {
  readonly connections: number;
  readonly unusedMs: number;
  readonly maxHeaderBytes: number;
  readonly maxConnectionAgeMs: number | false;
  readonly warmConnections: number;
}

/** The connections to one destination. */
export class OriginPool {
  /** As the endpoint says it. */
  readonly origin: string;
  /** Tells the destination apart. */
  readonly key: string;
  /** Makes the connections. */
  readonly connector: Connector;
  /** Requests that are not over yet, those still waiting for a connection included. */
  inFlight = 0;
  /** Whether there was a request since the last sweep. */
  used = true;
  readonly #settings: PoolSettings;
  readonly #destination: Destination;
  readonly #connections: Connections;
  /** Connections for one request each, and the end of each. */
  readonly #fresh: Map<UndiciClient, Promise<void>> = new Map();
  #closed: Promise<void> | null = null;
  #onClosed: (() => void) | null = null;

  constructor(endpoint: Endpoint, settings: PoolSettings, clock: Clock) {
    const destination = destinationOf(endpoint, settings.tls?.servername);
    this.origin = endpoint.origin;
    this.key = destination.key;
    this.connector = new Connector(destination, settings, clock);
    this.#destination = destination;
    this.#settings = settings;
    this.#connections = this.#makeConnections(clock);
  }

  #makeConnections(clock: Clock): Connections {
    const { connections, http2, maxConnectionAgeMs } = this.#settings;
    const { url } = this.#destination;
    const age = maxConnectionAgeMs === false ? null : new AgeLimit(clock, maxConnectionAgeMs);
    const make = (): Connections => new SingleConnections(connections, () => this.#client(age));
    if (!http2) return make();
    const settings = { ...this.#settings, drawAgeMs: () => age?.draw() ?? null };
    return new SharedConnections(url, this.connector, settings, clock, make);
  }

  #client(age: AgeLimit | null): PoolClient {
    const { url, serverName, address, secure } = this.#destination;
    // The name for TLS is the same for all requests, whatever their `host` says.
    return new PoolClient(new URL(url), this.#clientOptions(), secure ? (serverName ?? address) : undefined, age);
  }

  /** Whether it takes no requests any more. */
  get closed(): boolean {
    return this.#closed !== null;
  }

  /** Sends over any connection, or waits for one. */
  dispatch(passenger: Passenger): void {
    this.used = true;
    this.#connections.dispatch(passenger);
  }

  /**
   * Sends over a connection that is made for this request and closed after it: when the other side has just closed one
   * kept-alive connection, the others are no better.
   */
  dispatchFresh(passenger: Passenger): void {
    this.#connections.leave(passenger, false);
    const client = this.#client(null);
    client.dispatch({ ...passenger.request(), reset: true }, passenger);
    // Closing waits for what has been dispatched.
    this.#fresh.set(
      client,
      client.close().then(() => void this.#fresh.delete(client)),
    );
  }

  /** The connection of a request has become somebody else's. */
  released(passenger: Passenger): void {
    this.#connections.leave(passenger, false);
  }

  /** Opens connections before they are needed, unless there are some. */
  warm(): void {
    const { connections, http2, warmConnections } = this.#settings;
    const { connector } = this;
    if (connector.connected === 0) connector.warm(http2 ? 1 : Math.min(warmConnections, connections));
  }

  /** A request is over; `clean` if its connection is as good as before. */
  ended(passenger: Passenger, clean: boolean): void {
    this.#connections.leave(passenger, clean);
    this.inFlight--;
    // Not at once: undici may be in the middle of telling us.
    if (this.inFlight === 0 && this.#closed !== null) queueMicrotask(() => void this.#cut());
  }

  /**
   * Lets the requests under way finish and closes what is idle at once. After `graceMs` it cuts off the rest: undici's own
   * close waits forever for a body that nobody reads. Asked again it takes the earlier end. With nothing under way it is
   * cut at once: what undici still has queued, or makes a connection for, was canceled.
   */
  close(graceMs: number, clock: Clock): Promise<void> {
    this.#closed ??= new Promise((resolve) => {
      this.#onClosed = resolve;
      void this.#drain();
      if (this.inFlight === 0) void this.#cut();
    });
    if (Number.isFinite(graceMs)) {
      const deadline = later(clock, graceMs, () => void this.#cut());
      void this.#closed.then(() => clock.disarm(deadline));
    }
    return this.#closed;
  }

  async #drain(): Promise<void> {
    await this.#connections.close();
    while (this.#fresh.size > 0) await Promise.all(this.#fresh.values());
    // A connection that was upgraded is none of undici's any more, and still a request of ours.
    if (this.inFlight === 0) this.#onClosed?.();
  }

  async #cut(): Promise<void> {
    this.connector.abandon();
    await Promise.all([this.#connections.destroy(), ...[...this.#fresh.keys()].map((client) => client.destroy())]);
    this.connector.destroy();
    // Draining does not end by itself if something was queued when the pool was destroyed.
    this.#onClosed?.();
  }

  #clientOptions(): UndiciClient.Options {
    const { keepAliveMs, maxHeaderBytes } = this.#settings;
    return {
      connect: this.connector.connectOther,
      allowH2: false,
      pipelining: 1,
      // The call's scope owns time. undici's own timers are up to a second late, do not count queueing, and each costs
      // a re-armed timer per request.
      headersTimeout: 0,
      bodyTimeout: 0,
      keepAliveTimeout: keepAliveMs,
      // Where the server says how long it keeps a connection: a second less than that.
      keepAliveTimeoutThreshold: 1_000,
      maxHeaderSize: maxHeaderBytes,
    };
  }
}

/** The pools of one transport. It is its own sweep timer. */
export class Pools extends Timer {
  readonly #settings: PoolSettings;
  readonly #byKey: Map<string, OriginPool> = new Map();
  /** Spares the hot path the making of a key. */
  readonly #byEndpoint: WeakMap<Endpoint, OriginPool> = new WeakMap();
  readonly #leaving: Set<OriginPool> = new Set();
  #clock: Clock | null = null;

  constructor(settings: PoolSettings) {
    super();
    this.#settings = settings;
    this.background = true;
  }

  /** The pool of `endpoint`; made now if there is none. */
  at(endpoint: Endpoint, clock: Clock): OriginPool {
    const pool = this.#byEndpoint.get(endpoint);
    return pool === undefined || pool.closed ? this.#open(endpoint, clock) : pool;
  }

  #open(endpoint: Endpoint, clock: Clock): OriginPool {
    const pool = this.#byKey.get(keyOf(endpoint)) ?? new OriginPool(endpoint, this.#settings, clock);
    this.#byKey.set(pool.key, pool);
    this.#byEndpoint.set(endpoint, pool);
    this.#clock = clock;
    if (!this.armed) clock.arm(this, clock.now() + this.#settings.unusedMs);
    return pool;
  }

  /** Closes what was not used for a whole period. A mark per request and one look per period replace a timer per use. */
  fire(): void {
    const clock = this.#clock as Clock;
    for (const pool of this.#byKey.values()) {
      if (!pool.used && pool.inFlight === 0) void this.#leave(pool, Number.POSITIVE_INFINITY);
      pool.used = false;
    }
    if (this.#byKey.size > 0) clock.arm(this, clock.now() + this.#settings.unusedMs);
  }

  /**
   * The endpoint is gone: closes its idle connections now and each of the others when its request is over. However long
   * that takes, since an endpoint that is being replaced still finishes what it began.
   */
  release(endpoint: Endpoint): void {
    const pool = this.#byKey.get(keyOf(endpoint));
    if (pool !== undefined) void this.#leave(pool, Number.POSITIVE_INFINITY);
  }

  /** Closes everything, what was released included. */
  async close(graceMs: number): Promise<void> {
    this.#clock?.disarm(this);
    const all = [...this.#byKey.values(), ...this.#leaving];
    await Promise.all(all.map((pool) => this.#leave(pool, graceMs)));
  }

  [Symbol.iterator](): Iterator<OriginPool> {
    return this.#byKey.values();
  }

  async #leave(pool: OriginPool, graceMs: number): Promise<void> {
    if (this.#byKey.get(pool.key) === pool) this.#byKey.delete(pool.key);
    this.#leaving.add(pool);
    await pool.close(graceMs, this.#clock as Clock);
    this.#leaving.delete(pool);
  }
}
