/**
 * @module bottleneck's Redis mode, for as long as one connection lasts: the pace of a fleet is a time in Redis, at which the
 * next call may go. What is kept from it, and how (bottleneck 2.19.5):
 *
 * - Waiting for ever. It queues behind a connection that is gone, and behind an answer that does not come. So it gets a
 *   connection of its own, whose commands fail in time and which never reconnects: a link that has failed is done with. So is
 *   one whose turns do not come.
 * - The clocks of the processes. Each of its scripts is told the time by whoever runs it: a process whose clock is ahead by a
 *   minute holds up the fleet for a minute. Here they ask Redis.
 * - The pace in Redis, which outlives a deployment that changes it. Whoever joins says its own.
 * - Forgetting that Redis may: since version 7 it does not recognise its own errors, and gives up.
 * - Its count of clients, which never forgets one that was killed while it had a turn, and its keys, which never expire: with
 *   an expiry it wants whole milliseconds between calls, which are not enough of a pace. The roll sees to both.
 *
 * Two connections for each link: the second one is bottleneck's own, for what its limiters tell each other.
 */
import { type Clock, Timer } from '@fairlead/core';
import { loadBottleneck } from '../load-engine.js';
import { connectOnce, type PaceClient, type PaceRedis } from './pace-fleet-connection.js';
import { type Absence, type RollAnswer, type RollKind, rollScript } from './pace-fleet-roll.js';
import { MOST_OUT } from './pace-tickets.js';

/** Told by a link. */
export interface LinkListener {
  /** Turns can be had. */
  joined(link: FleetLink): void;
  /** It is over, and nothing of it is left. Told once at most. */
  lost(link: FleetLink): void;
  /** Somebody in the fleet was told to wait for `ms`. */
  held(ms: number): void;
  /** What was done without Redis; null for one that comes for the first time. */
  absence(): Absence | null;
}

/** What a link is made of. */
export interface LinkInit {
  readonly redis: PaceRedis;
  /** Whose pace it is. */
  readonly name: string;
  /** Who it is: the same for each link of one member. */
  readonly token: string;
  /** Longest time to connect, or for an answer, in ms. */
  readonly timeoutMs: number;
  /** Longest time that a roll is open, in ms. */
  readonly rollMs: number;
  /** Time between two turns of the fleet, in ms. */
  readonly minTime: number;
  /** Whether the fleet is to be told so, though it has a pace. */
  readonly says: boolean;
  readonly clock: Clock;
}

type ScriptReply = (error: Error | null, answer: unknown) => void;

/** What is used of bottleneck's connection, beyond what its types tell. */
interface Connection {
  readonly ready: Promise<unknown>;
  readonly subscriber: PaceClient;
  on(event: 'error', listener: () => void): unknown;
  disconnect(flush: boolean): Promise<void>;
  /** Numbers of keys, keys, arguments and callback of a script. */
  __scriptArgs__(name: string, id: string, args: unknown[], reply: ScriptReply): unknown[];
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

/** Keys that bottleneck gives each of its scripts; the first one holds the pace. */
const KEYS = 8;
/** Turns that each member may have asked for, and as many again for a machine that is slow. */
const ASKED = 2 * MOST_OUT;
/** How late a turn may be beyond that, in ms. */
const GRACE_MS = 2_000;

/** One connection to the fleet. It is its own timer: the end of what it waits for, one thing after the other. */
export class FleetLink extends Timer {
  /** How many belong to the fleet; 0 until that is known. Counted every few seconds; in between, those who join are added. */
  members = 0;
  override background = true;
  readonly #init: LinkInit;
  readonly #listener: LinkListener;
  readonly #client: PaceClient;
  readonly #connection: Connection;
  readonly #keys: readonly string[];
  readonly #id: string;
  #limiter: Limiter | null = null;
  #minTime: number;
  #says: boolean;
  /** Turns that were asked for and have not come. */
  #asked = 0;
  /** When one of them came last, or the first was asked for, in monotonic ms. */
  #cameAt = 0;
  #open = false;
  #over = false;

