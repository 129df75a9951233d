/**
 * @module The loop that keeps the slices of one Service up to date: LIST once, WATCH from there, resume when the watch
 * ends, LIST again when the server has forgotten where we were. What is known stays in force whatever happens to the
 * source; only an answer of the API server ever takes an endpoint away.
 */
import { type ResolverUpdate, type ScopeWatcher, Timer } from '@fairlead/core';
import { merge, otherPorts } from '../slices/merge.js';
import { readSlice, type Slice, type SliceObject } from '../slices/slice.js';
import { type ListOptions, list } from './list.js';
import { type ApiServer, ApiServerError, UnreadableError } from './request.js';
import { type WatchListener, watch } from './watch.js';

/** How a {@link ListWatch} goes about it. */
export interface ListWatchOptions extends ListOptions {
  /** How long a watch lasts at most, in seconds; each lasts 80 to 100 % of that, so that they do not end together. */
  readonly watchSeconds: number;
  /** After how long a watch is followed by a list instead of the next watch, in ms. */
  readonly relistMs: number;
  /** The shortest wait before the next try, in ms. */
  readonly minBackoffMs: number;
  /** The longest wait before the next try, in ms. */
  readonly maxBackoffMs: number;
}

/** A watch that lasted as long as this was a sound one: what is wrong now began anew. In ms. */
const soundMs = 1_000;

/** Its timer is the next try, so there is never more than one request under way. */
export class ListWatch extends Timer implements ScopeWatcher, WatchListener {
  override background = true;
  readonly #api: ApiServer;
  readonly #path: string;
  readonly #port: string | number;
  readonly #options: ListWatchOptions;
  readonly #onUpdate: (update: ResolverUpdate) => void;
  #slices: Map<string, Slice> = new Map();
  /** Where to watch from; null if only a list can tell. */
  #version: string | null = null;
  #listedAt = 0;
  /** Monotonic ms at which the server accepted the watch; null until it has. */
  #openedAt: number | null = null;
  /** Failures since the last sound watch. */
  #failures = 0;
  /** The server forgot our version since the last sound watch. */
  #expired = false;
  /** Slices have changed since they were last told. */
  #changed = false;
  /** An error was told after the slices were. */
  #troubled = false;
  #stopped = false;

  /**
   * @param path of the list, with a query to be added to
   * @param port name of the wanted port, or its number
   */
  constructor(
    api: ApiServer,
    path: string,
    port: string | number,
    options: ListWatchOptions,
    onUpdate: (update: ResolverUpdate) => void,
  ) {
    super();
    this.#api = api;
    this.#path = path;
    this.#port = port;
    this.#options = options;
    this.#onUpdate = onUpdate;
  }

  /** Starts; it goes on until the scope of `api` is canceled. */
  start(): void {
    this.#api.scope.watch(this);
    this.fire();
  }

  /** @internal Time for the next try. */
  fire(): void {
    if (!this.#stopped) void this.#round();
  }

  /** @internal Requests are children of the scope: they have ended already. */
  onCancel(): void {
    this.#stopped = true;
    this.#api.runtime.clock.disarm(this);
  }

  async #round(): Promise<void> {
    this.#openedAt = null;
    try {
      if (this.#version === null) this.#version = await this.#list();
      const seconds = Math.ceil(this.#options.watchSeconds * (0.8 + 0.2 * this.#api.runtime.clock.random()));
      await watch(this.#api, this.#path, this.#version, seconds, this);
      this.#ended(seconds);
    } catch (error) {
      this.#failed(error as Error);
    }
  }

  async #list(): Promise<string> {
    // Kept apart until it is complete: what is known holds as long as nothing better is.
    const slices = new Map<string, Slice>();
    const version = await list(this.#api, this.#path, this.#options, (object) => {
      const slice = readSlice(object, this.#port);
      slices.set(slice.name, slice);
    });
    this.#slices = slices;
    this.#listedAt = this.#api.runtime.clock.now();
    this.#publish();
    return version;
  }

  /** @internal */
  opened(): void {
    this.#openedAt = this.#api.runtime.clock.now();
    // The source answers again: what was told is as good as new.
    if (this.#troubled) this.#publish();
  }

  /** @internal */
  put(object: SliceObject): void {
    const slice = readSlice(object, this.#port);
    this.#slices.set(slice.name, slice);
    this.#changed = true;
  }

  /** @internal */
  removed(object: SliceObject): void {
    const name = object.metadata?.name;
    if (typeof name !== 'string') throw new UnreadableError('a slice without a name was deleted');
    if (this.#slices.delete(name)) this.#changed = true;
  }

  /** @internal */
  reached(version: string): void {
    this.#version = version;
  }

  /** @internal */
  flush(): void {
    if (this.#changed) this.#publish();
  }

  #publish(): void {
    this.#changed = false;
    this.#troubled = false;
    const endpoints = merge(this.#slices.values());
    this.#tell({ endpoints });
    const ports = endpoints.length > 0 ? null : otherPorts(this.#slices.values());
    if (ports === null) return;
    // Nobody, and that is certain; but a misspelt port should not look like a Service that is scaled to zero.
    const message = `the Service has no TCP port ${this.#port} in its EndpointSlices; there are: ${ports.join(', ') || 'none'}`;
    this.#tell({ error: new Error(message) });
  }

  #tell(update: ResolverUpdate): void {
    if (!this.#stopped) this.#onUpdate(update);
  }

  /** The server ended the watch. That is normal, and the next one goes on from where this one was. */
  #ended(seconds: number): void {
    if (this.#stopped) return;
    const now = this.#api.runtime.clock.now();
    const lasted = this.#lasted();
    // A server restored from a backup accepts a version that it has not reached yet, and withholds what happens until
    // it has (kubernetes/kubernetes#107457). Nothing but a list finds that out.
    if (now - this.#listedAt >= this.#options.relistMs) this.#version = null;
    // Before its time: the server is going away, and with it everybody's watch, or it always does that.
    this.#again(lasted < seconds * 1_000 - soundMs ? this.#backoff() : 0);
  }

  #failed(error: Error): void {
    if (this.#stopped) return;
    this.#lasted();
    if (doubtful(error)) this.#version = null;
    if (error instanceof ApiServerError && error.status === 410 && !this.#expired) {
      // Everyday: after a restart of the server nearly every version is too old. Not an error yet, and no reason to wait
      // longer than the failures before it have made us wait already.
      this.#expired = true;
      this.#again(0);
      return;
    }
    const wanted = error instanceof ApiServerError ? (error.retryAfterMs ?? 0) : 0;
    this.#again(this.#backoff() + Math.min(wanted, this.#options.maxBackoffMs));
    this.#troubled = true;
    this.#tell({ error });
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

/** Whether the version to resume from may be what is wrong, so that only a list helps. */
function doubtful(error: Error): boolean {
  if (error instanceof UnreadableError) return true;
  if (!(error instanceof ApiServerError)) return false;
  const { status } = error;
  // 401, 403 and 429 say something about us and the server's state, and pass: rights are unknown while a server starts.
  return status >= 400 && status < 500 && status !== 401 && status !== 403 && status !== 429;
}
