/**
 * @module Keeps a server that is asked for more than it can do at what it can do: a few wait, newest first, the rest is
 * refused at once and cheaply. Ideas: "Fail at Scale" (ACM Queue, 2015) for how long anybody waits, DAGOR (SoCC 2018) for
 * classes and for telling callers, Netflix's concurrency-limits for how many at a time.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { type Clock, Timer } from '@fairlead/core';
import type { Next } from '../next.js';
import { formatLoad } from '../tell.js';
import { CALM, Demand, WINDOW_MS } from './demand.js';
import type { EventLoop } from './event-loop.js';
import { FairShares } from './fair-shares.js';
import { GradientLimit } from './gradient-limit.js';
import { HeapPressure, RARELY } from './heap-pressure.js';
import { OpenDoor } from './open-door.js';
import { RANKS, rankOf } from './rank.js';
import { ShadowShedder } from './shadow-shedder.js';
import { resolveShed, type ShedOptions } from './shed-options.js';
import type { Door, Shedder } from './shedder.js';
import { Uploads } from './uploads.js';
import { Waiting, WaitingLines } from './waiting-line.js';

/** From this demand on, nobody waits for longer than can be of use. */
const OVERLOAD = 1.35;
/** For so long handlers may run in a turn of the loop before the rest of what was read has to wait in line, in ms. */
const TURN_MS = 5;
/** So much work is let in from the lines in one turn, in ms: what comes meanwhile is read only after it. At least one request. */
const SHIFT_MS = 1;
/** And no more than so many. */
const SHIFT = 32;
/**
 * How much longer others may wait than those in the last line, and how many more of them: it is the last that there is no room
 * for, and a burst of the others passes at its expense.
 */
const PATIENCE = 4;

class OverloadShedder extends Timer implements Shedder {
  readonly #options: Readonly<ShedOptions>;
  readonly #clock: Clock;
  readonly #loop: EventLoop;
  readonly #lines = new WaitingLines(RANKS);
  readonly #demand = new Demand();
  readonly #limit: GradientLimit;
  readonly #shares: FairShares | null;
  #door: Door | null = null;
  #inFlight = 0;
  readonly #uploads = new Uploads();
  /** Whether somebody had to wait for a handler to end since the window began. */
  #crowded = false;
  /** Mean time to the head of an answer, in ms. */
  #handlerMs = 0;
  /** Whether {@link #afterReading} will be called in this turn of the loop. */
  #turning = false;
  #turnAt = 0;
  #windows = 0;
  /** The last line that anybody stood in lately. */
  #last = 0;
  /** How long anybody may wait now, in ms, and how many. */
  #waitMs: number;
  #places: number;
  readonly #heap: HeapPressure;
  #told: string | null = null;
  /** Made once in a window, if anybody asks. */
  #report: string | null = null;
  readonly #afterReading = (): void => this.#turned();

  constructor(options: Readonly<ShedOptions>) {
    super();
    this.background = true;
    this.#options = options;
    this.#clock = options.clock;
    this.#loop = options.loop;
    this.#limit = new GradientLimit(options);
    this.#heap = new HeapPressure(options.heapRatio);
    this.#shares = options.tenant === null ? null : new FairShares();
    this.#waitMs = options.maxWaitMs;
    this.#places = options.maxWaiting;
  }

  get demand(): number {
    return this.#demand.value;
  }
  get admission(): string | null {
    return this.#told;
  }
  get loadReport(): string {
    const { busy, value, perSecond } = this.#demand.told;
    this.#report ??= formatLoad({ cpu: busy, memory: this.#heap.ratio, application: value, perSecond });
    return this.#report;
  }
  get limit(): number {
    return this.#limit.value;
  }
  get inFlight(): number {
    return this.#inFlight;
  }
  get waiting(): number {
    return this.#lines.size;
  }

