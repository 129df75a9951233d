/** @module A reply whose body arrives piece by piece in virtual time, with everything that can go wrong on the way. */
import {
  type BodySink,
  type Call,
  CanceledError,
  type Clock,
  type EndListener,
  type Endpoint,
  type Reply,
  type ReplyBody,
  type ReplyHeaders,
  type Scope,
  type ScopeWatcher,
  Timer,
  tellEnd,
} from '@fairlead/core';
import { type ReplyStep, transportError } from './steps.js';

/** What a {@link ReplyStep} gives. Its timer is the arrival of the next piece. */
export class ScriptedReply extends Timer implements Reply, ReplyBody, ScopeWatcher {
  readonly status: number;
  readonly headers: ReplyHeaders;
  readonly endpoint: Endpoint | null;
  readonly at: number;
  readonly #step: ReplyStep;
  readonly #call: Call;
  readonly #clock: Clock;
  readonly #scope: Scope;
  readonly #listeners: EndListener[] = [];
  #sink: BodySink | null = null;
  #paused = false;
  #flowing = false;
  /** Pieces that have come from the other side, and how many of them the sink has got. */
  #arrived = 0;
  #delivered = 0;
  /** The end, good or bad, has come; the pieces before it may still have to be delivered. */
  #complete = false;
  #over = false;
  #error: unknown = null;

  constructor(step: ReplyStep, call: Call, onOver: () => void) {
    super();
    this.#step = step;
    this.#call = call;
    this.#clock = call.runtime.clock;
    this.#scope = call.scope;
    this.status = step.status;
    this.headers = step.headers;
    this.endpoint = call.endpoint;
    this.at = this.#clock.now();
    this.#listeners.push(onOver);
    this.#scope.watch(this);
    if (!this.#over) this.#arrive();
  }

  get body(): ReplyBody {
    return this;
  }

  onEnd(listener: EndListener): void {
    if (this.#over) tellEnd(listener, this.#error);
    else this.#listeners.push(listener);
  }

  attach(sink: BodySink): void {
    if (this.#sink !== null) throw new TypeError('the body of a reply flows once, to one sink');
    this.#sink = sink;
    if (!this.#over) this.#flow();
    else if (this.#error === null) sink.onEnd({});
    else sink.onError(this.#error);
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.#flow();
  }

  cancel(reason: unknown = new CanceledError()): void {
    this.#finish(reason);
  }

  onCancel(reason: unknown): void {
    this.#finish(reason);
  }

  fire(): void {
    this.#arrived++;
    this.#arrive();
  }

  /** Waits for the next piece, or takes all that comes at once. */
  #arrive(): void {
    const { chunks, betweenMs, ending } = this.#step;
    if (betweenMs === 0) this.#arrived = chunks.length;
    // A cut comes like a piece, after a pause of its own; a good end comes with the last piece.
    const events = chunks.length + (ending === 'cut' && betweenMs > 0 ? 1 : 0);
    if (this.#arrived < events) this.#clock.arm(this, this.#clock.now() + betweenMs);
    else this.#complete = ending !== 'stall';
    this.#flow();
  }

  #flow(): void {
    if (this.#flowing) return;
    this.#flowing = true;
    const { chunks, ending } = this.#step;
    const available = Math.min(this.#arrived, chunks.length);
    while (this.#sink !== null && !this.#paused && !this.#over && this.#delivered < available) {
      this.#sink.onData(chunks[this.#delivered++] as Uint8Array);
    }
    this.#flowing = false;
    if (!this.#complete || this.#paused || this.#delivered < chunks.length) return;
    this.#finish(ending === 'cut' ? transportError(this.#call, 'body', 'ECONNRESET') : null);
  }

  #finish(error: unknown): void {
    if (this.#over) return;
    this.#over = true;
    this.#error = error;
    this.#clock.disarm(this);
    this.#scope.unwatch(this);
    if (error === null) this.#sink?.onEnd({});
    else this.#sink?.onError(error);
    for (const listener of this.#listeners.splice(0)) tellEnd(listener, error);
  }
}
