/**
 * @module bottleneck as the engine of `pace`: it says when, we say who. A job of bottleneck is a ticket without a name; when
 * it runs, whoever is first in our queue goes. So what bottleneck cannot do is not asked of it, and what it does is:
 *
 * - A queued job of it cannot be taken back. A ticket nobody needs any more is simply not used.
 * - Four turns of the event loop and two locks keep it below some 400 jobs per second. Above 100 per second a ticket is for
 *   several calls.
 * - It waits by the wall clock. Should that be set back, tickets would be due hours later: a timer of ours finds out, and
 *   begins anew.
 * - Its Redis mode shares the pace with a fleet: `fleetPace`. Any other limiter may be handed in, too.
 */
import { type Clock, Timer } from '@fairlead/core';
import type Bottleneck from 'bottleneck';
import { loadBottleneck } from '../load-engine.js';

/** What `pace` needs of a limiter: a `Bottleneck` is one. It alone decides how fast its jobs run. */
export interface PaceLimiter {
  schedule<R>(job: () => PromiseLike<R>): Promise<R>;
  updateSettings(settings: { minTime: number }): unknown;
  /**
   * For a limiter that takes its pace from the layer that it was given to. Called once, before the first job.
   * @param held to be called when nobody of the fleet may go for so long, in ms
   */
  begin?(clock: Clock, perSecond: number, held: (ms: number) => void): void;
  /** The partner has asked this process to wait for so long, in ms; others may want to know. */
  hold?(ms: number): void;
}

/** Tickets that a layer may have out at once: enough that bottleneck's own latency does not show. */
export const MOST_OUT = 4;
/** Calls per second for which one ticket each is fine. */
const SINGLE_PER_SECOND = 100;
/** How late a ticket may be before it counts as lost, in ms. */
const GRACE_MS = 1_000;

/** Asks for tickets while somebody waits. */
export class PaceTickets extends Timer {
  readonly #clock: Clock;
  readonly #given: PaceLimiter | null;
  readonly #run: (calls: number) => void;
  /** Calls for each ticket that is asked for. */
  #batch: number;
  /** Null if one is given. */
  #own: Bottleneck | null;
  #minTime: number;
  #out = 0;
  #generation = 0;

  /**
   * @param run lets up to `calls` calls go; afterwards {@link want} is called again if there are more
   * @param given paces a fleet; null for a limiter of this layer alone
   */
  constructor(clock: Clock, perSecond: number, given: PaceLimiter | null, run: (calls: number) => void) {
    super();
    this.#clock = clock;
    this.#given = given;
    this.#run = run;
    this.#batch = this.#batchOf(perSecond);
    this.#minTime = (this.#batch * 1_000) / perSecond;
    this.#own = given === null ? this.#newLimiter() : null;
  }

  /** `waiting` calls wait. */
  want(waiting: number): void {
    const wanted = Math.min(MOST_OUT, Math.ceil(waiting / this.#batch));
    while (this.#out < wanted) this.#ask();
  }

  setRate(perSecond: number): void {
    const before = this.#minTime;
    this.#batch = this.#batchOf(perSecond);
    this.#minTime = (this.#batch * 1_000) / perSecond;
    // The tickets that are out come by the old pace, which may have been one in five minutes.
    if (this.#own !== null && this.#out > 0 && this.#minTime < before / 2) {
      this.fire();
      return;
    }
    // In Redis mode it asks a server, which may be gone; nobody else would hear of that.
    Promise.resolve(this.#limiter.updateSettings({ minTime: this.#minTime })).catch(ignore);
  }

  /** The tickets that are out have not come in time, or would not. */
  fire(): void {
    this.#generation++;
    const lost = this.#out * this.#batch;
    this.#out = 0;
    // They have timers, which would keep a process from ending.
    this.#own?.stop({ dropWaitingJobs: true }).catch(ignore);
    this.#own = this.#newLimiter();
    this.#clock.disarm(this);
    this.want(lost);
  }

  get #limiter(): PaceLimiter {
    return this.#given ?? (this.#own as Bottleneck);
  }

  /** A slow pace has no batches: it would be none. */
  #batchOf(perSecond: number): number {
    return this.#given === null ? Math.max(1, Math.ceil(perSecond / SINGLE_PER_SECOND)) : 1;
  }

  #newLimiter(): Bottleneck {
    return new (loadBottleneck())({ minTime: this.#minTime });
  }

  #ask(): void {
    const generation = this.#generation;
    const batch = this.#batch;
    this.#out++;
    if (this.#given === null) {
      this.#clock.arm(this, this.#clock.now() + this.#out * Math.max(this.#minTime, 10) + GRACE_MS);
    }
    // A limiter that fails (a Redis that is gone, say) must not hold anybody back: pacing is a courtesy.
    this.#limiter.schedule(settled).then(
      () => this.#came(generation, batch),
      () => this.#came(generation, batch),
    );
  }

  #came(generation: number, batch: number): void {
    if (generation !== this.#generation) return;
    if (--this.#out === 0) this.#clock.disarm(this);
    // One that was asked for at a faster pace is not worth as much any more.
    this.#run(Math.min(batch, this.#batch));
  }
}

const done = Promise.resolve();
const settled = (): Promise<void> => done;
const ignore = (): void => {};
