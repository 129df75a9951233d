/** @module Something that happens later, as an object that others can be. */

/**
 * Something that happens later. A timer is an object rather than a callback so that whoever needs one (a `Scope`, for
 * instance) can *be* one: arming it then allocates nothing.
 */
export abstract class Timer {
  /** @internal For the clock that armed it: neighbours on the list that holds this timer. */
  _next: Timer | null = null;
  /** @internal */
  _prev: Timer | null = null;
  /** @internal For the clock that armed it: the list that holds this timer, or null while it is not armed. */
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
