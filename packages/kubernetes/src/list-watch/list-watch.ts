/**
 * @module The loop that keeps the slices of one Service up to date: everything once, then what changes, resume when the
 * watch ends, everything again when the server has forgotten where we were. What is known stays in force whatever happens
 * to the source; only an answer of the API server ever takes an endpoint away.
 */
import { errorCode, type Scope, type ScopeWatcher, Timer } from '@fairlead/core';
import type { SliceObject } from '../slices/objects.js';
import { type ListListener, type ListOptions, list } from './list.js';
import { type ApiServer, ApiServerError, UnreadableError } from './request.js';
import type { ServerState } from './server-state.js';
import { type WatchListener, watch } from './watch.js';

/** How a {@link ListWatch} goes about it. */
export interface ListWatchOptions extends ListOptions {
  /** How long a watch lasts at most, in seconds; each lasts 80 to 100 % of that, so that they do not end together. */
  readonly watchSeconds: number;
  /** After how long a watch is followed by everything anew instead of the next watch, in ms. */
  readonly relistMs: number;
  /** The shortest wait before the next try, in ms. */
  readonly minBackoffMs: number;
  /** The longest wait before the next try, in ms. */
  readonly maxBackoffMs: number;
}

/** Who is told what a {@link ListWatch} finds. */
export interface SliceListener extends ListListener {
  /** What was put since `begin` is everything, and replaces what was known. */
  commit(): void;
  removed(object: SliceObject): void;
  /** The moment to act on changes. */
  flush(): void;
  /** The source answers: what is known is as good as new. */
  confirmed(): void;
  failed(error: Error): void;
}

/** A watch that lasted as long as this was a sound one: what is wrong now began anew. In ms. */
const soundMs = 1_000;

/** Its timer is the next try, so there is never more than one request under way. */
export class ListWatch extends Timer implements ScopeWatcher, WatchListener {
  override background = true;
  readonly #api: ApiServer;
  readonly #server: ServerState;
  readonly #path: string;
  readonly #options: ListWatchOptions;
  readonly #listener: SliceListener;
  /** What is under way, while something is. */
  #round: Scope | null = null;
  /** Where to watch from; null if only everything anew can tell. */
  #version: string | null = null;
  #completeAt = 0;
  /** Everything was told in this round. */
  #complete = false;
  /** Monotonic ms at which the server accepted the watch; null until it has. */
  #openedAt: number | null = null;
  /** Failures since the last sound watch. */
  #failures = 0;
  /** The server forgot our version since the last sound watch. */
  #expired = false;
  #stopped = false;
  /** Everything will be got anew, although nothing is wrong with the watch. */
  #doubted = false;

  /** @param path of the list, with a query to be added to */
  constructor(api: ApiServer, server: ServerState, path: string, options: ListWatchOptions, listener: SliceListener) {
    super();
    this.#api = api;
    this.#server = server;
    this.#path = path;
    this.#options = options;
    this.#listener = listener;
  }

  /** Starts; it goes on until the scope of `api` is canceled. */
  start(): void {
    this.#api.scope.watch(this);
    this.fire();
  }

