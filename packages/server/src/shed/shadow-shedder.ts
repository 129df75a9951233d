/**
 * @module Lets everybody in, and says of how many it would have been too many. What nobody refuses is served as it is read,
 * so one that is too many does not show as a line: it shows in that ever more comes while the loop is at work. What is read
 * in a turn of the loop has come since the turn before was read; that, over the time of that turn, is what is asked for.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Next } from '../next.js';
import { formatLoad } from '../tell.js';
import { CALM, Demand, WINDOW_MS } from './demand.js';
import { FairShares } from './fair-shares.js';
import { GradientLimit } from './gradient-limit.js';
import { HeapPressure, RARELY } from './heap-pressure.js';
import { RANKS, rankOf } from './rank.js';
import type { ShedOptions } from './shed-options.js';
import type { Door, Shedder } from './shedder.js';
import { Uploads } from './uploads.js';

/** See the module. */
export class ShadowShedder implements Shedder {
  readonly admission = null;
  readonly waiting = 0;
  inFlight = 0;
  readonly #options: Readonly<ShedOptions>;
  readonly #demand = new Demand();
  readonly #limit: GradientLimit;
  readonly #heap: HeapPressure;
  readonly #shares: FairShares | null;
  readonly #uploads = new Uploads();
  /** Requests since the window began, by rank. */
  readonly #arrived = new Float64Array(RANKS);
  /** The share of each rank that would be refused at present. */
  readonly #refused = new Float64Array(RANKS);
  /** Whether there were more handlers at work than may be, for as long as the window lasts. */
  #crowded = false;
  /** Requests answered since the window began. */
  #left = 0;
  #turning = false;
  /** Monotonic ms at which this turn began to be read, and the last one of the window before. */
  #turnAt = 0;
  #readAt: number = Number.NEGATIVE_INFINITY;
  #windows = 0;
  #report: string | null = null;
  readonly #afterReading = (): void => {
    this.#turning = false;
    if (this.#turnAt - this.#readAt >= WINDOW_MS) this.#endWindow();
  };

  constructor(options: Readonly<ShedOptions>) {
    this.#options = options;
    this.#limit = new GradientLimit(options);
    this.#heap = new HeapPressure(options.heapRatio);
    this.#shares = options.tenant === null ? null : new FairShares();
  }

  get demand(): number {
    return this.#demand.value;
  }
  get limit(): number {
    return this.#limit.value;
  }
  get loadReport(): string {
    const { busy, value, perSecond } = this.#demand.told;
    this.#report ??= formatLoad({ cpu: busy, memory: this.#heap.ratio, application: value, perSecond });
    return this.#report;
  }

  arrive(door: Door, request: IncomingMessage, response: ServerResponse, next: Next, at: number): void {
    if (!this.#turning) {
      this.#turning = true;
      this.#turnAt = at;
      this.#options.loop.afterReading(this.#afterReading);
    }
    const { tenant, clock } = this.#options;
    const greedy = tenant !== null && (this.#shares as FairShares).exceeds(tenant(request));
    const rank = rankOf(door, door.read(request), greedy);
    this.#arrived[rank] = (this.#arrived[rank] as number) + 1;
    this.#demand.arrived++;
    this.#demand.admitted++;
    if (this.#crowded) this.#crowded = this.inFlight - this.#limit.value >= this.#uploads.coming(at);
    const share = this.#refused[rank] as number;
    if (this.#heap.refuses(rank, clock) || (share > 0 && clock.random() < share)) door.wouldTurnAway();
    this.inFlight++;
    door.letIn(request, response, next, at, at);
  }

  upload(request: IncomingMessage): void {
    this.#uploads.add(request);
  }

  leave(request: IncomingMessage, ms: number | null): void {
    if (!this.#uploads.delete(request) && ms !== null) this.#limit.sample(ms, this.inFlight);
    this.#left++;
    this.inFlight--;
  }

  #endWindow(): void {
    const demand = this.#demand;
    const { clock, loop } = this.#options;
    const readMs = this.#turnAt - this.#readAt;
    this.#readAt = this.#turnAt;
    // Above the limit, as many as are done with are what can be done.
    const crowding = this.#crowded ? demand.arrived / Math.max(1, this.#left) : 0;
    this.#crowded = this.inFlight > this.#limit.value;
    this.#left = 0;
    this.#report = null;
    if (this.#windows++ % RARELY === 0) this.#heap.look(loop);
    demand.turn(clock.now(), loop.activeMs(), crowding, readMs);
    if (this.#windows % 2 === 0) this.#limit.update(demand.value <= 0.9);
    this.#shares?.turn(demand.value > CALM);
    let left = demand.value > CALM ? (1 - 1 / demand.value) * this.#arrived.reduce((sum, each) => sum + each, 0) : 0;
    for (let rank = RANKS - 1; rank >= 0; rank--) {
      const arrived = this.#arrived[rank] as number;
      this.#refused[rank] = arrived === 0 ? 0 : Math.min(1, left / arrived);
      left = Math.max(0, left - arrived);
    }
    this.#arrived.fill(0);
  }
}
