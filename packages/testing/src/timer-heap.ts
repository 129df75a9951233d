/** @module The armed timers of a virtual clock in the order in which they fire: by due time, then by arming. */
import type { Timer } from '@fairlead/core';

/** One arming of a timer. Disarming only empties it; the heap drops it when it comes up or when it cleans up. */
interface Entry {
  timer: Timer | null;
  readonly due: number;
  readonly order: number;
}

/** A binary heap whose members can be removed in constant time. */
export class TimerHeap {
  #heap: Entry[] = [];
  readonly #live = new Map<Timer, Entry>();
  #armings = 0;

  get size(): number {
    return this.#live.size;
  }

  /** How often anything was added, ever. */
  get armings(): number {
    return this.#armings;
  }

  /** The value of {@link armings} when `timer` was added. */
  armingOf(timer: Timer): number {
    return this.#live.get(timer)?.order ?? Number.NaN;
  }

  timers(): Iterable<Timer> {
    return this.#live.keys();
  }

  add(timer: Timer, due: number): void {
    this.remove(timer);
    const entry = { timer, due, order: this.#armings++ };
    this.#live.set(timer, entry);
    this.#heap.push(entry);
    this.#up(this.#heap.length - 1);
  }

  /** Whether the timer was here. */
  remove(timer: Timer): boolean {
    const entry = this.#live.get(timer);
    if (entry === undefined) return false;
    this.#live.delete(timer);
    entry.timer = null;
    // Timeouts that do not happen are the rule: without this they would pile up until their time comes.
    if (this.#heap.length > 64 && this.#heap.length > 2 * this.#live.size) this.#clean();
    return true;
  }

  /** The timer that fires next, or null. */
  first(): Timer | null {
    while (this.#heap.length > 0) {
      const timer = (this.#heap[0] as Entry).timer;
      if (timer !== null) return timer;
      this.#dropFirst();
    }
    return null;
  }

  #clean(): void {
    this.#heap = this.#heap.filter((entry) => entry.timer !== null).sort((a, b) => (before(a, b) ? -1 : 1));
  }

  #dropFirst(): void {
    const last = this.#heap.pop() as Entry;
    if (this.#heap.length === 0) return;
    this.#heap[0] = last;
    this.#down(0);
  }

  #up(index: number): void {
    const heap = this.#heap;
    const entry = heap[index] as Entry;
    let at = index;
    while (at > 0) {
      const above = (at - 1) >> 1;
      if (!before(entry, heap[above] as Entry)) break;
      heap[at] = heap[above] as Entry;
      at = above;
    }
    heap[at] = entry;
  }

  #down(index: number): void {
    const heap = this.#heap;
    const entry = heap[index] as Entry;
    let at = index;
    for (;;) {
      let below = 2 * at + 1;
      if (below >= heap.length) break;
      if (below + 1 < heap.length && before(heap[below + 1] as Entry, heap[below] as Entry)) below++;
      if (!before(heap[below] as Entry, entry)) break;
      heap[at] = heap[below] as Entry;
      at = below;
    }
    heap[at] = entry;
  }
}

function before(a: Entry, b: Entry): boolean {
  return a.due < b.due || (a.due === b.due && a.order < b.order);
}
