/**
 * @module A cancellation tree that costs next to nothing until somebody cancels. A scope is its own timer (so a timeout
 * allocates nothing), links its children in place, and makes an `AbortSignal` only when one is asked for.
 */
import type { Clock } from './clock.js';
import type { Criticality } from './criticality.js';
import { CanceledError, TimeoutError, type TimeoutOf } from './errors.js';
import type { EndWatcher } from './reply.js';
import { followSignal, type SignalFollower, unfollowSignal } from './signal-followers.js';
import { Timer } from './timer.js';

/** Something that wants to know when a scope is canceled. */
export interface ScopeWatcher {
  /** Called at most once, synchronously, with the reason. Must not throw. */
  onCancel(reason: unknown): void;
}

/** How long a piece of work may go on, and who is told when it may not. */
export class Scope extends Timer implements ScopeWatcher, EndWatcher, SignalFollower {
  readonly clock: Clock;
  readonly parent: Scope | null;
  /** Monotonic ms at which this scope or one above it expires; `Infinity` if none does. */
  deadlineAt: number;
  /** True once the scope was canceled; it stays so after {@link close}. */
  canceled = false;
  /** Why, once it was. */
  reason: unknown = undefined;
  /** Set on the scope of an inbound request that is a repetition itself. Declared only: the other scopes have no room for it. */
  declare inheritedAttempt?: number;
  /** Set on the scope of an inbound request that says how critical it is; see `inheritedCriticality`. */
  declare criticality?: Criticality;
  /** Set once a call under this scope was given up by whoever repeats calls; see `giveUp`. */
  declare gaveUp?: true;
  #closed = false;
  #of: TimeoutOf = 'call';
  #ms = 0;
  #service: string | null = null;
  #watcher: ScopeWatcher | null = null;
  #more: Set<ScopeWatcher> | null = null;
  #firstChild: Scope | null = null;
  #nextSibling: Scope | null = null;
  #prevSibling: Scope | null = null;
  #controller: AbortController | null = null;
  #followed: AbortSignal[] | null = null;

  /** Makes a root; use {@link child} for the rest. */
  constructor(clock: Clock, parent: Scope | null = null) {
    super();
    this.clock = clock;
    this.parent = parent;
    if (parent === null) {
      this.deadlineAt = Number.POSITIVE_INFINITY;
      return;
    }
    this.deadlineAt = parent.deadlineAt;
    if (parent.canceled) {
      this.canceled = true;
      this.reason = parent.reason;
    } else if (!parent.#closed) {
      const first = parent.#firstChild;
      this.#nextSibling = first;
      if (first !== null) first.#prevSibling = this;
      parent.#firstChild = this;
    }
  }

  /** A scope that ends when this one is canceled, and may end earlier. */
  child(): Scope {
    return new Scope(this.clock, this);
  }

  /**
   * Cancels this scope at monotonic time `at` with a {@link TimeoutError} that says `of` and `ms`. A later time than the
   * scope already has is ignored, since the earlier one wins anyway; it stays so if that is taken back.
   * @param service whose time it is, for the error
   */
  expireAt(at: number, of: TimeoutOf, ms: number, service: string | null = null): void {
    if (this.canceled || this.#closed || !(at < this.deadlineAt)) return;
    this.#setDeadline(at);
    this.#of = of;
    this.#ms = ms;
    this.#service = service;
    this.clock.arm(this, at);
  }

  /** Takes this scope's own timeout back; a parent's still holds. */
  dropTimeout(): void {
    this.clock.disarm(this);
    this.#setDeadline(this.parent === null ? Number.POSITIVE_INFINITY : this.parent.deadlineAt);
  }

  #setDeadline(at: number): void {
    this.deadlineAt = at;
    // Children that were there before: each has the earlier of its own deadline and this one.
    for (let child = this.#firstChild; child !== null; child = child.#nextSibling) {
      child.#setDeadline(child.armed ? Math.min(child.due, at) : at);
    }
  }

