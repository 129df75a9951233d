/**
 * @module A body that can be read once, sent as often as its beginning can be remembered. One reader stands at the source;
 * every attempt reads what the reader has kept and then, with the reader, on. While all that was read fits into
 * {@link replayBytes} the body counts as not begun; the moment it no longer does, what was kept is let go, and the rest
 * belongs to the attempt that is under way.
 */
import type { Readable } from 'node:stream';
import { CanceledError, type OnceBody } from '@fairlead/core';

/** How much of a body is kept so that it can be sent again, in bytes. */
export const replayBytes = 65_536;

/** What undici takes as a piece of a body. */
type Piece = Uint8Array | string;

const nothing: Uint8Array = new Uint8Array(0);

/** One source, many readings, one after the other. */
export class ReplayBody implements OnceBody, AsyncIterable<Uint8Array> {
  readonly length: number | undefined;
  /** Told when a stream fails, also while nobody reads it. */
  onFailed: ((error: unknown) => void) | null = null;
  readonly #input: AsyncIterable<Piece> | Iterable<Piece>;
  #source: AsyncIterator<Piece> | Iterator<Piece> | null = null;
  /** The beginning of the source, copied: the owner of a chunk may use its memory again. */
  #kept: Uint8Array = nothing;
  #keptLength = 0;
  /** True from the moment at which the beginning no longer fits. */
  #lost = false;
  /** The piece that did not fit, or came after it, until it is read. */
  #tail: Uint8Array | null = null;
  #pending: Promise<void> | null = null;
  #state: 'open' | 'ended' | 'failed' = 'open';
  #error: unknown = undefined;
  #generation = 0;
  #disposed = false;

  /** @param length in bytes, if known */
  constructor(input: AsyncIterable<Piece> | Iterable<Piece>, length?: number) {
    this.#input = input;
    this.length = length;
    // Listened to from the start and for good: without a listener its error would end the process.
    if (isStream(input)) input.on('error', (error) => this.onFailed?.(error));
  }

  get once(): this {
    return this;
  }

  get started(): boolean {
    return this.#lost || this.#disposed;
  }

  /** Whoever begins to read says so. It is {@link replayBytes} that decides whether that matters. */
  set started(_: boolean) {}

  /** Begins a new reading; the one before it gets nothing any more. */
  [Symbol.asyncIterator](): AsyncIterator<Uint8Array> {
    const generation = ++this.#generation;
    let position = 0;
    const next = async (): Promise<IteratorResult<Uint8Array>> => {
      while (generation === this.#generation) {
        if (position < this.#keptLength) {
          const value = this.#kept.subarray(position, this.#keptLength);
          position = this.#keptLength;
          return { done: false, value };
        }
        if (this.#tail !== null) return { done: false, value: this.#takeTail() };
        if (this.#state === 'failed') throw this.#error;
        if (this.#state === 'ended') return { done: true, value: undefined };
        // A reading that died while it waited leaves its read to the next one.
        await (this.#pending ??= this.#read());
      }
      // Not the end: whoever asks must not take what it has for the whole body.
      throw new CanceledError({ message: 'the body is being sent again elsewhere' });
    };
    // To stop a reading says nothing about the source.
    return { next, return: () => Promise.resolve({ done: true, value: undefined }) };
  }

  /** Nobody will read any more. Lets go of the source, and tells it why if something went wrong. */
  dispose(error: unknown): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#generation++;
    this.#kept = nothing;
    this.#keptLength = 0;
    this.#tail = null;
    const input = this.#input;
    if (isStream(input)) input.destroy(error instanceof Error ? error : undefined);
    else void stop(() => this.#source ?? iteratorOf(input), error);
  }

  async #read(): Promise<void> {
    try {
      this.#source ??= iteratorOf(this.#input);
      const step = await this.#source.next();
      if (step.done === true) this.#state = 'ended';
      else this.#keep(bytesOf(step.value));
    } catch (error) {
      this.#state = 'failed';
      this.#error = error;
    }
    this.#pending = null;
  }

  #keep(chunk: Uint8Array): void {
    if (this.#disposed) return;
    const length = this.#keptLength + chunk.length;
    if (this.#lost || length > replayBytes) {
      this.#lost = true;
      this.#tail = chunk;
      return;
    }
    if (length > this.#kept.length) {
      const larger = new Uint8Array(Math.min(replayBytes, Math.max(length, 2 * this.#kept.length)));
      larger.set(this.#kept);
      this.#kept = larger;
    }
    this.#kept.set(chunk, this.#keptLength);
    this.#keptLength = length;
  }

  /** Whoever takes it has had what was kept before it, and nobody else will. */
  #takeTail(): Uint8Array {
    const tail = this.#tail as Uint8Array;
    this.#tail = null;
    this.#kept = nothing;
    this.#keptLength = 0;
    return tail;
  }
}

/** A stream of whichever copy of the streams. */
function isStream(input: object): input is Readable {
  return typeof (input as Partial<Readable>).destroy === 'function';
}

function iteratorOf(input: AsyncIterable<Piece> | Iterable<Piece>): AsyncIterator<Piece> | Iterator<Piece> {
  return Symbol.asyncIterator in input ? input[Symbol.asyncIterator]() : input[Symbol.iterator]();
}

/** What a source says while it is being stopped is of no interest to anybody. */
async function stop(source: () => AsyncIterator<Piece> | Iterator<Piece>, reason: unknown): Promise<void> {
  try {
    await source().return?.(reason);
  } catch {}
}

function bytesOf(piece: Piece): Uint8Array {
  if (typeof piece === 'string') return Buffer.from(piece);
  if (piece instanceof Uint8Array) return piece;
  const error = new TypeError('a request body must consist of strings and Uint8Arrays');
  throw Object.assign(error, { code: 'ERR_INVALID_ARG_TYPE' });
}
