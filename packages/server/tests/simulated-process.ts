/**
 * @module A process with one thread, in virtual time: an event loop that reads what has come, runs handlers that keep it at
 * work, and waits in between. What comes while it is at work lies in the kernel, as in a real one, where nobody sees it.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Clock, Timer } from '@fairlead/core';
import { VirtualClock } from '@fairlead/testing';
import { InboundHeaders } from '../src/headers/inbound-headers.js';
import type { Door, EventLoop, Shedder } from '../src/index.js';

/** What became of a request. */
export interface Outcome {
  /** When the client sent it, in ms. */
  readonly sent: number;
  /** Until it had the answer, in ms. */
  readonly ms: number;
  readonly admitted: boolean;
  /** Which of the {@link Source}s it is of. */
  readonly source: number;
}

/** Requests that come by a Poisson process. */
export interface Source {
  readonly perSecond: number;
  readonly fromMs?: number;
  readonly toMs: number;
  readonly headers?: readonly string[];
  readonly tenant?: string;
}

/** What things cost, in ms. */
export interface Costs {
  /** CPU of a handler. */
  readonly handlerMs: number;
  /** How long it waits for something else, besides. */
  readonly awaitsMs?: number | ((now: number) => number);
  /** To read a request, to refuse one, to turn the loop. */
  readonly readMs?: number;
  readonly refuseMs?: number;
  readonly turnMs?: number;
}

interface Pending {
  readonly at: number;
  readonly source: number;
}

/** The process, and the clock and the loop that its shedder is given. */
export class SimulatedProcess implements Clock, EventLoop, Door {
  readonly outcomes: Outcome[] = [];
  readonly #chance: VirtualClock;
  readonly #costs: Required<Costs>;
  readonly #timers = new Set<Timer>();
  #now = 0;
  #active = 0;
  #immediates: (() => void)[] = [];
  #waits: { at: number; run: () => void }[] = [];
  readonly ordinary = 1;
  readonly #headers = new InboundHeaders();
  shedder!: Shedder;
  heap = 0;
  /** What callers were told with each answer. */
  readonly admissions: (string | null)[] = [];
  /** Requests that were let in by a shedder that only watches, and that it would have refused. */
  readonly shadowed: { readonly at: number; readonly source: number }[] = [];
  #arriving!: Pending;

  constructor(costs: Costs, seed = 1) {
    this.#chance = new VirtualClock({ seed });
    this.#costs = { awaitsMs: 0, readMs: 0.012, refuseMs: 0.015, turnMs: 0.002, ...costs };
  }

  now(): number {
    return this.#now;
  }
  wall(): number {
    return this.#now;
  }
  random(): number {
    return this.#chance.random();
  }
  randomFill(bytes: Uint8Array): void {
    this.#chance.randomFill(bytes);
  }
  arm(timer: Timer, at: number): void {
    timer.due = at;
    timer._list = timer;
    this.#timers.add(timer);
  }
  disarm(timer: Timer): void {
    timer._list = null;
    this.#timers.delete(timer);
  }
  afterReading(run: () => void): void {
    this.#immediates.push(run);
  }
  activeMs(): number {
    return this.#active;
  }
  heapRatio(): number {
    return this.heap;
  }

  /** The loop works for so long. */
  work(ms: number): void {
    this.#now += ms;
    this.#active += ms;
  }

  read(request: IncomingMessage): InboundHeaders {
    return this.#headers.read(request.rawHeaders);
  }

