/** @module One undici Pool per origin: made when first used, closed when unused for long. Never the global dispatcher. */
import type { Socket } from 'node:net';
import type { ConnectionOptions } from 'node:tls';
import { type Clock, later, Timer } from '@fairlead/core';
import { buildConnector, Client, type Dispatcher, Pool, type UndiciClient, type UndiciPool } from './undici.js';

/** What every pool of a transport has in common; see `TransportOptions` for the meaning. */
export interface PoolSettings {
  readonly connections: number;
  readonly connectTimeoutMs: number;
  readonly keepAliveMs: number;
  readonly unusedMs: number;
  readonly maxHeaderBytes: number;
  readonly tls: ConnectionOptions | null;
}

/** A handler that says whether undici has just refused its request. */
export interface Refusable {
  readonly refused: boolean;
}

type Handler = Dispatcher.DispatchHandler & Refusable;

/**
 * A connection whose `dispatch` is true for a request that undici refuses as malformed. undici says false, its Pool takes
 * that for "busy until I say `drain`", nothing ever drains, and one bad header has cost the pool a connection for good.
 */
class PoolClient extends Client {
  override dispatch(request: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
    return super.dispatch(request, handler) || (handler as Handler).refused;
  }
}

const makeClient = (origin: URL, options: object): PoolClient => new PoolClient(origin, options);

/** How a connection is made, as undici wants to be told. */
type Connector = ReturnType<typeof buildConnector>;

/** Errors of connections that had already carried an answer. */
const afterAnAnswer = new WeakSet<object>();

/**
 * Whether `error` broke a connection that had brought an answer before. If nothing of the present answer had arrived,
 * the request died on a kept-alive connection that the other side was just closing. undici says nothing about that, so
 * the socket is asked how much it has ever read.
 */
export function hadServed(error: object): boolean {
  if (afterAnAnswer.has(error)) return true;
  const info = (error as { socket?: { bytesRead?: unknown } }).socket;
  return typeof info?.bytesRead === 'number' && info.bytesRead > 0;
}

/** The connections to one origin. */
export class OriginPool {
  readonly origin: string;
  /** Requests that are not over yet, those still waiting for a connection included. */
  inFlight = 0;
  /** Connections that are open now. */
  connected = 0;
  /** Whether there was a request since the last sweep. */
  used = true;
  readonly #settings: PoolSettings;
  readonly #connect: Connector;
  readonly #pool: UndiciPool;
  /** Connections for one request each, and the end of each. */
  readonly #fresh: Map<UndiciClient, Promise<void>> = new Map();
  /** Sockets that are not connections yet. undici does not know them before they are. */
  readonly #connecting: Set<Socket> = new Set();
  #closed: Promise<void> | null = null;
  #onClosed: (() => void) | null = null;

  constructor(origin: string, settings: PoolSettings) {
    this.origin = origin;
    this.#settings = settings;
    this.#connect = this.#connector();
    this.#pool = new Pool(origin, { ...this.#clientOptions(), connections: settings.connections, factory: makeClient });
  }

  /** Sends over any connection of the pool. */
  dispatch(request: Dispatcher.DispatchOptions, handler: Handler): void {
    this.used = true;
    this.#pool.dispatch(request, handler);
  }

  /**
   * Sends over a connection that is made for this request and closed after it: when the other side has just closed one
   * kept-alive connection, the others in the pool are no better.
   */
  dispatchFresh(request: Dispatcher.DispatchOptions, handler: Handler): void {
    const client = new Client(this.origin, this.#clientOptions());
    client.dispatch({ ...request, reset: true }, handler);
    // Closing waits for what has been dispatched.
    this.#fresh.set(
      client,
      client.close().then(() => void this.#fresh.delete(client)),
    );
  }

  /** A request is over. */
  ended(): void {
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
      void this.#drain().then(resolve);
      if (this.inFlight === 0) void this.#cut();
    });
    if (Number.isFinite(graceMs)) {
      const deadline = later(clock, graceMs, () => void this.#cut());
      void this.#closed.then(() => clock.disarm(deadline));
    }
    return this.#closed;
  }

