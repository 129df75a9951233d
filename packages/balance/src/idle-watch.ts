/**
 * @module The watch over the endpoints of one service: begun by the first call, given up when nobody calls any more, and
 * taken up again by the next call, which then waits a moment for what has changed meanwhile.
 */
import { type Resolver, type ResolverUpdate, type Runtime, Scope, Timer } from '@fairlead/core';

/** How long the first call after an idle time waits for discovery, before it takes what was known then. */
const PATIENCE_MS = 1_000;

/** Whose endpoints are watched. */
export interface Watched {
  readonly runtime: Runtime;
  /** Monotonic ms of the latest call; -Infinity before the first. */
  usedAt(): number;
  tell(update: ResolverUpdate): void;
  /** What was known has to do. */
  lostPatience(): void;
}

/** Watches while there are calls. It is its own timer: for the patience after an idle time, else for the next look. */
export class IdleWatch extends Timer {
  /** Whether the watch was taken up again and discovery has not answered yet. */
  waking = false;
  readonly #resolver: Resolver;
  readonly #watched: Watched;
  readonly #idleMs: number;
  #scope: Scope | null = null;
  #before = false;

  /** @param idleMs Infinity to watch for good */
  constructor(resolver: Resolver, idleMs: number, watched: Watched) {
    super();
    this.background = true;
    this.#resolver = resolver;
    this.#idleMs = idleMs;
    this.#watched = watched;
  }

  /** Whether the resolver watches. */
  get on(): boolean {
    return this.#scope !== null;
  }

  /** Starts the watch, which is off. */
  begin(): void {
    const { runtime } = this.#watched;
    const { clock } = runtime;
    const scope = new Scope(clock);
    this.#scope = scope;
    this.waking = this.#before;
    this.#before = true;
    if (this.waking) clock.arm(this, clock.now() + PATIENCE_MS);
    else this.#lookLater(clock.now());
    this.#resolver.watch((update) => this.#told(update, scope), scope, runtime);
  }

  /** Ends the watch. */
  end(): void {
    this.#watched.runtime.clock.disarm(this);
    this.waking = false;
    const scope = this.#scope;
    this.#scope = null;
    scope?.cancel();
  }

  fire(): void {
    const now = this.#watched.runtime.clock.now();
    if (this.waking) {
      this.#awake(now);
      this.#watched.lostPatience();
    } else if (now - this.#watched.usedAt() >= this.#idleMs) this.end();
    else this.#lookLater(this.#watched.usedAt());
  }

  #told(update: ResolverUpdate, scope: Scope): void {
    if (scope !== this.#scope) return;
    if (this.waking) this.#awake(this.#watched.runtime.clock.now());
    this.#watched.tell(update);
  }

  #awake(now: number): void {
    this.waking = false;
    this.#lookLater(now);
  }

  #lookLater(since: number): void {
    const { clock } = this.#watched.runtime;
    if (this.#idleMs === Number.POSITIVE_INFINITY) clock.disarm(this);
    else clock.arm(this, since + this.#idleMs);
  }
}