  constructor(init: LinkInit, listener: LinkListener) {
    super();
    const { IORedisConnection } = loadBottleneck();
    const { redis, name, timeoutMs, minTime, says, clock } = init;
    this.#init = init;
    this.#listener = listener;
    this.#minTime = minTime;
    this.#says = says;
    // In braces, so that a cluster keeps all keys of a fleet in one place.
    this.#id = `{fairlead:pace:${name}}`;
    this.#client = connectOnce(redis, timeoutMs);
    this.#connection = new IORedisConnection({ client: this.#client }) as unknown as Connection;
    const { subscriber } = this.#connection;
    for (const each of [this.#client, subscriber]) each.on('close', () => this.#lose());
    this.#connection.on('error', () => this.#lose());
    const [settings, ...rest] = this.#connection.__scriptArgs__('init', this.#id, [], ignore).slice(1, KEYS + 1);
    this.#keys = [settings, `b_${this.#id}_roll`, `b_${this.#id}_members`, ...rest] as string[];
    this.#standBetween();
    // A server that is frozen takes connections, and says nothing.
    clock.arm(this, clock.now() + 2 * timeoutMs);
  }

  /** Tells `joined` or `lost`, in the end. */
  async join(): Promise<void> {
    try {
      await this.#connection.ready;
      if (this.#over) return;
      const limiter = this.#newLimiter();
      await limiter.ready();
      if (this.#over) return clearInterval(limiter._store.heartbeat);
      this.#limiter = limiter;
      if (this.#says) await limiter.updateSettings({ minTime: this.#minTime });
      const back = this.#listener.absence() !== null;
      await this.#call(back ? 'back' : 'new');
      await limiter.publish(back ? `back:${this.#init.token}` : `joined:${this.members}`);
    } catch {
      this.#lose();
    }
  }

  /** Runs `job` when it is our turn; not at all, if the link is lost before. */
  turn(job: () => void): void {
    if (this.#asked++ === 0) this.#watch();
    const came = async (): Promise<void> => {
      this.#asked--;
      this.#watch();
      job();
    };
    this.#limiter?.schedule(came).catch(() => this.#lose());
  }

  setMinTime(minTime: number): void {
    this.#minTime = minTime;
    this.#says = true;
    this.#limiter?.updateSettings({ minTime }).catch(() => this.#lose());
  }

  /** Tells the fleet to wait for `ms`. */
  hold(ms: number): void {
    this.#limiter?.publish(`hold:${Math.round(ms)}`).catch(() => this.#lose());
  }

  /** Leaves the fleet. */
  close(): void {
    if (this.members > 0) this.#client.zrem(this.#keys[2] as string, this.#init.token).catch(ignore);
    this.#end();
  }

  /** What was waited for has not come in time. */
  fire(): void {
    if (this.members > 0) this.#look();
    else this.#lose();
  }

  #end(): void {
    if (this.#over) return;
    this.#over = true;
    this.#init.clock.disarm(this);
    // Turns that were granted and are not due yet have timers.
    this.#limiter?.stop({ dropWaitingJobs: true }).catch(ignore);
    clearInterval(this.#limiter?._store.heartbeat);
    this.#connection.disconnect(false).catch(ignore);
  }

  #lose(): void {
    if (this.#over) return;
    this.#end();
    this.#listener.lost(this);
  }

  #newLimiter(): Limiter {
    const Bottleneck = loadBottleneck();
    const limiter = new Bottleneck({
      id: this.#id,
      datastore: 'ioredis',
      connection: this.#connection as never,
      minTime: this.#minTime,
    }) as unknown as Limiter;
    limiter.on('error', () => this.#lose());
    limiter.on('message', (message) => this.#heard(message));
    return limiter;
  }

  #heard(message: string): void {
    const [, what, value] = /^(hold|joined|back|open):(\w{1,20})$/.exec(message) ?? [];
    if (this.#over || value === undefined) return;
    if (what === 'hold' && /^\d{1,9}$/.test(value)) this.#listener.held(Number(value));
    // Nobody waits for somebody who has not come yet itself.
    if (this.#limiter === null || value === this.#init.token) return;
    if (what === 'joined') this.members = Math.max(this.members, Number(value) || 0);
    // Who is there says so, since the roll is closed when all are.
    if (what === 'back' || (what === 'open' && !this.#open)) this.#look();
  }

  /** Stands between bottleneck and its scripts. */
  #standBetween(): void {
    const connection = this.#connection;
    const given = connection.__scriptArgs__.bind(connection);
    connection.__scriptArgs__ = (name, id, args, reply) => {
      // Its sign of life is when the rest is looked after as well.
      if (name === 'heartbeat') this.#look();
      return given(name, id, args, (error, answer) => {
        // A server that has forgotten is told again, if bottleneck knows the error: since 7 Redis puts a word before it.
        if (error !== null) error.message = error.message.replace(/^ERR /, '');
        reply(error, answer);
      });
    };
  }

  #look(): void {
    this.#call('here').catch(() => this.#lose());
  }

  /** Calls the roll; and the keys are still needed. */
  async #call(how: RollKind): Promise<void> {
    const { clock, token, rollMs } = this.#init;
    const { among, sent, since, shareMs } = this.#listener.absence() ?? nothing;
    const forMs = sent === 0 ? 0 : clock.now() - since;
    const args = [token, how, Math.ceil(among), rollMs, sent, forMs, shareMs];
    const answer = await this.#client.eval(rollScript, this.#keys.length, ...this.#keys, ...args);
    const [waitMs, members, closed, minTime] = answer as RollAnswer;
    if (this.#over) return;
    this.members = members;
    this.#minTime = Number(minTime ?? this.#minTime);
    if (closed === 1) this.#limiter?.publish('open:all').catch(() => this.#lose());
    if (this.#open) {
      this.#check();
      return;
    }
    if (waitMs > 0) {
      clock.arm(this, clock.now() + waitMs);
      return;
    }
    this.#open = true;
    clock.disarm(this);
    this.#listener.joined(this);
  }

  #watch(): void {
    this.#cameAt = this.#init.clock.now();
    this.#check();
  }

  /** Turns that were asked for come in time, or bottleneck has lost them. Others may have made the pace a slower one. */
  #check(): void {
    const { clock, timeoutMs } = this.#init;
    if (this.#asked === 0) {
      clock.disarm(this);
      return;
    }
    const until = this.#cameAt + ASKED * this.members * this.#minTime + timeoutMs + GRACE_MS;
    if (clock.now() >= until) this.#lose();
    else clock.arm(this, until);
  }
}

const ignore = (): void => {};
const nothing: Absence = { among: 1, sent: 0, since: 0, shareMs: 0 };
