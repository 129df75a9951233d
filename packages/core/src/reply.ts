/**
 * @module The answer on its way up the stack. Its body is pushed to a sink rather than wrapped in a stream, so that bytes
 * go from the socket to whoever wants them in one synchronous call, and back-pressure acts on the very next chunk.
 */
import type { Endpoint } from './endpoint.js';
import { CanceledError } from './errors.js';

/** Reply headers as parsed: names in lower case, an array where a name came more than once. */
export type ReplyHeaders = Readonly<Record<string, string | string[] | undefined>>;

/** Receives a body. */
export interface BodySink {
  /** The next piece; never empty. */
  onData(chunk: Uint8Array): void;
  /** The body is complete. */
  onEnd(trailers: ReplyHeaders): void;
  /** The body will not be completed. */
  onError(error: unknown): void;
}

/** The body of a reply. It flows once, to one sink. */
export interface ReplyBody {
  /**
   * Starts the flow. What has already arrived is delivered before this returns, unless the sink pauses.
   * @throws TypeError if there is a sink already
   */
  attach(sink: BodySink): void;
  /**
   * Whether all of it has arrived, delivered or not. A body that has this property gathers what arrives, 64 KiB at least,
   * while it has no sink, so that its end can be waited for before anybody reads it; one that only begins when it is
   * attached has not.
   */
  readonly complete?: boolean | undefined;
  /** Asks for no more data until {@link resume}. */
  pause(): void;
  resume(): void;
  /**
   * Nobody wants the (rest of the) body. A short rest may be read and dropped to keep the connection; a long one is cut
   * off. A sink that is attached is told `reason`, or a `CanceledError`.
   */
  cancel(reason?: unknown): void;
}

/** Told once when a request is over. An object that is there anyway can be told without a function of its own. */
export interface EndWatcher {
  /** @param error null if the body came to its end, else why it did not */
  onOver(error: unknown): void;
}

/** Told once when a request is over: with null if its body came to its end, else with why it did not. */
export type EndListener = ((error: unknown) => void) | EndWatcher;

/** For whoever makes replies: tells `listener` how the request ended. */
export function tellEnd(listener: EndListener, error: unknown): void {
  if (typeof listener === 'function') listener(error);
  else listener.onOver(error);
}

/** The answer. HTTP statuses are replies, never errors. */
export interface Reply {
  readonly status: number;
  /** The reason phrase, where there was one. */
  readonly statusText?: string;
  readonly headers: ReplyHeaders;
  readonly body: ReplyBody;
  /** Who answered; null if nobody outside did. */
  readonly endpoint: Endpoint | null;
  /** Monotonic ms at which the head arrived. */
  readonly at: number;
  /** Why this stands in for the answer, in a word: `timeout`, for instance. Not there on an answer. */
  readonly insteadOf?: string;
  /**
   * Calls `listener` when the request is over: body complete, failed or canceled. At once if it already is. This, and
   * not the arrival of the head, is when load and concurrency are released.
   */
  onEnd(listener: EndListener): void;
}

/** Lets go of a reply that nobody will read. A layer that does not hand a reply up must do this. */
export function discard(reply: Reply): void {
  reply.body.cancel();
}

/** The value of `name` (lower case); joined with `, ` where it came more than once. */
export function replyHeader(reply: Reply, name: string): string | undefined {
  const value = reply.headers[name];
  return typeof value === 'object' ? value.join(', ') : value;
}

const noTrailers: ReplyHeaders = Object.freeze(Object.create(null));
const encoder = new TextEncoder();

class MemoryReply implements Reply, ReplyBody {
  #chunk: Uint8Array | null;
  #sink: BodySink | null = null;
  #paused = false;
  #done = false;
  #canceled: unknown = undefined;

  constructor(
    readonly status: number,
    readonly headers: ReplyHeaders,
    chunk: Uint8Array | null,
    readonly at: number,
  ) {
    this.#chunk = chunk;
  }

  get endpoint(): null {
    return null;
  }
  get body(): ReplyBody {
    return this;
  }
  onEnd(listener: EndListener): void {
    tellEnd(listener, null);
  }
  attach(sink: BodySink): void {
    if (this.#sink !== null) throw new TypeError('the body of a reply flows once, to one sink');
    this.#sink = sink;
    if (this.#canceled === undefined) this.#flow();
    else sink.onError(this.#canceled);
  }
  pause(): void {
    this.#paused = true;
  }
  resume(): void {
    this.#paused = false;
    this.#flow();
  }
  cancel(reason: unknown = new CanceledError()): void {
    if (this.#done) return;
    this.#done = true;
    this.#canceled = reason;
    this.#chunk = null;
    this.#sink?.onError(reason);
  }
  #flow(): void {
    const sink = this.#sink;
    if (sink === null || this.#done || this.#paused) return;
    const chunk = this.#chunk;
    this.#chunk = null;
    if (chunk !== null && chunk.length > 0) sink.onData(chunk);
    if (this.#paused || this.#done) return;
    this.#done = true;
    sink.onEnd(noTrailers);
  }
}

/**
 * A reply that did not come from the network: a fallback, a cached answer, a test's. Nothing is held for it, so it is
 * over from the beginning. Its body can be read once, like any other.
 */
export function createReply(
  init: { status?: number; headers?: ReplyHeaders; body?: string | Uint8Array | null; at?: number } = {},
): Reply {
  const body = typeof init.body === 'string' ? encoder.encode(init.body) : (init.body ?? null);
  return new MemoryReply(init.status ?? 200, init.headers ?? noTrailers, body, init.at ?? 0);
}

class Collector implements BodySink {
  readonly #chunks: Uint8Array[] = [];
  #size = 0;
  constructor(
    readonly body: ReplyBody,
    readonly maxBytes: number,
    readonly resolve: (bytes: Uint8Array) => void,
    readonly reject: (error: unknown) => void,
  ) {}
  onData(chunk: Uint8Array): void {
    this.#size += chunk.length;
    if (this.#size > this.maxBytes) {
      this.body.cancel(new RangeError(`the body is longer than ${this.maxBytes} bytes`));
      return;
    }
    this.#chunks.push(chunk);
  }
  onEnd(): void {
    this.resolve(joinChunks(this.#chunks, this.#size));
  }
  onError(error: unknown): void {
    this.reject(error);
  }
}

function joinChunks(chunks: readonly Uint8Array[], size: number): Uint8Array {
  if (chunks.length === 1) return chunks[0] as Uint8Array;
  const joined = new Uint8Array(size);
  let offset = 0;
  for (const chunk of chunks) {
    joined.set(chunk, offset);
    offset += chunk.length;
  }
  return joined;
}

/**
 * Reads the whole body.
 * @param maxBytes a longer body is cut off and is a `RangeError`; default no limit
 */
export function readBytes(reply: Reply, maxBytes: number = Number.POSITIVE_INFINITY): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    reply.body.attach(new Collector(reply.body, maxBytes, resolve, reject));
  });
}

/** Reads the whole body as UTF-8 text. */
export async function readText(reply: Reply, maxBytes?: number): Promise<string> {
  return new TextDecoder().decode(await readBytes(reply, maxBytes));
}
