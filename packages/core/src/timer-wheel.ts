/**
 * @module Timers in one hashed wheel (Varghese and Lauck, "Hashed and Hierarchical Timing Wheels", SOSP 1987, scheme 6)
 * behind a single alarm that sleeps until the next slot in use. Arming and disarming cost tens of nanoseconds, whatever
 * the number of timers, and a timeout that does not happen costs nothing more.
 */
import { Timer } from './timer.js';

/** What drives a wheel: the time, and one alarm. */
export interface Alarm {
  /** Monotonic time in ms. */
  now(): number;
  /** Calls the wheel's `turn` in `ms`, instead of when it was set for before. A little early or late does no harm. */
  set(ms: number): void;
  /** Whether waiting for the alarm keeps the process alive, from now on and for every later `set`. */
  keepAlive(yes: boolean): void;
}

/** Width of one slot in ms: the most that rounding adds to a delay. */
const TICK_MS = 4;
/** Slots in the wheel; a power of two. A later timer stays in its slot for more than one turn. */
const SLOTS = 1024;
const MASK = SLOTS - 1;

/** How long the alarm goes on keeping the process alive after the last timer that wanted it was disarmed, in ms. */
const LINGER_MS = 20;

/** Its `due` is not later than that of any timer in it: a slot also holds timers of later turns of the wheel. */
class ListHead extends Timer {
  constructor() {
    super();
    this._next = this;
    this._prev = this;
  }
  get empty(): boolean {
    return this._next === this;
  }
  fire(): void {}
}

function link(head: ListHead, timer: Timer): void {
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

/** Makes the wheel turn, which is all that is wanted of it. */
class Nudge extends Timer {
  constructor() {
    super();
    this.background = true;
  }
  fire(): void {}
}

/** Fires a timer never early and less than one slot late, plus what the alarm adds. */
export class TimerWheel {
  readonly #alarm: Alarm;
  readonly #slots: ListHead[] = [];
  /** What a turn is about to fire. Kept apart, since firing one timer may arm or disarm any other. */
  readonly #due = new ListHead();
  #size = 0;
  #foreground = 0;
  /** Whether the alarm was told to keep the process alive. */
  #keeps = false;
  /**
   * Where calls come and go one by one each would begin and end to keep the process alive, and telling the event loop costs
   * more than the timeout itself. So the end is put off to the next turn, which this one sees to that it is soon.
   */
  readonly #nudge: Nudge = new Nudge();
  /** Last tick whose slot was served. */
  #served: number;
  /** The tick that the alarm is set for; `Infinity` if it is not set, `-Infinity` while a turn is on. */
  #wakeTick = Number.POSITIVE_INFINITY;

  constructor(alarm: Alarm) {
    this.#alarm = alarm;
    for (let i = 0; i < SLOTS; i++) this.#slots.push(new ListHead());
    this.#served = Math.floor(alarm.now() / TICK_MS);
  }

  arm(timer: Timer, at: number): void {
    if (timer._list !== null) this.disarm(timer);
    timer.due = at;
    // Rounded up: never early. A due time in the past goes into the next slot to be served.
    const tick = Math.max(Math.ceil(at / TICK_MS), this.#served + 1);
    const slot = this.#slots[tick & MASK] as ListHead;
    if (slot.empty || at < slot.due) slot.due = at;
    link(slot, timer);
    this.#size++;
    if (!timer.background) this.#keep();
    if (tick < this.#wakeTick) this.#sleepUntil(tick);
  }

  disarm(timer: Timer): void {
    if (timer._list === null) return;
    unlink(timer);
    this.#size--;
    if (timer.background || --this.#foreground > 0) return;
    // A turn that is on sees to it at its end.
    if (this.#nudge._list !== null || this.#wakeTick === Number.NEGATIVE_INFINITY) return;
    this.arm(this.#nudge, this.#alarm.now() + LINGER_MS);
  }

  #keep(): void {
    this.#foreground++;
    if (this.#keeps) return;
    this.#keeps = true;
    this.#alarm.keepAlive(true);
  }

  #letGo(): void {
    if (!this.#keeps || this.#foreground > 0) return;
    this.#keeps = false;
    this.#alarm.keepAlive(false);
  }

  /** The alarm rang: fires what is due, and sets it again. */
  turn(): void {
    // A fresh reading, not the tick we meant to wake for: the event loop may have been blocked meanwhile.
    const current = Math.floor(this.#alarm.now() / TICK_MS);
    const behind = Math.min(current - this.#served, SLOTS);
    this.#served = Math.max(this.#served, current);
    // Arming during the turn sets no alarm: the end of the turn knows better what comes next.
    this.#wakeTick = Number.NEGATIVE_INFINITY;
    for (let tick = current - behind + 1; tick <= current; tick++) this.#collect(this.#slots[tick & MASK] as ListHead);
    try {
      while (!this.#due.empty) {
        const timer = this.#due._next as Timer;
        this.disarm(timer);
        timer.fire();
      }
    } finally {
      // Also if one of them threw: its neighbours still have their turn.
      this.#wakeTick = Number.POSITIVE_INFINITY;
      this.#letGo();
      if (this.#size > 0) this.#sleepUntil(this.#nextUsed());
    }
  }

  #collect(slot: ListHead): void {
    let earliest = Number.POSITIVE_INFINITY;
    for (let timer = slot._next as Timer; timer !== slot; ) {
      const next = timer._next as Timer;
      if (Math.ceil(timer.due / TICK_MS) <= this.#served) {
        unlink(timer);
        link(this.#due, timer);
      } else if (timer.due < earliest) earliest = timer.due;
      timer = next;
    }
    slot.due = earliest;
  }

  #nextUsed(): number {
    const first = this.#served + 1;
    if (!this.#due.empty) return first;
    for (let tick = first; tick < this.#served + SLOTS; tick++) {
      const slot = this.#slots[tick & MASK] as ListHead;
      // A slot of later turns is passed over: to wake for each of a thousand idle timers, every 4 s, is no idling.
      if (!slot.empty && Math.ceil(slot.due / TICK_MS) <= tick) return tick;
    }
    return this.#served + SLOTS;
  }

  #sleepUntil(tick: number): void {
    this.#wakeTick = tick;
    this.#alarm.set(Math.max(1, Math.ceil(tick * TICK_MS - this.#alarm.now())));
  }
}