  /** Gets everything anew, now. */
  renew(): void {
    this.#version = null;
    this.#doubted = false;
    if (this.#stopped) return;
    const running = this.#round;
    this.#round = null;
    this.#api.runtime.clock.disarm(this);
    running?.cancel();
    this.fire();
  }

  /** Gets everything anew, at a moment of this process, unless it is about to do so anyway. */
  refresh(): void {
    if (this.#stopped || this.#version === null || this.#failures > 0) return;
    this.#doubted = true;
    const { clock } = this.#api.runtime;
    if (!this.armed) clock.arm(this, clock.now() + this.#server.spread(clock));
  }

  /** @internal Time for the next try, or to get everything anew. */
  fire(): void {
    if (this.#stopped) return;
    if (this.#round !== null) this.renew();
    else {
      if (this.#doubted) this.#version = null;
      void this.#run();
    }
  }

  /** @internal Requests are children of the scope: they have ended already. */
  onCancel(): void {
    this.#stopped = true;
    this.#api.runtime.clock.disarm(this);
  }

  async #run(): Promise<void> {
    const scope = this.#api.scope.child();
    this.#round = scope;
    this.#openedAt = null;
    this.#complete = false;
    const seconds = Math.ceil(this.#options.watchSeconds * (0.8 + 0.2 * this.#api.runtime.clock.random()));
    let failure: Error | null = null;
    try {
      await this.#follow({ ...this.#api, scope }, seconds);
    } catch (error) {
      // Credentials are somebody else's code, and may throw anything.
      failure = error instanceof Error ? error : new Error(String(error));
    }
    scope.close();
    if (this.#stopped || this.#round !== scope) return;
    this.#round = null;
    if (failure === null) this.#ended(seconds);
    else this.#failed(failure);
  }

  async #follow(api: ApiServer, seconds: number): Promise<void> {
    const { requestTimeoutMs } = this.#options;
    if (this.#version === null && this.#server.streams(api.runtime.clock)) {
      try {
        return await watch(api, this.#path, { from: null, seconds, requestTimeoutMs }, this);
      } catch (error) {
        if (this.#version !== null || !this.#refusesToStream(error)) throw error;
        this.#server.onlyLists(api.runtime.clock);
        this.#openedAt = null;
      }
    }
    if (this.#version === null) {
      this.#version = await list(api, this.#path, this.#options, this.#listener);
      this.complete();
      this.#server.reached();
    }
    await watch(api, this.#path, { from: this.#version, seconds, requestTimeoutMs }, this);
  }

  /** Servers that cannot stream say so in one of two ways (400, 422), or ignore the wish and never set the mark. */
  #refusesToStream(error: unknown): boolean {
    if (error instanceof ApiServerError) return error.status === 400 || error.status === 422;
    return this.#openedAt !== null && errorCode(error) === 'ERR_TIMEOUT';
  }

  /** @internal */
  opened(): void {
    this.#openedAt = this.#api.runtime.clock.now();
    this.#server.reached();
    if (this.#version === null) this.#listener.begin();
    else if (!this.#complete) this.#listener.confirmed();
  }

  /** @internal */
  complete(): void {
    this.#complete = true;
    this.#doubted = false;
    this.#completeAt = this.#api.runtime.clock.now();
    this.#listener.commit();
  }

  /** @internal */
  put(object: SliceObject): void {
    this.#listener.put(object);
  }

  /** @internal */
  removed(object: SliceObject): void {
    this.#listener.removed(object);
  }

  /** @internal */
  reached(version: string): void {
    this.#version = version;
  }

  /** @internal */
  flush(): void {
    this.#listener.flush();
  }

  /** The server ended the watch. That is normal, and the next one goes on from where this one was. */
  #ended(seconds: number): void {
    const lasted = this.#lasted();
    // A server restored from a backup accepts a version that it has not reached yet, and withholds what happens until
    // it has (kubernetes/kubernetes#107457). Nothing but everything anew finds that out.
    if (this.#api.runtime.clock.now() - this.#completeAt >= this.#options.relistMs) this.#version = null;
    if (lasted >= seconds * 1_000 - soundMs) this.#again(0);
    // Before its time: the server is going away, and with it everybody's watch, or it always does that.
    else this.#again(lasted >= soundMs ? this.#server.cut(this.#api.runtime.clock) : this.#backoff());
  }

  #failed(error: Error): void {
    const lasted = this.#lasted();
    if (doubtful(error)) this.#version = null;
    if (error instanceof ApiServerError && error.status === 410 && !this.#expired) {
      // Everyday: after a restart of the server nearly every version is too old. Not an error yet, and no reason to wait
      // longer than the failures before it have made us wait already.
      this.#expired = true;
      this.#again(0);
      return;
    }
    this.#again(this.#wait(error, lasted));
    this.#listener.failed(error);
  }

  #wait(error: Error, lasted: number): number {
    if (error instanceof ApiServerError) {
      // Whatever it said, it is there.
      this.#server.reached();
      return this.#backoff() + Math.min(error.retryAfterMs ?? 0, this.#options.maxBackoffMs);
    }
    // A watch that was silent was so for a time of its own; a connection that broke, broke for everybody.
    const broken = errorCode(error) !== 'ERR_TIMEOUT' && !(error instanceof UnreadableError);
    const together = broken && (lasted >= soundMs || (this.#openedAt === null && this.#server.cutOff));
    return together ? this.#server.cut(this.#api.runtime.clock) : this.#backoff();
  }

  /** How long the watch lasted, in ms; what went wrong before a sound one is forgotten. */
  #lasted(): number {
    if (this.#openedAt === null) return 0;
    const ms = this.#api.runtime.clock.now() - this.#openedAt;
    if (ms >= soundMs) {
      this.#failures = 0;
      this.#expired = false;
    }
    return ms;
  }

  /** Anything from the shortest wait to a limit that doubles each time: a fleet that failed together spreads out. */
  #backoff(): number {
    const { minBackoffMs: min, maxBackoffMs: max } = this.#options;
    const limit = Math.max(min, Math.min(max, min * 2 ** Math.min(2 + this.#failures++, 40)));
    return min + this.#api.runtime.clock.random() * (limit - min);
  }

  #again(ms: number): void {
    const { clock } = this.#api.runtime;
    clock.arm(this, clock.now() + ms);
  }
}

/** Whether the version to resume from may be what is wrong, so that only everything anew helps. */
function doubtful(error: Error): boolean {
  if (error instanceof UnreadableError) return true;
  if (!(error instanceof ApiServerError)) return false;
  const { status } = error;
  // 401, 403 and 429 say something about us and the server's state, and pass: rights are unknown while a server starts.
  return status >= 400 && status < 500 && status !== 401 && status !== 403 && status !== 429;
}