  arrive(door: Door, request: IncomingMessage, response: ServerResponse, next: Next, at: number): void {
    const demand = this.#demand;
    if (!this.#turning) {
      this.#turning = true;
      this.#turnAt = at;
      this.#loop.afterReading(this.#afterReading);
    }
    if (at >= demand.windowEnd) this.#endWindow(at);
    demand.arrived++;
    if (
      this.#lines.size === 0 &&
      demand.value <= CALM &&
      at - this.#turnAt < TURN_MS &&
      !this.#isFull(at) &&
      this.#heap.over === 0
    ) {
      this.#inFlight++;
      demand.admitted++;
      door.letIn(request, response, next, at, at);
      return;
    }
    this.#door = door;
    this.#line(door, request, response, next, at);
  }

  /** Whether as many handlers as may are at work, and not waiting for what their callers send. */
  #isFull(now: number): boolean {
    const over = this.#inFlight - this.#limit.value;
    return over >= 0 && over >= this.#uploads.coming(now);
  }

  #line(door: Door, request: IncomingMessage, response: ServerResponse, next: Next, at: number): void {
    const said = door.read(request);
    const { timeoutMs } = said;
    const { tenant } = this.#options;
    const greedy = tenant !== null && (this.#shares as FairShares).exceeds(tenant(request));
    const rank = rankOf(door, said, greedy);
    if (this.#heap.refuses(rank, this.#clock)) {
      door.turnAway(request, response);
      return;
    }
    this.#lines.push(new Waiting(request, response, next, at, at + timeoutMs, rank));
    if (rank > this.#last) this.#last = rank;
    this.#makeRoom();
    if (this.#isFull(at)) this.#crowded = true;
    const due = at + Math.max(1, Math.min(timeoutMs, this.#waitMs));
    if (!this.armed || due < this.due) this.#clock.arm(this, due);
  }

  /** Everything that there was to be read has been: the newest of them is the one that has waited least in the kernel. */
  #turned(): void {
    this.#turning = false;
    const now = this.#clock.now();
    if (now >= this.#demand.windowEnd) this.#endWindow(now);
    if (this.#lines.size === 0) return;
    // Before the late are dropped: whoever can be served now has not waited in vain, and a process that got no time to
    // run, so that all of them are late, must not refuse all of them.
    this.#letIn(now, Math.min(SHIFT, Math.floor(SHIFT_MS / this.#demand.costMs)));
    if (this.#lines.size > 0) this.#dropLate(now);
    if (this.#lines.size > 0 && !this.#isFull(now)) this.#turnOn(now);
  }

  #turnOn(now: number): void {
    if (this.#turning) return;
    this.#turning = true;
    this.#turnAt = now;
    this.#loop.afterReading(this.#afterReading);
  }

  /** Lets `most` in, and at least one, if there is room for them. */
  #letIn(now: number, most: number): void {
    const hurry = this.#demand.value > CALM;
    let left = Math.max(1, most);
    while (left > 0 && !this.#isFull(now)) {
      const entry = this.#lines.take(hurry);
      if (entry === null) return;
      if (entry.gone) continue;
      this.#inFlight++;
      const door = this.#door as Door;
      entry.runInAsyncScope(door.letIn, door, entry.request, entry.response, entry.next, entry.at, now);
      // One that comes too late is told so, and has not been served.
      if (now >= entry.lateAt) continue;
      this.#demand.admitted++;
      left--;
    }
  }

  upload(request: IncomingMessage): void {
    this.#uploads.add(request);
  }

  leave(request: IncomingMessage, ms: number | null): void {
    // How long a caller took to send says nothing about this process.
    if (!this.#uploads.delete(request) && ms !== null) {
      this.#limit.sample(ms, this.#inFlight);
      this.#handlerMs = this.#handlerMs === 0 ? ms : this.#handlerMs + 0.05 * (ms - this.#handlerMs);
    }
    this.#inFlight--;
    if (this.#lines.size > 0 && !this.#turning) this.#turnOn(this.#clock.now());
  }

  #makeRoom(): void {
    while (this.#lines.size > this.#places) {
      const { rank } = this.#lines.last() as Waiting;
      if (rank < this.#last && this.#lines.size <= this.#places * PATIENCE) return;
      this.#turnAway(this.#lines.evict() as Waiting);
    }
  }

  /** Turns away who has waited for too long. They came one after the other, so that the first who has not is the end of it. */
  #dropLate(now: number): void {
    for (let rank = 0; rank < RANKS; rank++) {
      const waitMs = this.#patience(rank);
      for (;;) {
        const entry = this.#lines.oldest(rank);
        if (entry === null || now - entry.at < waitMs) break;
        this.#lines.remove(entry);
        this.#turnAway(entry);
      }
    }
  }

  #patience(rank: number): number {
    return rank < this.#last ? Math.min(this.#options.maxWaitMs, this.#waitMs * PATIENCE) : this.#waitMs;
  }

  #turnAway(entry: Waiting): void {
    if (entry.gone) return;
    const door = this.#door as Door;
    entry.runInAsyncScope(door.turnAway, door, entry.request, entry.response);
  }

  /** @internal Nobody has let those in who wait: handlers are slow, and all are at work. */
  fire(): void {
    const now = this.#clock.now();
    if (now >= this.#demand.windowEnd) this.#endWindow(now);
    let next = Number.POSITIVE_INFINITY;
    for (let rank = 0; rank < RANKS; rank++) {
      const waitMs = this.#patience(rank);
      let entry = this.#lines.oldest(rank);
      while (entry !== null) {
        const { newer } = entry;
        const due = Math.min(entry.at + waitMs, entry.lateAt);
        if (due > now) next = Math.min(next, due);
        else {
          this.#lines.remove(entry);
          this.#turnAway(entry);
        }
        entry = newer;
      }
    }
    if (next !== Number.POSITIVE_INFINITY) this.#clock.arm(this, Math.max(now + 1, next));
  }

  #endWindow(now: number): void {
    const { maxWaitMs, targetMs, maxWaiting } = this.#options;
    const demand = this.#demand;
    const elapsed = demand.windowEnd === Number.NEGATIVE_INFINITY ? 0 : now - demand.windowEnd + WINDOW_MS;
    const crowding =
      this.#crowded && elapsed > 0 ? ((demand.arrived / elapsed) * this.#handlerMs) / this.#limit.value : 0;
    const pace = demand.admitted > 0 && elapsed > 0 ? elapsed / demand.admitted : maxWaitMs;
    demand.turn(now, this.#loop.activeMs(), crowding);
    this.#crowded = this.#lines.size > 0 && this.#isFull(now);
    this.#windows++;
    this.#report = null;
    if (this.#windows % 2 === 0) this.#limit.update(demand.value <= 0.9);
    if (this.#windows % RARELY === 1) {
      this.#last = this.#lines.last()?.rank ?? 0;
      this.#heap.look(this.#loop);
    }
    // Between calm and overload the time to wait goes from the one to the other, by equal factors.
    const hurry = Math.min(1, Math.max(0, (demand.value - CALM) / (OVERLOAD - CALM)));
    const least = Math.min(maxWaitMs, Math.max(targetMs, 2.5 * pace));
    this.#waitMs = maxWaitMs * (least / maxWaitMs) ** hurry;
    this.#places = hurry === 0 ? maxWaiting : Math.min(maxWaiting, Math.ceil(this.#waitMs / pace) + 1);
    this.#told = hurry > 0 && demand.admission < 0.995 ? demand.admission.toFixed(3) : null;
    this.#shares?.turn(hurry > 0);
  }
}

/**
 * Makes a shedder, for the guard's option of this name.
 * @throws ConfigError if an option is unknown or wrong, or `minLimit` is above `maxLimit`
 */
export function shed(options?: Partial<ShedOptions>): Shedder {
  const resolved = resolveShed(options);
  if (resolved.mode === 'off') return new OpenDoor();
  return resolved.mode === 'shadow' ? new ShadowShedder(resolved) : new OverloadShedder(resolved);
}
