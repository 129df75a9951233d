/**
 * @module What all watches of a process know of one API server: whether it can stream what there is, and when this process
 * comes back after everybody was cut off.
 */
import type { Clock } from '@fairlead/core';

/** How {@link ServerState} goes about it. */
export interface ServerStateOptions {
  /** Over how long the processes of a fleet spread when they come back after a cut, in ms. */
  readonly spreadMs: number;
  /** How long a refusal to stream is believed, in ms. */
  readonly relistMs: number;
}

/**
 * The watches of a process come back together, on one connection; so many ms apart at most. With much more, the second in
 * which the server is back would see those who came too early with their first watch and just in time with their last.
 */
const togetherMs = 200;

/** Shared by the watches of a process. */
export class ServerState {
  readonly #options: ServerStateOptions;
  /** Monotonic ms before which no stream of what there is will be asked for. */
  #listsUntil = 0;
  /** Monotonic ms at which this process comes back; null while it was not cut off. */
  #backAt: number | null = null;

  constructor(options: ServerStateOptions) {
    this.#options = options;
  }

  /** Whether to ask for a watch that begins with everything there is (KEP-3157), rather than for a list. */
  streams(clock: Clock): boolean {
    return clock.now() >= this.#listsUntil;
  }

  /** It cannot. It may after its next upgrade, so this is forgotten after a while. */
  onlyLists(clock: Clock): void {
    this.#listsUntil = clock.now() + this.#options.relistMs;
  }

  /**
   * How long to wait before everything is got anew for no reason but doubt, in ms: the whole fleet has it in the same
   * moment, and a list is what costs a server most.
   */
  spread(clock: Clock): number {
    return clock.random() * this.#options.spreadMs;
  }

  /** Whether the server has cut this process off, and not been reached since. */
  get cutOff(): boolean {
    return this.#backAt !== null;
  }

  /**
   * A sound watch was cut, or the server cannot be reached since: how long to wait, in ms. A server that stops cuts off
   * the whole fleet in one moment, so each process draws a moment of its own in a period of `spreadMs`, and tries in that
   * moment of every period until it succeeds. Whenever the server is back, no second then sees more of the fleet than any
   * other, which no backoff that grows from a common beginning can promise.
   */
  cut(clock: Clock): number {
    const { spreadMs } = this.#options;
    const now = clock.now();
    this.#backAt ??= now + clock.random() * spreadMs;
    if (this.#backAt < now) this.#backAt += spreadMs * Math.ceil((now - this.#backAt) / spreadMs);
    return this.#backAt - now + clock.random() * Math.min(togetherMs, spreadMs / 10);
  }

  /** It answers. */
  reached(): void {
    this.#backAt = null;
  }
}
