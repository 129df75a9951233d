/** @module Smooths calls to the pace that a partner allows. */
import {
  type Call,
  check,
  checks,
  type Handler,
  type Middleware,
  named,
  type Reply,
  type Runtime,
  rejected,
  resolveOptions,
  Timer,
} from '@fairlead/core';
import { Gcra } from '../limits/gcra.js';
import { loadBottleneck } from '../load-engine.js';
import { isMode, type PolicyMode } from '../policy-mode.js';
import { PaceQueue, PRIORITIES } from './pace-queue.js';
import { PaceRate } from './pace-rate.js';
import { type PaceLimiter, PaceTickets } from './pace-tickets.js';

export {
  type FleetPace,
  type FleetPaceOptions,
  fleetPace,
  fleetPaceDefaults,
  type PaceRedis,
} from './pace-fleet.js';
export type { PaceLimiter } from './pace-tickets.js';

/** Options of {@link pace}. */
export interface PaceOptions {
  /** Default `on`. In `shadow` nothing waits, and what would have is counted. */
  readonly mode: PolicyMode;
  /** Calls let go per second, evenly spread; from 0.001 to 2 000. Default 10. */
  readonly perSecond: number;
  /** Calls that may wait; one more is refused. From 1. Default 1 000. */
  readonly maxQueue: number;
  /** From 0, which goes first, to 9. What is not one of these, or throws, counts as 5. Default null: 5 for every call. */
  readonly priority: ((call: Call) => number) | null;
  /** Whether 429, `Retry-After` and `RateLimit` fields of the answers change the pace. Default true. */
  readonly learn: boolean;
  /**
   * A limiter that a fleet shares: {@link fleetPace}. `perSecond` is then the pace of the whole fleet, by which waits are
   * estimated, and what is learned changes it for all. Or a `Bottleneck` of your own, made with a `minTime` of its own; if
   * that fails, calls go without waiting. Default null: one of this layer alone.
   */
  readonly limiter: PaceLimiter | null;
}

/** The defaults of {@link pace}. */
export const paceDefaults: Readonly<PaceOptions> = Object.freeze({
  mode: 'on',
  perSecond: 10,
  maxQueue: 1_000,
  priority: null,
  learn: true,
  limiter: null,
});

const USUAL = 5;

const isLimiter = check('a fleetPace(), a Bottleneck, or null', (value) => {
  if (value === null) return true;
  const { schedule, updateSettings } = Object(value) as Partial<PaceLimiter>;
  return typeof schedule === 'function' && typeof updateSettings === 'function';
});

/** One paced service. Its timer is the end of a time in which nothing is let go. */
class Pacer extends Timer {
  readonly #options: Readonly<PaceOptions>;
  readonly #queue = new PaceQueue();
  readonly #rate: PaceRate;
  readonly #runtime: Runtime;
  readonly #tickets: PaceTickets;

