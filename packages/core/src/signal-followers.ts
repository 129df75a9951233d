/**
 * @module Who is told when an `AbortSignal` aborts, behind one listener per signal. A signal looks through all of its
 * listeners whenever one is added or removed, so ten thousand calls that share the signal of a process that ends, each with
 * a listener, cost each of them ten thousand steps.
 */

/** Something that ends with a signal. */
export interface SignalFollower {
  /** The signal has aborted, for this reason. Called at most once. */
  onAbort(reason: unknown): void;
}

const everybody: WeakMap<AbortSignal, Followers> = new WeakMap();

class Followers {
  // One is what most signals have.
  #first: SignalFollower | null = null;
  #more: Set<SignalFollower> | null = null;

  add(follower: SignalFollower): void {
    if (this.#first === null && this.#more === null) this.#first = follower;
    else if (this.#first !== follower) (this.#more ??= new Set()).add(follower);
  }

  /** Whether nobody is left. */
  remove(follower: SignalFollower): boolean {
    if (this.#first === follower) this.#first = null;
    else if (this.#more?.delete(follower) === true && this.#more.size === 0) this.#more = null;
    return this.#first === null && this.#more === null;
  }

  handleEvent(event: Event): void {
    const { reason } = event.target as AbortSignal;
    if (this.#first !== null) tell(this.#first, reason);
    // Whoever is told may take others off.
    if (this.#more !== null) for (const each of this.#more) tell(each, reason);
  }
}

/** One that throws keeps no other from being told, as with listeners of their own. */
function tell(follower: SignalFollower, reason: unknown): void {
  try {
    follower.onAbort(reason);
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}

/** Tells `follower` when `signal`, which has not, aborts. */
export function followSignal(signal: AbortSignal, follower: SignalFollower): void {
  let followers = everybody.get(signal);
  if (followers === undefined) {
    followers = new Followers();
    signal.addEventListener('abort', followers);
    everybody.set(signal, followers);
  }
  followers.add(follower);
}

/** Takes {@link followSignal} back. The last one takes the listener along. */
export function unfollowSignal(signal: AbortSignal, follower: SignalFollower): void {
  const followers = everybody.get(signal);
  if (followers === undefined || !followers.remove(follower)) return;
  everybody.delete(signal);
  signal.removeEventListener('abort', followers);
}