  letIn(request: IncomingMessage): void {
    const began = this.#now;
    this.work(this.#costs.handlerMs);
    const { awaitsMs } = this.#costs;
    const waits = typeof awaitsMs === 'number' ? awaitsMs : awaitsMs(this.#now);
    const answer = (): void => {
      this.shedder.leave(request, this.#now - began);
      this.#over(request, true);
    };
    if (waits === 0) answer();
    else this.#await(this.#now + waits, answer);
  }

  /** Kept in order, since there are many. */
  #await(at: number, run: () => void): void {
    let i = this.#waits.length;
    while (i > 0 && (this.#waits[i - 1] as { at: number }).at > at) i--;
    this.#waits.splice(i, 0, { at, run });
  }

  turnAway(request: IncomingMessage): void {
    this.work(this.#costs.refuseMs);
    this.#over(request, false);
  }

  wouldTurnAway(): void {
    this.shadowed.push(this.#arriving);
  }

  #over(request: IncomingMessage, admitted: boolean): void {
    const { at, source } = request as unknown as Pending;
    this.admissions.push(this.shedder.admission);
    this.outcomes.push({ sent: at, ms: this.#now - at, admitted, source });
  }

  /** Runs until everything has been answered. `pauses` stop the loop at a time for so long. */
  run(sources: readonly Source[], pauses: readonly { at: number; ms: number }[] = []): void {
    const arrivals = sources.flatMap((source, i) => this.#arrivals(source, i)).sort((a, b) => a.at - b.at);
    const stops = [...pauses];
    let next = 0;
    for (;;) {
      if (stops.length > 0 && this.#now >= (stops[0] as { at: number }).at)
        this.work((stops.shift() as { ms: number }).ms);
      const timers = [...this.#timers].filter((timer) => timer.due <= this.#now);
      for (const timer of timers) {
        this.disarm(timer);
        timer.fire();
      }
      const ready = this.#now;
      let done = 0;
      while (done < this.#waits.length && (this.#waits[done] as { at: number }).at <= ready) done++;
      for (const { run } of this.#waits.splice(0, done)) run();
      while (next < arrivals.length && (arrivals[next] as Pending).at <= ready) {
        const arrival = arrivals[next++] as Pending;
        this.work(this.#costs.readMs);
        this.#arriving = arrival;
        const source = sources[arrival.source] as Source;
        const request = {
          ...arrival,
          rawHeaders: source.headers ?? [],
          socket: { destroyed: false },
          tenant: source.tenant,
        };
        this.shedder.arrive(
          this,
          request as never,
          { destroyed: false } as unknown as ServerResponse,
          () => {},
          this.#now,
        );
      }
      const immediates = this.#immediates;
      this.#immediates = [];
      for (const run of immediates) run();
      this.work(this.#costs.turnMs);
      if (this.#immediates.length > 0) continue;
      const times = [...this.#timers].map((timer) => timer.due);
      if (this.#waits.length > 0) times.push((this.#waits[0] as { at: number }).at);
      if (next < arrivals.length) times.push((arrivals[next] as Pending).at);
      if (times.length === 0) return;
      // Nothing to do: the loop waits.
      this.#now = Math.max(this.#now, Math.min(...times));
    }
  }

  #arrivals({ perSecond, fromMs = 0, toMs }: Source, source: number): Pending[] {
    const found: Pending[] = [];
    for (let at = fromMs; ; ) {
      at += (-Math.log(1 - this.random()) / perSecond) * 1_000;
      if (at >= toMs) return found;
      found.push({ at, source });
    }
  }

  /** Of the requests sent in [from, to): how many a second were answered, and how late, in ms. */
  between(
    fromMs: number,
    toMs: number,
    source?: number,
  ): { perSecond: number; p50: number; p99: number; refused: number; refusedP99: number } {
    const all = this.outcomes.filter(({ sent, source: s }) => sent >= fromMs && sent < toMs && (source ?? s) === s);
    const [good, bad] = [true, false].map((admitted) =>
      all
        .filter((each) => each.admitted === admitted)
        .map(({ ms }) => ms)
        .sort((a, b) => a - b),
    ) as [number[], number[]];
    const at = (list: number[], share: number): number => list[Math.floor(list.length * share)] ?? 0;
    const perSecond = (good.length * 1_000) / (toMs - fromMs);
    return {
      perSecond,
      p50: at(good, 0.5),
      p99: at(good, 0.99),
      refused: bad.length / Math.max(1, all.length),
      refusedP99: at(bad, 0.99),
    };
  }
}
