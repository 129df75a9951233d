/**
 * @module bottleneck's Redis mode, for as long as one connection lasts: the pace of a fleet is a time in Redis, at which the
 * next call may go. What is kept from it, and how (bottleneck 2.19.5):
 *
 * - Waiting for ever. It queues behind a connection that is gone, and behind an answer that does not come. So it gets a
 *   connection of its own, whose commands fail in time and which never reconnects: a link that has failed is done with.
 * - The clocks of the processes. Each of its scripts is told the time by whoever runs it: a process whose clock is ahead by a
 *   minute holds up the fleet for a minute. Here all of them go by the clock of Redis, read once and carried on by a clock
 *   that is never set.
 * - The pace in Redis, which outlives a deployment that changes it. Whoever joins says its own.
 * - Its keys, which never expire: with an expiry it wants whole milliseconds between calls, which are not enough of a pace.
 *
 * Two connections for each link: the second one is bottleneck's own, for what its limiters tell each other.
 */
import type { Clock } from '@fairlead/core';
import { loadBottleneck } from '../load-engine.js';

/** What is needed of an ioredis client: what it would be made from once more. */
export interface PaceRedis {
  duplicate(override?: object): unknown;
}

/** Told by a link. */
export interface LinkListener {
  /** Turns can be had. */
  joined(link: FleetLink): void;
  /** It is over, and nothing of it is left. Told once at most. */
  lost(link: FleetLink): void;
  /** Somebody in the fleet was told to wait for `ms`. */
  held(ms: number): void;
}

/** What is used of the client that bottleneck gets. */
interface Client {
  on(event: 'close', listener: () => void): unknown;
  time(): Promise<(number | string)[]>;
  zcard(key: string): Promise<number>;
  pexpire(key: string, ms: number): Promise<number>;
}

/** What is used of bottleneck's connection, beyond what its types tell. */
interface Connection {
  readonly ready: Promise<unknown>;
  readonly subscriber: Client;
  on(event: 'error', listener: () => void): unknown;
  disconnect(flush: boolean): Promise<void>;
  /** Numbers of keys, keys, arguments and callback of a script. */
  __scriptArgs__(name: string, id: string, args: unknown[], reply: () => void): unknown[];
}

interface Limiter {
  readonly _store: { readonly heartbeat?: NodeJS.Timeout };
  ready(): Promise<unknown>;
  on(event: 'error' | 'message', listener: (message: string) => void): unknown;
  schedule<R>(job: () => PromiseLike<R>): Promise<R>;
  updateSettings(settings: { minTime: number }): Promise<unknown>;
  publish(message: string): Promise<unknown>;
  stop(options: { dropWaitingJobs: boolean }): Promise<void>;
}

/** Keys that bottleneck gives each of its scripts; the last one is a set of who was seen when. */
const KEYS = 8;
/** Keys of a fleet that nobody belongs to any more are gone after this time, in ms. */
const KEPT_MS = 3_600_000;

/** One connection to the fleet. */
export class FleetLink {
  /** How many processes belong to the fleet. Counted every few seconds; in between, those who join are added. */
  peers = 1;
  readonly #id: string;
  readonly #clock: Clock;
  readonly #listener: LinkListener;
  readonly #client: Client;
  readonly #connection: Connection;
  readonly #keys: readonly string[];
  #limiter: Limiter | null = null;
  /** What is to be added to our time to get that of Redis, in ms. */
  #ahead = 0;
  #over = false;
  readonly #token: string;

