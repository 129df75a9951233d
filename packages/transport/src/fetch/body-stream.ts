/** @module A reply's body as a WHATWG byte stream that holds the sender back while nobody reads. */
import type { UnderlyingByteSource } from 'node:stream/web';
import type { BodySink, ReplyBody } from '@fairlead/core';
import { BodyFlow, heldBytes } from '../body-flow.js';
import type { Explainer } from './body-read.js';

/**
 * Makes a stream of `body`. The body is taken at the first read, so that a stream that is never read counts as a body that
 * nobody came for. Errors go through `context`.
 */
export function bodyStream(body: ReplyBody, context: Explainer): ReadableStream<Uint8Array> {
  return new ReadableStream(new StreamSource(body, context), { highWaterMark: 0 });
}

class StreamSource implements BodySink, UnderlyingByteSource {
  readonly type = 'bytes';
  readonly #body: ReplyBody;
  readonly #context: Explainer;
  #controller!: ReadableByteStreamController;
  /** Whether chunks may be taken rather than copied, which for large bodies is half of what a stream costs. */
  readonly #isFree: boolean;
  #attached = false;
  #over = false;

  constructor(body: ReplyBody, context: Explainer) {
    this.#body = body;
    this.#isFree = body instanceof BodyFlow && body.givesAway;
    this.#context = context;
  }

  start(controller: ReadableByteStreamController): void {
    this.#controller = controller;
  }

  pull(): void {
    if (this.#attached) this.#body.resume();
    else {
      this.#attached = true;
      this.#body.attach(this);
    }
  }

  cancel(reason: unknown): void {
    this.#over = true;
    this.#body.cancel(reason);
  }

  onData(chunk: Uint8Array): void {
    if (this.#over) return;
    const mayFill = (this.#controller.desiredSize ?? 0) - chunk.length < -heldBytes;
    // The stream takes the memory away from whoever gave it. A connection that is told to pause still looks at what it has
    // read.
    this.#controller.enqueue(this.#isFree && !mayFill && isWhole(chunk) ? chunk : new Uint8Array(chunk));
    if ((this.#controller.desiredSize ?? 0) < -heldBytes) this.#body.pause();
  }

  onEnd(): void {
    if (this.#over) return;
    this.#over = true;
    this.#controller.close();
    // A reader that brought its own memory is still waiting, and gets it back empty.
    this.#controller.byobRequest?.respond(0);
  }

  onError(error: unknown): void {
    if (this.#over) return;
    this.#over = true;
    this.#controller.error(this.#context.explain(error));
  }
}

/** Whether nothing else lies in the memory of `chunk`. What a socket reads at once has memory of its own. */
function isWhole({ length, buffer }: Uint8Array): boolean {
  return length === buffer.byteLength;
}
