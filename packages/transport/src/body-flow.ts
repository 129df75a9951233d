/**
 * @module A reply's body between the connection that pushes it and the one sink that takes it. What arrives while nobody
 * takes it is held, and the connection is asked to pause beyond {@link heldBytes}. It is the lower half of `Attempt`,
 * a class of its own only so that each can be read alone.
 */
import { type BodySink, type EndListener, type ReplyBody, type ReplyHeaders, Timer, tellEnd } from '@fairlead/core';

/** Bytes held for a reader that has not come yet, and the longest rest of a body that is read only to be dropped. */
export const heldBytes = 65_536;

export const noHeaders: ReplyHeaders = Object.freeze(Object.create(null));

const flowing = 0;
const complete = 1;
const broken = 2;

/** Holds, delivers, and tells when it is over. A timer as well, for whatever the upper half wants to be reminded of. */
export abstract class BodyFlow extends Timer implements ReplyBody {
  /** Bytes that arrived and were not delivered. */
  protected held = 0;
  /** Whether the sink asked for no more. */
  protected paused = false;
  #state = flowing;
  #error: unknown = null;
  #trailers: ReplyHeaders = noHeaders;
  #sink: BodySink | null = null;
  #chunks: Uint8Array[] | null = null;
  /** Guards against a sink that resumes from within what it is told. */
  #delivering = false;
  #told = false;
  #listener: EndListener | null = null;
  #listeners: EndListener[] | null = null;

  /** A sink was attached. */
  protected abstract taken(): void;
  /** The connection may go on. Not called at once from within a delivery of the connection itself. */
  protected abstract wantMore(): void;
  /** The connection should pause. */
  protected abstract wantLess(): void;
  abstract cancel(reason?: unknown): void;

  /**
   * Whether the memory of a chunk that fills it may be taken. undici reads the socket without a buffer of its own: nobody
   * comes back to what was read at once.
   */
  get givesAway(): boolean {
    return true;
  }

  /** Whether nothing more will come, be it because it broke or was given up. */
  get isOver(): boolean {
    return this.#state !== flowing;
  }

  /** Whether all of it has arrived. undici pushes, so it does so without a sink. */
  get complete(): boolean | undefined {
    return this.#state === complete;
  }

  /** Whether a sink has been attached. */
  protected get isTaken(): boolean {
    return this.#sink !== null;
  }

  attach(sink: BodySink): void {
    if (this.#sink !== null) throw new TypeError('the body of this reply has already been taken');
    this.#sink = sink;
    this.taken();
    this.#deliver();
  }

  pause(): void {
    this.paused = true;
    this.wantLess();
  }

  resume(): void {
    this.paused = false;
    this.#deliver();
  }

  onEnd(listener: EndListener): void {
    if (this.#state !== flowing) tellEnd(listener, this.#error);
    else if (this.#listener === null) this.#listener = listener;
    else if (this.#listeners === null) this.#listeners = [listener];
    else this.#listeners.push(listener);
  }

  /** The next piece from the connection; straight to the sink if nothing stands in between. */
  protected push(chunk: Uint8Array): void {
    if (this.#sink !== null && this.#chunks === null && !this.paused) {
      if (!this.#told) this.#sink.onData(chunk);
      return;
    }
    if (this.#chunks === null) this.#chunks = [chunk];
    else this.#chunks.push(chunk);
    this.held += chunk.length;
    if (this.held > heldBytes) this.wantLess();
  }

  /** Forgets what is held. */
  protected drop(): void {
    this.#chunks = null;
    this.held = 0;
  }

  /** Nothing more will come. The request is over now, although a slow sink may still have to take what is held. */
  protected finish(error: unknown, trailers: ReplyHeaders): void {
    this.#state = error === null ? complete : broken;
    this.#error = error;
    this.#trailers = trailers;
    const first = this.#listener;
    if (first !== null) {
      const rest = this.#listeners;
      this.#listener = null;
      this.#listeners = null;
      tellEnd(first, error);
      if (rest !== null) for (const each of rest) tellEnd(each, error);
    }
    if (this.#sink === null) return;
    // A failure does not wait for a paused sink, unless there is something to be delivered before it.
    if (error !== null && this.#chunks === null) this.breakOff(error);
    else this.#deliver();
  }

  /** Tells the sink at once that no more will come. */
  protected breakOff(error: unknown): void {
    if (this.#sink === null || this.#told) return;
    this.#told = true;
    this.#chunks = null;
    this.#sink.onError(error);
  }

  #deliver(): void {
    const sink = this.#sink;
    if (sink === null || this.#delivering) return;
    if (this.#chunks !== null) {
      this.#delivering = true;
      try {
        this.#deliverHeld(sink, this.#chunks);
      } catch (error) {
        // As undici does with a sink that throws while the body flows.
        this.cancel(error);
      }
      this.#delivering = false;
    }
    if (this.paused || this.#told) return;
    if (this.#state === flowing) this.wantMore();
    else {
      this.#told = true;
      if (this.#state === complete) sink.onEnd(this.#trailers);
      else sink.onError(this.#error);
    }
  }

  #deliverHeld(sink: BodySink, chunks: Uint8Array[]): void {
    let next = 0;
    // Whoever cancels in the middle replaces the list, which ends the loop.
    while (!this.paused && this.#chunks === chunks && next < chunks.length) {
      const chunk = chunks[next++] as Uint8Array;
      this.held -= chunk.length;
      sink.onData(chunk);
    }
    if (this.#chunks === chunks) this.#chunks = next < chunks.length ? chunks.slice(next) : null;
  }
}
