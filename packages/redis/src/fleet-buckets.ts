/** @module A token bucket for each of many callers, shared by every process that asks the same Redis. */
import { Scope, systemClock } from '@fairlead/core';
import { Contact } from './contact.js';
import { type FleetBucketsInit, type FleetBucketsOptions, resolveFleetOptions } from './fleet-options.js';
import { type Asker, type Ending, Question } from './question.js';
import { Shares } from './shares.js';
import { type FleetVerdict, verdictOf } from './verdict.js';

/** Buckets by key, of a whole fleet. */
export interface FleetBuckets {
  /**
   * Takes `cost` units out of the fleet's bucket of `key`, if they are there. One round trip to Redis; without an answer
   * within `timeoutMs`, or while Redis is known to be down, this process decides by `onDown`.
   * @param key whose bucket; see `prefix`
   * @param cost default 1; what is not a number from 0 counts as 1
   * @param scope whose clock is used, and with whose cancellation the wait ends; default one that is never canceled, on
   * the real clock
   * @throws the reason of `scope`, once it is canceled or expired; nothing else
   */
  take(key: string, cost?: number, scope?: Scope): Promise<FleetVerdict>;
  readonly perSecond: number;
  readonly burst: number;
  /** Whether the last that was heard of Redis was bad, so that this process decides. */
  readonly down: boolean;
}

class Buckets implements FleetBuckets, Asker {
  readonly #options: Readonly<FleetBucketsOptions>;
  readonly #contact = new Contact();
  readonly #shares: Shares;
  readonly #unbounded = new Scope(systemClock);

  constructor(options: Readonly<FleetBucketsOptions>) {
    this.#options = options;
    this.#shares = new Shares(options.perSecond, options.burst, options.maxKeys);
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

  take(key: string, cost = 1, scope: Scope = this.#unbounded): Promise<FleetVerdict> {
    return new Promise((resolve, reject) => {
      const now = scope.clock.now();
      scope.throwIfExpired(now);
      const units = cost >= 0 && cost < Number.POSITIVE_INFINITY ? cost : 1;
      const ticket = this.#contact.enter(now);
      if (ticket < 0) return resolve(this.#decide(key, units, now));
      const missing = this.#shares.missing(key, now, this.#replicas());
      const question = new Question(this, key, units, ticket, scope, resolve, reject);
      const { redis, perSecond, burst, prefix, timeoutMs } = this.#options;
      const stepUs = 1e6 / perSecond;
      question.ask(redis, timeoutMs, `${prefix}{${key}}`, [burst * stepUs, units * stepUs, missing * stepUs]);
    });
  }

  ended(question: Question, ending: Ending): void {
    const { key, cost, ticket, scope } = question;
    if (typeof ending === 'object') {
      this.#contact.succeeded(ticket);
      const { perSecond, burst } = this.#options;
      const debt = (ending.debtUs * perSecond) / 1e6;
      question.resolve(verdictOf({ allowed: ending.allowed, cost, debt, depth: burst, perSecond }, burst, true));
      return;
    }
    if (ending === 'down') this.#contact.failed(ticket, scope.clock);
    else this.#contact.succeeded(ticket);
    question.resolve(this.#decide(key, cost, scope.clock.now()));
  }

  canceled(question: Question, reason: unknown): void {
    this.#contact.abandoned(question.ticket);
    question.reject(reason);
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

/**
 * Makes token buckets that a fleet shares: of each key at most `burst + perSecond * t` units are granted in any time t,
 * by all processes together, exactly, on the clock of the Redis server. Redis 5 or newer, or Valkey.
 *
 * While Redis is down or slow, `onDown` decides. What is missing from this process's share of a bucket, times `replicas`,
 * is told to Redis with the next requests for it, so that its return brings no second burst. Nobody waits longer than
 * `timeoutMs`, and only one request at a time finds out, after pauses of 50 ms to 2 s, whether Redis is back.
 *
 * Source: GCRA, see {@link bucketScript} and {@link Shares}.
 * @throws ConfigError if an option is missing, unknown or wrong
 */
export function fleetBuckets(options: FleetBucketsInit): FleetBuckets {
  return new Buckets(resolveFleetOptions(options));
}
