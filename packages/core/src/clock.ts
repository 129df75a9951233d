/**
 * @module Time, timers and chance. This is the only file of the project that touches the real ones; everything else
 * asks the {@link Clock} that travels with a call, so a test can own all three.
 */
import { randomFillSync } from 'node:crypto';

/**
 * Something that happens later. A timer is an object rather than a callback so that whoever needs one (a
 * {@link Scope}, for instance) can *be* one: arming it then allocates nothing.
 */
export abstract class Timer {
  /** @internal Neighbours in the wheel slot that holds this timer. */
  _next: Timer | null = null;
  /** @internal */
  _prev: Timer | null = null;
  /** @internal The list head this timer hangs on, or null while it is not armed. */
  _list: Timer | null = null;
  /** Monotonic time at which the timer fires, in ms; meaningful while it is armed. */
  due = 0;
  /** A background timer does not keep the process alive. Set it before arming. */
  background = false;

  /** Whether the timer is waiting to fire. */
  get armed(): boolean {
    return this._list !== null;
  }

  /** Called once when the timer is due. Must not throw. */
  abstract fire(): void;
}

/** The outside world as far as time and chance go. */
export interface Clock {
  /** Monotonic time in ms, with a fraction. Never goes back, says nothing about the date. */
  now(): number;
  /** Milliseconds since 1970. May jump; use it only to read or write dates. */
  wall(): number;
  /** A number in [0, 1). */
  random(): number;
  /** Fills `bytes` with unpredictable bytes. */
  randomFill(bytes: Uint8Array): void;
  /** Makes `timer` fire at monotonic time `at` (in ms), never before it. Arming an armed timer moves it. */
  arm(timer: Timer, at: number): void;
  /** Makes sure that `timer` does not fire. Harmless if it is not armed. */
  disarm(timer: Timer): void;
}

class ListHead extends Timer {
  constructor() {
    super();
    this._next = this;
    this._prev = this;
  }
  fire(): void {}
}

function link(head: Timer, timer: Timer): void {
  const last = head._prev as Timer;
  last._next = timer;
  timer._prev = last;
  timer._next = head;
  head._prev = timer;
  timer._list = head;
}

function unlink(timer: Timer): void {
  const prev = timer._prev as Timer;
  const next = timer._next as Timer;
  prev._next = next;
  next._prev = prev;
  timer._next = null;
  timer._prev = null;
  timer._list = null;
}

/** Width of one slot in ms: the most that rounding adds to a delay. */
const TICK_MS = 4;
/** Slots in the wheel; a power of two. A later timer stays in its slot for more than one turn. */
const SLOTS = 1024;
const MASK = SLOTS - 1;

/**
 * The real clock. Its timers live in one hashed wheel (Varghese and Lauck, SOSP 1987, scheme 6) behind a single Node
 * timeout that sleeps until the next slot in use, so that arming and disarming cost tens of nanoseconds and a timeout
 * that does not happen costs nothing more. A timer fires never early and at most {@link TICK_MS} ms late, plus what the
 * event loop adds.
 */
class SystemClock implements Clock {
  readonly #slots: ListHead[] = [];
  #size = 0;
  #foreground = 0;
  /** Last tick whose slot was served. */
  #served: number;
  /** The tick that the Node timeout sleeps for, or Infinity. */
  #wakeTick = Number.POSITIVE_INFINITY;
  #sleeper: NodeJS.Timeout | null = null;
  readonly #wake = (): void => this.#turn();

  constructor() {
    for (let i = 0; i < SLOTS; i++) this.#slots.push(new ListHead());
    this.#served = Math.floor(performance.now() / TICK_MS);
  }

  now(): number {
    return performance.now();
  }

  wall(): number {
    return Date.now();
  }

  random(): number {
    return Math.random();
  }

  randomFill(bytes: Uint8Array): void {
    randomFillSync(bytes);
  }

  arm(timer: Timer, at: number): void {
    if (timer._list !== null) this.disarm(timer);
    timer.due = at;
    // Rounded up: never early. A due time in the past goes into the next slot to be served.
    const tick = Math.max(Math.ceil(at / TICK_MS), this.#served + 1);
    link(this.#slots[tick & MASK] as ListHead, timer);
    this.#size++;
    if (!timer.background && this.#foreground++ === 0) this.#sleeper?.ref();
    if (tick < this.#wakeTick) this.#sleepUntil(tick);
  }

  disarm(timer: Timer): void {
    if (timer._list === null) return;
    unlink(timer);
    this.#forget(timer);
  }

  #forget(timer: Timer): void {
    this.#size--;
    if (!timer.background && --this.#foreground === 0) this.#sleeper?.unref();
  }

  #sleepUntil(tick: number): void {
    if (this.#sleeper !== null) clearTimeout(this.#sleeper);
    this.#wakeTick = tick;
    this.#sleeper = setTimeout(this.#wake, Math.max(1, Math.ceil(tick * TICK_MS - performance.now())));
    if (this.#foreground === 0) this.#sleeper.unref();
  }

  #turn(): void {
    this.#sleeper = null;
    this.#wakeTick = Number.POSITIVE_INFINITY;
    // A fresh reading, not the tick we meant to wake for: the event loop may have been blocked meanwhile.
    const current = Math.floor(performance.now() / TICK_MS);
    const turns = Math.min(current - this.#served, SLOTS);
    const first = current - turns + 1;
    this.#served = Math.max(this.#served, current);
    for (let tick = first; tick <= current; tick++) this.#serve(this.#slots[tick & MASK] as ListHead, current);
    if (this.#size > 0 && this.#wakeTick === Number.POSITIVE_INFINITY) this.#sleepUntil(this.#nextUsed(current));
  }

  #serve(slot: ListHead, current: number): void {
    // Moves what is due to a list of its own first: firing one timer may arm or disarm any other.
    const due = new ListHead();
    for (let timer = slot._next as Timer; timer !== slot; ) {
      const next = timer._next as Timer;
      if (Math.ceil(timer.due / TICK_MS) <= current) {
        unlink(timer);
        link(due, timer);
      }
      timer = next;
    }
    while (due._next !== due) {
      const timer = due._next as Timer;
      unlink(timer);
      this.#forget(timer);
      timer.fire();
    }
  }

  #nextUsed(current: number): number {
    for (let tick = current + 1; tick <= current + SLOTS; tick++) {
      const slot = this.#slots[tick & MASK] as ListHead;
      if (slot._next !== slot) return tick;
    }
    return current + SLOTS;
  }
}

/** The real clock of this process. */
export const systemClock: Clock = new SystemClock();