  async #drain(): Promise<void> {
    await this.#pool.close();
    while (this.#fresh.size > 0) await Promise.all(this.#fresh.values());
  }

  async #cut(): Promise<void> {
    for (const socket of this.#connecting) socket.destroy(new Error('closed while it was connecting'));
    await Promise.all([this.#pool.destroy(), ...[...this.#fresh.keys()].map((client) => client.destroy())]);
    // Draining does not end by itself if something was queued when the pool was destroyed.
    this.#onClosed?.();
  }

  #clientOptions(): UndiciClient.Options {
    const { keepAliveMs, maxHeaderBytes } = this.#settings;
    return {
      connect: this.#connect,
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

  #connector(): Connector {
    const connect = buildConnector({
      ...(this.#settings.tls as object | null),
      allowH2: false,
      timeout: this.#settings.connectTimeoutMs,
    });
    const onClose = (): void => {
      this.connected--;
    };
    return (options, callback) => {
      // undici does not declare what its own connector returns.
      const connecting = connect(options, (...result) => {
        this.#connecting.delete(connecting);
        const socket = result[1];
        // undici leaves it out, rather than null, when there is an error.
        if (socket) {
          this.connected++;
          socket.on('error', rememberServed).once('close', onClose);
        }
        callback(...result);
      }) as unknown as Socket;
      this.#connecting.add(connecting);
    };
  }
}

function rememberServed(this: Socket, error: Error): void {
  if (this.bytesRead > 0) afterAnAnswer.add(error);
}

/** The pools of one transport. It is its own sweep timer. */
export class Pools extends Timer {
  readonly #settings: PoolSettings;
  readonly #byOrigin: Map<string, OriginPool> = new Map();
  readonly #leaving: Set<OriginPool> = new Set();
  #clock: Clock | null = null;

  constructor(settings: PoolSettings) {
    super();
    this.#settings = settings;
    this.background = true;
  }

  /** The pool of `origin`; made now if there is none. */
  at(origin: string, clock: Clock): OriginPool {
    return this.#byOrigin.get(origin) ?? this.#open(origin, clock);
  }

  #open(origin: string, clock: Clock): OriginPool {
    const pool = new OriginPool(origin, this.#settings);
    this.#byOrigin.set(origin, pool);
    this.#clock = clock;
    if (!this.armed) clock.arm(this, clock.now() + this.#settings.unusedMs);
    return pool;
  }

  /** Closes what was not used for a whole period. A mark per request and one look per period replace a timer per use. */
  fire(): void {
    const clock = this.#clock as Clock;
    for (const pool of this.#byOrigin.values()) {
      if (!pool.used && pool.inFlight === 0) void this.#leave(pool, Number.POSITIVE_INFINITY);
      pool.used = false;
    }
    if (this.#byOrigin.size > 0) clock.arm(this, clock.now() + this.#settings.unusedMs);
  }

  /**
   * The endpoint is gone: closes its idle connections now and each of the others when its request is over. However long
   * that takes, since an endpoint that is being replaced still finishes what it began.
   */
  release(origin: string): void {
    const pool = this.#byOrigin.get(origin);
    if (pool !== undefined) void this.#leave(pool, Number.POSITIVE_INFINITY);
  }

  /** Closes everything, what was released included. */
  async close(graceMs: number): Promise<void> {
    this.#clock?.disarm(this);
    const all = [...this.#byOrigin.values(), ...this.#leaving];
    await Promise.all(all.map((pool) => this.#leave(pool, graceMs)));
  }

  [Symbol.iterator](): Iterator<OriginPool> {
    return this.#byOrigin.values();
  }

  async #leave(pool: OriginPool, graceMs: number): Promise<void> {
    if (this.#byOrigin.get(pool.origin) === pool) this.#byOrigin.delete(pool.origin);
    this.#leaving.add(pool);
    await pool.close(graceMs, this.#clock as Clock);
    this.#leaving.delete(pool);
  }
}
