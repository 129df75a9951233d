/** @module A token bucket for each of many callers, shared by every process that asks the same Redis. */
import { Scope, systemClock } from '@fairlead/core';
import { Ahead, type Local } from './ahead.js';
import { Contact } from './contact.js';
import { type FleetBucketsInit, type FleetBucketsOptions, resolveFleetOptions } from './fleet-options.js';
import { type Asker, type Ending, Question } from './question.js';
import { Shares } from './shares.js';
import { type FleetVerdict, verdictOf } from './verdict.js';

/** Buckets by key, of a whole fleet. A limiter for `rateLimit` of `@fairlead/server`, too. */
export interface FleetBuckets {
  /**
   * Takes `cost` units out of the fleet's bucket of `key`, if they are there. Decided at once if this process holds enough
   * units, or knows that there are not; else one round trip to Redis. Without an answer within `timeoutMs`, or while Redis is
   * known to be down, this process decides by `onDown`.
   * @param key whose bucket; see `prefix`
   * @param cost default 1; what is not a number from 0 counts as 1; 0 asks Redis how things are
   * @param scope whose clock is used, and with whose cancellation the wait ends; default one that is never canceled, on
   * the real clock
   * @throws the reason of `scope`, at once if it is canceled or expired, else as a rejection; nothing else
   */
  ask(key: string, cost?: number, scope?: Scope): FleetVerdict | Promise<FleetVerdict>;
  /** The same, always as a promise. */
  take(key: string, cost?: number, scope?: Scope): Promise<FleetVerdict>;
  /**
   * Returns units that were granted since monotonic time `since`, for a request that something else has refused. This process
   * keeps them for its next request of the same key, for as long as the bucket is not full without them.
   */
  giveBack(key: string, since: number, cost: number): void;
  readonly perSecond: number;
  readonly burst: number;
  /** Whether the last that was heard of Redis was bad, so that this process decides. */
  readonly down: boolean;
}

class Buckets implements FleetBuckets, Asker {
  readonly #options: Readonly<FleetBucketsOptions>;
  readonly #contact = new Contact();
  readonly #shares: Shares;
  readonly #ahead: Ahead;
  readonly #unbounded = new Scope(systemClock);

  constructor(options: Readonly<FleetBucketsOptions>) {
    this.#options = options;
    const { perSecond, burst, aheadRatio, maxKeys } = options;
    this.#shares = new Shares(perSecond, burst, maxKeys);
    this.#ahead = new Ahead(perSecond, burst, aheadRatio, maxKeys);
  }

  get perSecond(): number {
    return this.#options.perSecond;
  }

  get burst(): number {
    return this.#options.burst;
  }

  get down(): boolean {
    return this.#contact.down;
  }

