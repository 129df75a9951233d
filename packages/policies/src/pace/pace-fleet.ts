/** @module A pace that a fleet shares through Redis, and each process's share of it while Redis is away. */
import {
  type Checks,
  type Clock,
  ConfigError,
  checks,
  later,
  optionProblems,
  resolveOptions,
  systemClock,
  Timer,
} from '@fairlead/core';
import { loadBottleneck } from '../load-engine.js';
import { FleetLink, type LinkListener, type PaceRedis } from './pace-fleet-link.js';
import type { PaceLimiter } from './pace-tickets.js';

export type { PaceRedis } from './pace-fleet-link.js';

/** Options of {@link fleetPace}. */
export interface FleetPaceOptions {
  /**
   * An ioredis client (5 or 6), of one server. It is not used itself: the two connections that a fleet needs are made like
   * it, and closed by {@link FleetPace.close}. Has no default.
   */
  readonly redis: PaceRedis;
  /** Whose pace it is. Processes that give the same name, and use the same database, share it. Has no default. */
  readonly name: string;
  /** Longest time to connect, or for an answer of Redis, in ms. Default 500. */
  readonly timeoutMs: number;
  /**
   * How many processes divide the pace while Redis is away, or a function that says so; what is not a number from 1 counts
   * as 1. Default null: as many as were last seen in Redis, and 1 if Redis was never there.
   */
  readonly replicas: number | (() => number) | null;
}

/** The defaults of {@link fleetPace}; `redis` and `name` have none. */
export const fleetPaceDefaults: Readonly<Omit<FleetPaceOptions, 'redis' | 'name'>> = Object.freeze({
  timeoutMs: 500,
  replicas: null,
});

/** For `pace({ limiter })`. */
export interface FleetPace extends PaceLimiter {
  /** Whether Redis is away, and this process goes at its share. */
  readonly down: boolean;
  /** Lets go of both connections. Calls that come later go at this process's share. */
  close(): void;
  [Symbol.dispose](): void;
}

/** Pauses before Redis is tried again, in ms. They double. */
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 2_000;

type Go = () => void;

/** It is its own timer: the next turn of this process's share. */
class SharedPace extends Timer implements FleetPace, LinkListener {
  readonly #options: Readonly<FleetPaceOptions>;
  #clock: Clock = systemClock;
  #held: (ms: number) => void = () => {};
  #minTime = 100;
  /** Null while nobody tries to have one. */
  #link: FleetLink | null = null;
  #joined = false;
  #joining: Timer | null = null;
  #closed = false;
  #peers = 1;
  #tryAt = Number.NEGATIVE_INFINITY;
  #pauseMs = FIRST_PAUSE_MS;
  /** Asked of the link. */
  readonly #asked = new Set<Go>();
  /** Waiting for our share, or for the first link to be there. */
  readonly #own: Set<Go> = new Set();
  /** When our share next lets one go, in monotonic ms. */
  #nextAt = Number.NEGATIVE_INFINITY;
  down = false;

  constructor(options: Readonly<FleetPaceOptions>) {
    super();
    this.#options = options;
  }

  begin(clock: Clock, perSecond: number, held: (ms: number) => void): void {
    this.#clock = clock;
    this.#held = held;
    this.#minTime = 1_000 / perSecond;
    // What was before, if anything, was by another clock.
    this.#nextAt = Number.NEGATIVE_INFINITY;
  }