  /** @internal */
  fire(): void {
    this.cancel(new TimeoutError({ of: this.#of, ms: this.#ms, service: this.#service }));
  }

  /** Milliseconds left; `Infinity` without a deadline, never below 0. */
  remainingMs(now: number = this.clock.now()): number {
    return Math.max(0, this.deadlineAt - now);
  }

  /**
   * Cancels this scope and everything below it. Timers may be late while the event loop is blocked, so code that starts
   * new work should ask {@link expired} rather than rely on this having happened.
   */
  cancel(reason: unknown = new CanceledError()): void {
    if (this.canceled || this.#closed) return;
    this.canceled = true;
    this.reason = reason;
    this.clock.disarm(this);
    this.#detach();
    while (this.#firstChild !== null) {
      const child: Scope = this.#firstChild;
      child.cancel(reason);
      // A child that was closed is not on the list; one that was canceled has taken itself off it.
      if (this.#firstChild === child) this.#unlinkChild(child);
    }
    const watcher = this.#watcher;
    this.#watcher = null;
    watcher?.onCancel(reason);
    // Left in place while they are told: one of them may unwatch another.
    const more = this.#more;
    if (more !== null) for (const each of more) each.onCancel(reason);
    this.#more = null;
    this.#controller?.abort(reason);
  }

  /** A parent's cancellation reaches its children through this. */
  onCancel(reason: unknown): void {
    this.cancel(reason);
  }

  /** Whether the scope is canceled, or its deadline has passed although no timer could fire yet. */
  expired(now: number = this.clock.now()): boolean {
    return this.canceled || now >= this.deadlineAt;
  }

  /**
   * @throws the reason if the scope is canceled; the {@link TimeoutError} to come if only its deadline has passed.
   */
  throwIfExpired(now: number = this.clock.now()): void {
    const reason = this.expiry(now);
    if (this.canceled) throw reason;
  }

  /** What {@link throwIfExpired} would throw, for whoever tells it in another way; undefined while the scope goes on. */
  expiry(now: number = this.clock.now()): unknown {
    if (!this.canceled && now >= this.deadlineAt) this.#expireChain(now);
    return this.canceled ? this.reason : undefined;
  }

  #expireChain(now: number): void {
    for (let scope: Scope | null = this; scope !== null; scope = scope.parent) {
      if (scope.armed && now >= scope.due) scope.fire();
    }
    if (!this.canceled) this.cancel(new TimeoutError({ of: this.#of, ms: this.#ms, service: this.#service }));
  }

  /** Tells `watcher` if this scope is canceled; at once if it already is. */
  watch(watcher: ScopeWatcher): void {
    if (this.canceled) watcher.onCancel(this.reason);
    else if (this.#closed) return;
    else if (this.#watcher === null) this.#watcher = watcher;
    else (this.#more ??= new Set()).add(watcher);
  }

  /** Takes {@link watch} back. */
  unwatch(watcher: ScopeWatcher): void {
    if (this.#watcher === watcher) this.#watcher = null;
    else this.#more?.delete(watcher);
  }

  /**
   * Cancels this scope with a {@link CanceledError} when `signal` aborts; at once if it already has. All scopes that follow
   * a signal share one listener, which goes with the {@link close} of the last.
   */
  follow(signal: AbortSignal): void {
    if (this.canceled || this.#closed) return;
    if (signal.aborted) {
      this.cancel(new CanceledError({ cause: signal.reason }));
      return;
    }
    (this.#followed ??= []).push(signal);
    followSignal(signal, this);
  }

  /** @internal A signal that is followed has aborted. */
  onAbort(reason: unknown): void {
    this.cancel(new CanceledError({ cause: reason }));
  }

  /** An `AbortSignal` of this scope, made on first use: it costs more than the rest of the stack together. */
  get signal(): AbortSignal {
    if (this.#controller === null) {
      this.#controller = new AbortController();
      if (this.canceled) this.#controller.abort(this.reason);
    }
    return this.#controller.signal;
  }

  /** Whether anything hangs on this scope: a child, a watcher, a timeout. Leak checks ask for it. */
  get busy(): boolean {
    return this.#firstChild !== null || this.#watcher !== null || (this.#more?.size ?? 0) > 0 || this.armed;
  }

  /** The request that this scope was made for is over, for `reply.onEnd(scope)`. */
  onOver(_error: unknown): void {
    this.close();
  }

  /** The work is over: lets go of timer, parent, children, watchers and signal. Nothing is canceled. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.clock.disarm(this);
    this.#detach();
    this.#watcher = null;
    this.#more = null;
    this.#firstChild = null;
  }

  #detach(): void {
    if (this.parent !== null) this.parent.#unlinkChild(this);
    if (this.#followed !== null) {
      for (const signal of this.#followed) unfollowSignal(signal, this);
      this.#followed = null;
    }
  }

  #unlinkChild(child: Scope): void {
    const prev = child.#prevSibling;
    const next = child.#nextSibling;
    if (prev !== null) prev.#nextSibling = next;
    else if (this.#firstChild === child) this.#firstChild = next;
    if (next !== null) next.#prevSibling = prev;
    child.#prevSibling = null;
    child.#nextSibling = null;
  }
}