  constructor(redis: PaceRedis, name: string, timeoutMs: number, clock: Clock, listener: LinkListener) {
    const { IORedisConnection } = loadBottleneck();
    // In braces, so that a cluster keeps all keys of a fleet in one place.
    this.#id = `{fairlead:pace:${name}}`;
    this.#clock = clock;
    this.#token = clock.random().toString(36).slice(2);
    this.#listener = listener;
    const client = redis.duplicate({
      lazyConnect: false,
      enableOfflineQueue: false,
      retryStrategy: () => null,
      reconnectOnError: null,
      maxRetriesPerRequest: 0,
      connectTimeout: timeoutMs,
      commandTimeout: timeoutMs,
      keyPrefix: '',
    });
    this.#client = client as Client;
    this.#connection = new IORedisConnection({ client }) as unknown as Connection;
    const { subscriber } = this.#connection;
    for (const each of [this.#client, subscriber]) each.on('close', () => this.#lose());
    this.#connection.on('error', () => this.#lose());
    this.#keys = this.#connection.__scriptArgs__('init', this.#id, [], ignore).slice(1, KEYS + 1) as string[];
    this.#tellTime();
  }

  /** Tells `joined` or `lost`, in the end. */
  async join(minTime: number): Promise<void> {
    try {
      await this.#connection.ready;
      const asked = this.#clock.now();
      const [seconds, micros] = await this.#client.time();
      this.#ahead = Number(seconds) * 1_000 + Number(micros) / 1_000 - (asked + this.#clock.now()) / 2;
      if (this.#over) return;
      const limiter = this.#newLimiter(minTime);
      await limiter.ready();
      if (this.#over) clearInterval(limiter._store.heartbeat);
      await limiter.updateSettings({ minTime });
      this.#limiter = limiter;
      await this.#look();
      await limiter.publish(`joined:${this.#token}`);
      if (!this.#over) this.#listener.joined(this);
    } catch {
      this.#lose();
    }
  }

  /** Runs `job` when it is our turn; not at all, if the link is lost before. */
  turn(job: () => PromiseLike<void>): void {
    this.#limiter?.schedule(job).catch(() => this.#lose());
  }

  setMinTime(minTime: number): void {
    this.#limiter?.updateSettings({ minTime }).catch(() => this.#lose());
  }

  /** Tells the fleet to wait for `ms`. */
  hold(ms: number): void {
    this.#limiter?.publish(`hold:${Math.round(ms)}`).catch(() => this.#lose());
  }

  close(): void {
    if (this.#over) return;
    this.#over = true;
    // Turns that were granted and are not due yet have timers.
    this.#limiter?.stop({ dropWaitingJobs: true }).catch(ignore);
    clearInterval(this.#limiter?._store.heartbeat);
    this.#connection.disconnect(false).catch(ignore);
  }

  /** Takes too long. */
  abandon(): void {
    this.#lose();
  }

  #lose(): void {
    if (this.#over) return;
    this.close();
    this.#listener.lost(this);
  }

  #newLimiter(minTime: number): Limiter {
    const Bottleneck = loadBottleneck();
    const limiter = new Bottleneck({
      id: this.#id,
      datastore: 'ioredis',
      connection: this.#connection as never,
      minTime,
    }) as unknown as Limiter;
    limiter.on('error', () => this.#lose());
    limiter.on('message', (message) => this.#heard(message));
    return limiter;
  }

  #heard(message: string): void {
    const [, what, value] = /^(hold|joined):(\w{1,20})$/.exec(message) ?? [];
    if (this.#over || value === undefined) return;
    if (what === 'joined' && value !== this.#token) this.peers++;
    if (what === 'hold' && /^\d{1,9}$/.test(value)) this.#listener.held(Number(value));
  }

  /** Has scripts told the time of Redis. */
  #tellTime(): void {
    const connection = this.#connection;
    const given = connection.__scriptArgs__.bind(connection);
    connection.__scriptArgs__ = (name, id, [, ...args], reply) => {
      // Bottleneck's sign of life is when the rest is looked after as well.
      if (name === 'heartbeat') this.#look().catch(() => this.#lose());
      return given(name, id, [this.#clock.now() + this.#ahead, ...args], reply);
    };
  }

  /** Who else is there; and the keys are still needed. */
  async #look(): Promise<void> {
    const [peers] = await Promise.all([
      this.#client.zcard(this.#keys[KEYS - 1] as string),
      ...this.#keys.map((key) => this.#client.pexpire(key, KEPT_MS)),
    ]);
    this.peers = Math.max(1, peers);
  }
}

const ignore = (): void => {};