  constructor(options: Readonly<PaceOptions>, runtime: Runtime) {
    super();
    this.#options = options;
    this.#runtime = runtime;
    this.#rate = new PaceRate(options.perSecond);
    options.limiter?.begin?.(runtime.clock, options.perSecond, (ms) => this.#rate.hold(runtime.clock.now(), ms));
    this.#tickets = new PaceTickets(runtime.clock, options.perSecond, options.limiter, (calls) => this.#serve(calls));
  }

  async pass(call: Call, next: Handler): Promise<Reply> {
    const { clock } = call.runtime;
    call.scope.throwIfExpired(call.at);
    const priority = this.#priorityOf(call);
    const waitMs = this.#estimateMs(priority, call.at);
    if (this.#queue.size >= this.#options.maxQueue || call.at + waitMs >= call.scope.deadlineAt) {
      const { service, runtime } = call;
      runtime.on?.({ type: 'limit.refused', service, by: 'pace', key: null, retryAfterMs: waitMs });
      throw rejected('pace', service, `${service}: refused by pace, ${this.#rate.perSecond} per second`, waitMs);
    }
    const turn = this.#queue.wait(call, priority);
    this.#pump(call.at);
    await turn;
    // Waiting is over: it says nothing of the service.
    const reply = await next(call.with({ at: clock.now() }));
    if (this.#options.learn) this.#learn(reply, call);
    return reply;
  }

  /** The time of holding back is over. */
  fire(): void {
    this.#tickets.want(this.#queue.size);
  }

  /** How long a call of `priority` would probably wait, in ms. */
  #estimateMs(priority: number, now: number): number {
    const held = Math.max(0, this.#rate.holdUntil - now);
    return held + (this.#queue.ahead(priority) * 1_000) / this.#rate.perSecond;
  }

  #pump(now: number): void {
    if (now >= this.#rate.holdUntil) this.#tickets.want(this.#queue.size);
    else if (!this.armed) this.#runtime.clock.arm(this, this.#rate.holdUntil);
  }

  #serve(calls: number): void {
    const now = this.#runtime.clock.now();
    if (now >= this.#rate.holdUntil) for (let i = 0; i < calls && this.#queue.serve(now); i++);
    if (this.#queue.size > 0) this.#pump(now);
  }

  #learn(reply: Reply, call: Call): void {
    const { clock } = call.runtime;
    const rate = this.#rate;
    const now = reply.at;
    const heldUntil = rate.holdUntil;
    if (!rate.observe(reply, now, clock.wall())) return;
    this.#tickets.setRate(rate.perSecond);
    const holdMs = Math.max(0, rate.holdUntil - now);
    if (rate.holdUntil !== heldUntil) this.#options.limiter?.hold?.(holdMs);
    call.runtime.on?.({ type: 'pace.changed', service: call.service, perSecond: rate.perSecond, holdMs });
    if (this.armed) clock.arm(this, rate.holdUntil);
  }

  #priorityOf(call: Call): number {
    let priority = USUAL;
    try {
      priority = this.#options.priority?.(call) ?? USUAL;
    } catch {
      // No call fails because nobody knows how urgent it is.
    }
    return Number.isInteger(priority) && priority >= 0 && priority < PRIORITIES ? priority : USUAL;
  }
}

/**
 * Makes a layer that lets `perSecond` calls go, evenly spread, and makes the others wait: for a partner who counts, and for
 * callers who would rather be late than refused. Waiting is bounded: by `maxQueue`, and by the deadline of each call, which
 * is refused at once by `pace` if its turn would come too late. What is canceled leaves the queue at once.
 *
 * The engine is bottleneck: see {@link PaceTickets}. It adds some milliseconds to every call, so this is never in a stack
 * that did not ask for it. One layer is for one service. Tells `limit.refused` and `pace.changed`.
 * @throws ConfigError if an option is wrong
 */
export function pace(options?: Partial<PaceOptions>): Middleware {
  const given = resolveOptions<PaceOptions>('pace', options, paceDefaults, {
    mode: isMode,
    perSecond: check('a number from 0.001 to 2000', (v) => typeof v === 'number' && v >= 0.001 && v <= 2_000),
    maxQueue: checks.integer(1),
    priority: checks.orNull(checks.fn('a function of the call')),
    learn: checks.boolean(),
    limiter: isLimiter,
  });
  if (given.mode === 'off') return named('pace', (call, next) => next(call));
  if (given.mode === 'shadow') return shadow(given);
  // Whoever sets up a stack hears at once if it is missing, and no call waits for it to be loaded.
  if (given.limiter === null) loadBottleneck();
  let pacer: Pacer | null = null;
  return named('pace', (call, next) => {
    pacer ??= new Pacer(given, call.runtime);
    return pacer.pass(call, next);
  });
}

/** What would wait is what a bucket that holds a single call would refuse. */
function shadow({ perSecond, maxQueue }: Readonly<PaceOptions>): Middleware {
  const gcra = new Gcra(perSecond, 1);
  let fullAt = 0;
  return named('pace', (call, next) => {
    const after = gcra.spend(fullAt, call.at, 1);
    const waitMs = gcra.waitMs(after, call.at);
    if (waitMs > 0) {
      call.runtime.on?.({ type: 'policy.shadowed', service: call.service, policy: 'pace', would: 'wait' });
    }
    // The queue would be full: such a call would not have gone.
    if (waitMs <= maxQueue * gcra.stepMs) fullAt = after;
    return next(call);
  });
}
