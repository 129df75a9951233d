/** @module A body that comes slowly, on purpose. */
import { type BodySink, type Clock, type Reply, type ReplyBody, type ReplyHeaders, Timer } from '@fairlead/core';

/** Holds every piece back for a time. The body behind it is paused meanwhile, and so is not over before this one. */
export class SlowBody extends Timer implements ReplyBody, BodySink {
  readonly #body: ReplyBody;
  readonly #clock: Clock;
  readonly #ms: number;
  #sink: BodySink | null = null;
  #chunk: Uint8Array | null = null;
  #paused = false;

  constructor(body: ReplyBody, clock: Clock, ms: number) {
    super();
    this.#body = body;
    this.#clock = clock;
    this.#ms = ms;
  }

  attach(sink: BodySink): void {
    if (this.#sink !== null) throw new TypeError('the body of a reply flows once, to one sink');
    this.#sink = sink;
    this.#body.attach(this);
  }

  pause(): void {
    this.#paused = true;
    this.#body.pause();
  }

  resume(): void {
    this.#paused = false;
    if (this.#chunk === null) this.#body.resume();
    else if (!this.armed) this.fire();
  }

  cancel(reason?: unknown): void {
    this.#clock.disarm(this);
    this.#chunk = null;
    this.#body.cancel(reason);
  }

  onData(chunk: Uint8Array): void {
    this.#body.pause();
    this.#chunk = chunk;
    this.#clock.arm(this, this.#clock.now() + this.#ms);
  }

  onEnd(trailers: ReplyHeaders): void {
    this.#sink?.onEnd(trailers);
  }

  onError(error: unknown): void {
    this.#clock.disarm(this);
    this.#chunk = null;
    this.#sink?.onError(error);
  }

  /** The piece has been held back for long enough. */
  fire(): void {
    const chunk = this.#chunk;
    if (chunk === null || this.#paused) return;
    this.#chunk = null;
    this.#sink?.onData(chunk);
    if (!this.#paused) this.#body.resume();
  }
}

/** `reply` with another body, which is over when its own is. */
export function withBody(reply: Reply, body: ReplyBody): Reply {
  const { status, statusText = '', headers, endpoint, at } = reply;
  return { status, statusText, headers, endpoint, at, body, onEnd: (listener) => reply.onEnd(listener) };
}
