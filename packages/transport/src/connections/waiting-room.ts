/** @module Who waits for a connection, in the order in which they came. Whoever gives up leaves at once, from wherever he stands. */

/** Has a place in a {@link WaitingRoom}; in itself, so that to wait allocates nothing. */
export interface Waiting {
  /** Who came before; for the room alone. */
  ahead: Waiting | null;
  /** Who came after; for the room alone. */
  behind: Waiting | null;
}

/** A queue out of whose middle one can be taken. Each may be in one of them, once. */
export class WaitingRoom<T extends Waiting> {
  #first: T | null = null;
  #last: T | null = null;

  get empty(): boolean {
    return this.#first === null;
  }

  push(one: T): void {
    one.ahead = this.#last;
    if (this.#last === null) this.#first = one;
    else this.#last.behind = one;
    this.#last = one;
  }

  /** Takes out who has waited longest; null if nobody does. */
  shift(): T | null {
    const first = this.#first;
    if (first !== null) this.remove(first);
    return first;
  }

  /** Takes `one` out, if it is in. */
  remove(one: T): void {
    const { ahead, behind } = one;
    if (ahead !== null) ahead.behind = behind;
    else if (this.#first === one) this.#first = behind as T | null;
    else return;
    if (behind !== null) behind.ahead = ahead;
    else this.#last = ahead as T | null;
    one.ahead = null;
    one.behind = null;
  }
}
