/**
 * @module A reply that takes in what arrives, whether anybody reads it or not, as a socket does. What a scripted reply has is
 * on its way only while somebody reads, so that nobody could wait for its end before that.
 */
import {
  type BodySink,
  type EndListener,
  type Endpoint,
  type Reply,
  type ReplyBody,
  type ReplyHeaders,
  tellEnd,
} from '@fairlead/core';

/** Reads `reply` at once, and keeps what there is for whoever comes. */
export class GatheredReply implements Reply, ReplyBody, BodySink {
  readonly status: number;
  readonly headers: ReplyHeaders;
  readonly endpoint: Endpoint | null;
  readonly at: number;
  readonly #reply: Reply;
  readonly #held: Uint8Array[] = [];
  readonly #listeners: EndListener[] = [];
  #sink: BodySink | null = null;
  #paused = false;
  #flowing = false;
  #told = false;
  /** How it ended: null is well, undefined not yet. */
  #end: unknown;

  constructor(reply: Reply) {
    this.status = reply.status;
    this.headers = reply.headers;
    this.endpoint = reply.endpoint;
    this.at = reply.at;
    this.#reply = reply;
    reply.body.attach(this);
  }

  get body(): ReplyBody {
    return this;
  }
  get complete(): boolean {
    return this.#end === null;
  }

  onEnd(listenerOrTrailers: EndListener | ReplyHeaders): void {
    // The end of the scripted body below, or somebody above who wants to know of it.
    if (typeof listenerOrTrailers !== 'function' && !('onOver' in listenerOrTrailers)) this.#over(null);
    else if (this.#end === undefined) this.#listeners.push(listenerOrTrailers as EndListener);
    else tellEnd(listenerOrTrailers as EndListener, this.#end);
  }
  onData(chunk: Uint8Array): void {
    this.#held.push(chunk);
    this.#flow();
  }
  onError(error: unknown): void {
    this.#over(error);
  }

  attach(sink: BodySink): void {
    if (this.#sink !== null) throw new TypeError('the body of a reply flows once, to one sink');
    this.#sink = sink;
    this.#flow();
  }
  pause(): void {
    this.#paused = true;
  }
  resume(): void {
    this.#paused = false;
    this.#flow();
  }
  cancel(reason?: unknown): void {
    this.#held.length = 0;
    this.#reply.body.cancel(reason);
  }

  #over(error: unknown): void {
    if (this.#end !== undefined) return;
    this.#end = error;
    this.#flow();
    for (const listener of this.#listeners.splice(0)) tellEnd(listener, error);
  }

  #flow(): void {
    const sink = this.#sink;
    if (sink === null || this.#flowing) return;
    this.#flowing = true;
    while (!this.#paused && this.#held.length > 0) sink.onData(this.#held.shift() as Uint8Array);
    this.#flowing = false;
    if (this.#told || this.#end === undefined || this.#held.length > 0) return;
    this.#told = true;
    if (this.#end === null) sink.onEnd({});
    else sink.onError(this.#end);
  }
}