  async schedule<R>(job: () => PromiseLike<R>): Promise<R> {
    await new Promise<void>((go) => this.#turn(go));
    return job();
  }

  updateSettings({ minTime }: { minTime: number }): void {
    this.#minTime = minTime;
    if (this.#joined) this.#link?.setMinTime(minTime);
  }

  hold(ms: number): void {
    if (this.#joined) this.#link?.hold(ms);
  }

  close(): void {
    this.#closed = true;
    const link = this.#link;
    link?.close();
    this.#leave();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  joined(link: FleetLink): void {
    if (link !== this.#link) return;
    this.#joined = true;
    this.down = false;
    this.#pauseMs = FIRST_PAUSE_MS;
    this.#stopWaiting();
    const waiting = [...this.#own];
    this.#own.clear();
    this.#clock.disarm(this);
    for (const go of waiting) this.#ask(link, go);
  }

  lost(link: FleetLink): void {
    if (link !== this.#link) return;
    if (this.#joined) this.#peers = link.peers;
    const now = this.#clock.now();
    this.#tryAt = now + this.#pauseMs * (0.5 + this.#clock.random() / 2);
    this.#pauseMs = Math.min(this.#pauseMs * 2, LONGEST_PAUSE_MS);
    this.#leave();
  }

  held(ms: number): void {
    this.#held(ms);
  }

  /** Our share lets one go. */
  fire(): void {
    const [go] = this.#own;
    if (go === undefined) return;
    this.#own.delete(go);
    this.#nextAt = this.#clock.now() + this.#shareMs;
    if (this.#own.size > 0) this.#clock.arm(this, this.#nextAt);
    go();
  }

  #turn(go: Go): void {
    const now = this.#clock.now();
    if (this.#link === null && !this.#closed && now >= this.#tryAt) this.#join();
    if (this.#joined && this.#link !== null) this.#ask(this.#link, go);
    else {
      this.#own.add(go);
      if (this.down) this.#serveOwn(now);
    }
  }

  #ask(link: FleetLink, go: Go): void {
    this.#asked.add(go);
    link.turn(async () => {
      // Otherwise the link was lost, and it went or goes by our share.
      if (this.#asked.delete(go)) go();
    });
  }

  #join(): void {
    const { redis, name, timeoutMs } = this.#options;
    const link = new FleetLink(redis, name, timeoutMs, this.#clock, this);
    this.#link = link;
    // A server that is frozen takes connections, and says nothing.
    this.#joining = later(this.#clock, 2 * timeoutMs, () => link.abandon(), true);
    void link.join(this.#minTime);
  }

  /** Without a link, whoever waited for it goes by our share. */
  #leave(): void {
    const now = this.#clock.now();
    this.#link = null;
    this.#joined = false;
    this.#stopWaiting();
    // The others have heard at the same moment, and must not all go at once.
    if (!this.down) this.#nextAt = now + this.#clock.random() * this.#shareMs;
    this.down = true;
    for (const go of this.#asked) this.#own.add(go);
    this.#asked.clear();
    this.#serveOwn(now);
  }

  #stopWaiting(): void {
    if (this.#joining !== null) this.#clock.disarm(this.#joining);
    this.#joining = null;
  }

  #serveOwn(now: number): void {
    if (this.#own.size > 0 && !this.armed) this.#clock.arm(this, Math.max(now, this.#nextAt));
  }

  /** Time between two turns of our share, in ms. */
  get #shareMs(): number {
    const { replicas } = this.#options;
    let among: number;
    try {
      among = typeof replicas === 'function' ? replicas() : (replicas ?? this.#peers);
    } catch {
      among = 1;
    }
    return this.#minTime * (among >= 1 && Number.isFinite(among) ? among : 1);
  }
}

/**
 * Makes a limiter for `pace` that all processes share which give the same name: together they let go what one `pace` would
 * alone, one call after the other. The engine is bottleneck's Redis mode.
 *
 * While Redis is away (down, frozen, too slow, restarting) each process goes at its share, `perSecond / replicas`, and
 * whoever waits is moved over, so that no call ever waits for Redis. It is tried again when there are calls, after pauses of
 * 0.1 to 2 s. What a partner asks of one process (429, `Retry-After`) holds all of them; the pace learned by the last one
 * to learn is the pace of all.
 *
 * Connects with the first call. A turn costs two questions to Redis, some 5 ms; a process gets some 200 per second. One
 * limiter is for one layer.
 * @throws ConfigError if an option is wrong, or bottleneck is not installed
 */
export function fleetPace(options: Pick<FleetPaceOptions, 'redis' | 'name'> & Partial<FleetPaceOptions>): FleetPace {
  // Null is what the checks refuse, so that a missing option is reported like a wrong one.
  const problems = optionProblems<FleetPaceOptions>('fleetPace', { ...options, name: options?.name ?? null }, rules);
  const { duplicate, isCluster } = Object(options?.redis) as { duplicate?: unknown; isCluster?: unknown };
  if (typeof duplicate !== 'function' || isCluster === true) {
    // Without the value: whoever gives a URL or connection options instead has put a password into it.
    problems.push({ name: 'fleetPace.redis', expected: 'an ioredis client of one server' });
  }
  if (problems.length > 0) throw new ConfigError(problems, 'options of fleetPace');
  loadBottleneck();
  return new SharedPace(resolveOptions('fleetPace', options, fleetPaceDefaults as Readonly<FleetPaceOptions>, rules));
}

const rules: Checks<FleetPaceOptions> = {
  // Checked apart, see above.
  redis: checks.any(),
  name: checks.text(),
  timeoutMs: checks.ms(1),
  replicas: checks.orNull(checks.either(checks.number(1), checks.fn('a function that gives one'))),
};
