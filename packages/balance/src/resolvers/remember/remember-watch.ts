/** @module One watch of a resolver whose answers are kept on disk. */
import {
  type Endpoint,
  type Resolver,
  type ResolverUpdate,
  type Runtime,
  type Scope,
  type ScopeWatcher,
  Timer,
} from '@fairlead/core';
import { type RememberedOf, readRemembered, removeRemembered, writeRemembered } from './remembered-file.js';

/** What a watch needs to know. */
export interface RememberWatchOptions {
  /** Whose answers are kept. */
  readonly resolver: Resolver;
  /** Name of the service; the file is called after it. */
  readonly service: string;
  /**
   * What was last known to be right longer ago than this is not believed, in ms of the wall clock. Default 86,400,000 (a
   * day): an outage may last for hours, and an address belongs to somebody else some day.
   */
  readonly maxAgeMs: number;
  /** How long the source has at the start before what is remembered is told, in ms; at once if it fails. Default 500. */
  readonly patienceMs: number;
  /** Changes are written no closer than this, in ms. Default 10,000. */
  readonly writeEveryMs: number;
}

/** What was told is not what the source says now, but what it said some time ago. */
export interface RememberedSnapshot {
  readonly endpoints: readonly Endpoint[];
  /** How long ago, in ms; absent from a snapshot of the source itself. */
  readonly ageMs: number;
}

/** @internal Its timer is the end of the patience with the source, and then the next write. */
export class RememberWatch extends Timer implements ScopeWatcher {
  override background = true;
  readonly #options: RememberWatchOptions;
  readonly #path: string;
  readonly #of: RememberedOf;
  readonly #tell: (update: ResolverUpdate) => void;
  readonly #scope: Scope;
  readonly #runtime: Runtime;
  /** What the source told last; null before it has. */
  #known: readonly Endpoint[] | null = null;
  /** Whether the source failed since then. */
  #failing = false;
  /** Whether the file was looked for. */
  #looked = false;
  /** Wall-clock ms of that. */
  #knownAt = 0;
  /** Something was told since the latest look at what has to be written. */
  #news = false;
  /** Monotonic ms of that look. */
  #lookedAt: number = Number.NEGATIVE_INFINITY;
  /** What is on disk by us, in a form to compare; null if nothing is. */
  #written: string | null = null;
  #writtenAt = 0;
  #writing = false;

  constructor(
    options: RememberWatchOptions,
    path: string,
    tell: (update: ResolverUpdate) => void,
    scope: Scope,
    runtime: Runtime,
  ) {
    super();
    this.#options = options;
    this.#path = path;
    this.#of = { service: options.service, source: options.resolver.name };
    this.#tell = tell;
    this.#scope = scope;
    this.#runtime = runtime;
  }

  start(): void {
    this.#scope.watch(this);
    if (this.#scope.canceled) return;
    const { resolver, patienceMs } = this.#options;
    this.#armIn(patienceMs);
    resolver.watch((update) => this.#hear(update), this.#scope, this.#runtime);
  }

  /** @internal */
  fire(): void {
    if (this.#known === null) this.#recall();
    else void this.#write();
  }

  /** @internal A write that is under way ends by itself. */
  onCancel(): void {
    this.#runtime.clock.disarm(this);
  }

  #hear(update: ResolverUpdate): void {
    if (this.#scope.canceled) return;
    if ('error' in update) {
      this.#failing = true;
      // First whoever is remembered: an error before anybody is known fails the calls that wait.
      if (this.#known === null) this.#recall();
      if (!this.#scope.canceled) this.#tell(update);
      return;
    }
    this.#failing = false;
    this.#known = update.endpoints;
    this.#knownAt = this.#runtime.clock.wall();
    this.#news = true;
    this.#plan();
    this.#tell(update);
  }

  #recall(): void {
    if (this.#looked) return;
    this.#looked = true;
    this.#runtime.clock.disarm(this);
    try {
      const remembered = readRemembered(this.#path, this.#of);
      if (remembered === null) return;
      const { savedAt, endpoints } = remembered;
      const ageMs = this.#runtime.clock.wall() - savedAt;
      // A clock that was set back makes files of the future; how old they are nobody knows, but about that much.
      if (Math.abs(ageMs) > this.#options.maxAgeMs) throw new Error(`it is ${Math.round(ageMs / 1_000)} s old`);
      const snapshot: RememberedSnapshot = { endpoints, ageMs: Math.max(0, ageMs) };
      const { service, source: resolver } = this.#of;
      const total = endpoints.length;
      this.#runtime.on?.({ type: 'memory.recalled', service, resolver, ageMs: snapshot.ageMs, total });
      this.#tell(snapshot);
    } catch (error) {
      this.#complain('read', 'was not believed', error as Error);
    }
  }

  /** Sets the time of the next look: soon if there is news, else before the file is too old to be of use. */
  #plan(): void {
    if (this.#writing || this.#scope.canceled) return;
    const { writeEveryMs } = this.#options;
    const { clock } = this.#runtime;
    const now = clock.now();
    const quiet = Math.max(writeEveryMs, this.#writtenAt + this.#renewMs - now);
    const inMs = this.#news ? this.#lookedAt + writeEveryMs - now : quiet;
    // At random, so that the processes of a machine do not write together.
    this.#armIn(Math.max(0, inMs) * (0.9 + 0.2 * clock.random()));
  }

  get #renewMs(): number {
    return this.#options.maxAgeMs / 10;
  }

  async #write(): Promise<void> {
    const { clock } = this.#runtime;
    const endpoints = this.#known as readonly Endpoint[];
    const now = clock.now();
    this.#news = false;
    this.#lookedAt = now;
    const key = keyOf(endpoints);
    // As long as the source fails, what is on disk keeps its time.
    const old = !this.#failing && now - this.#writtenAt >= this.#renewMs;
    if (key !== this.#written || old) {
      const savedAt = this.#failing ? this.#knownAt : clock.wall();
      this.#writing = true;
      this.#written = key;
      this.#writtenAt = now;
      try {
        if (endpoints.length === 0) await removeRemembered(this.#path);
        else await writeRemembered(this.#path, { ...this.#of, savedAt, endpoints }, clock);
      } catch (error) {
        this.#written = null;
        // Again, but not soon: a disk that is full or read-only stays so for a while, and says so each time.
        this.#news = true;
        this.#lookedAt = now + 5 * this.#options.writeEveryMs;
        if (!this.#scope.canceled) this.#complain('write', 'could not be written', error as Error);
      }
      this.#writing = false;
    }
    this.#plan();
  }

  #armIn(ms: number): void {
    const { clock } = this.#runtime;
    clock.arm(this, clock.now() + ms);
  }

  #complain(during: 'read' | 'write', what: string, cause: Error): void {
    const { service, source } = this.#of;
    const error = new Error(`what is remembered of ${source} in ${this.#path} ${what}: ${cause.message}`, { cause });
    this.#runtime.on?.({ type: 'memory.failed', service, resolver: source, during, error });
  }
}

/** The same for the same endpoints, whatever their order: many sources tell them in a new one each time. */
function keyOf(endpoints: readonly Endpoint[]): string {
  const lines = endpoints.map(({ id, origin, weight, zone, priority }) =>
    JSON.stringify([id, origin, weight, zone, priority]),
  );
  return lines.sort().join();
}