  ask(key: string, cost = 1, scope: Scope = this.#unbounded): FleetVerdict | Promise<FleetVerdict> {
    const { clock } = scope;
    const now = clock.now();
    scope.throwIfExpired(now);
    const units = cost >= 0 && cost < Number.POSITIVE_INFINITY ? cost : 1;
    const local = this.#ahead.decide(key, units, now, this.#contact.era);
    if (local !== null) {
      if (local.allowed) this.#refill(key, now, scope);
      return this.#verdict(units, local);
    }
    const ticket = this.#contact.enter(now);
    if (ticket < 0) return this.#decide(key, units, now);
    const replicas = this.#replicas();
    const division = this.#ahead.division(replicas);
    const ahead = this.#ahead.want(key, now, division, ticket);
    return new Promise((resolve, reject) => {
      this.#put(
        new Question(this, { key, cost: units, ticket, at: now, division, ahead }, scope, resolve, reject),
        replicas,
      );
    });
  }

  take(key: string, cost?: number, scope?: Scope): Promise<FleetVerdict> {
    try {
      return Promise.resolve(this.ask(key, cost, scope));
    } catch (reason) {
      return Promise.reject(reason);
    }
  }

  giveBack(key: string, since: number, cost: number): void {
    this.#ahead.giveBack(key, cost, since, this.#contact.era);
  }

  /** Asks for more before nothing is left, for nobody in particular. */
  #refill(key: string, now: number, { clock }: Scope): void {
    const replicas = this.#replicas();
    const division = this.#ahead.division(replicas);
    const ticket = this.#contact.era;
    const ahead = this.#ahead.want(key, now, division, ticket);
    if (ahead === 0) return;
    this.#put(
      new Question(this, { key, cost: 0, ticket, at: now, division, ahead }, new Scope(clock), ignore, ignore),
      replicas,
    );
  }

  #put(question: Question, replicas: number): void {
    const { redis, perSecond, prefix, timeoutMs } = this.#options;
    const { key, cost, at, division } = question.subject;
    const missing = this.#shares.missing(key, at, replicas);
    const stepUs = 1e6 / perSecond;
    const numbers = [division.depth * stepUs, cost * stepUs, missing * stepUs, stepUs] as const;
    question.ask(redis, timeoutMs, `${prefix}{${key}}`, numbers);
  }

  ended({ subject, scope, resolve }: Question, ending: Ending): void {
    const { key, cost, ticket, at, division, ahead } = subject;
    if (ahead > 0) this.#ahead.settled(key);
    const now = scope.clock.now();
    if (typeof ending === 'object') {
      const timely = ticket === this.#contact.era;
      this.#contact.succeeded(ticket);
      const { allowed } = ending;
      const debt = (ending.debtUs * this.#options.perSecond) / 1e6;
      // Redis may have been lost and found since an untimely question: what it brings ahead is not to be used.
      const found = timely
        ? this.#ahead.heard(key, at, now, division, this.#contact.era, { allowed, debt, ahead: ending.ahead })
        : { allowed, debt, depth: division.depth };
      resolve(this.#verdict(cost, found));
      return;
    }
    if (ending === 'down') this.#contact.failed(ticket, scope.clock);
    else this.#contact.succeeded(ticket);
    resolve(this.#decide(key, cost, now));
  }

  canceled({ subject, reject }: Question, reason: unknown): void {
    if (subject.ahead > 0) this.#ahead.settled(subject.key);
    this.#contact.abandoned(subject.ticket);
    reject(reason);
  }

  /** What Redis says, or has said. */
  #verdict(cost: number, { allowed, debt, depth }: Local): FleetVerdict {
    return verdictOf({ allowed, cost, debt, depth, perSecond: this.#options.perSecond }, depth, true);
  }

  /** What this process says by itself. */
  #decide(key: string, cost: number, now: number): FleetVerdict {
    const { perSecond, burst, onDown, timeoutMs } = this.#options;
    if (onDown === 'closed') {
      const waitMs = Math.max(timeoutMs, this.#contact.pauseMs(now));
      const retryAfterMs = cost > burst ? Number.POSITIVE_INFINITY : waitMs;
      return { allowed: false, limit: burst, remaining: 0, resetMs: waitMs, retryAfterMs, shared: false };
    }
    const replicas = this.#replicas();
    const open = onDown === 'open';
    const { allowed, debt } = this.#shares.take(key, now, cost, replicas, open);
    const share = { depth: burst / replicas, perSecond: perSecond / replicas };
    return verdictOf({ allowed: allowed || open, cost, debt, ...share }, burst, false);
  }

  #replicas(): number {
    const { replicas } = this.#options;
    if (typeof replicas === 'number') return replicas;
    try {
      const count = replicas();
      return count >= 1 && count < Number.POSITIVE_INFINITY ? count : 1;
    } catch {
      return 1;
    }
  }
}

function ignore(): void {}

/**
 * Makes token buckets that a fleet shares: of each key at most `burst + perSecond * t` units are granted in any time t,
 * by all processes together, on the clock of the Redis server. Redis 5 or newer, or Valkey.
 *
 * With `aheadRatio` a process takes units ahead; it refuses by itself for as long as it knows that a bucket cannot have filled.
 * Neither lets more through. What may be held ahead is not in the bucket, so it can be missing from a burst.
 *
 * While Redis is down or slow, `onDown` decides. What is missing from this process's share of a bucket, times `replicas`,
 * is told to Redis with the next requests for it, so that its return brings no second burst. Nobody waits longer than
 * `timeoutMs`, and only one request at a time finds out, after pauses of 50 ms to 2 s, whether Redis is back.
 *
 * Source: GCRA, see {@link bucketScript}, {@link Shares} and {@link Ahead}.
 * @throws ConfigError if an option is missing, unknown or wrong
 */
export function fleetBuckets(options: FleetBucketsInit): FleetBuckets {
  return new Buckets(resolveFleetOptions(options));
}
