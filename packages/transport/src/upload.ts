/**
 * @module A request body on its way to undici. Strings and bytes go as they are. A body that is read piece by piece
 * gets this reader between its source and undici, for two reasons: an error of the source must not look like one of the
 * connection, and a source that waits for its next piece must be told when nobody wants it any more.
 */
import { isOnce, type OnceBody, type OpenBody, type RequestBody } from '@fairlead/core';

/** One reading of a body. */
export class Upload implements AsyncIterable<Uint8Array>, AsyncIterator<Uint8Array, undefined> {
  /** True once the source itself has failed; {@link error} then says how. */
  failed = false;
  error: unknown = undefined;
  readonly #body: OpenBody | OnceBody;
  #source: AsyncIterator<Uint8Array> | null = null;

  constructor(body: OpenBody | OnceBody) {
    this.#body = body;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<Uint8Array, undefined>> {
    try {
      this.#source ??= start(this.#body);
      const step = await this.#source.next();
      if (step.done) return { done: true, value: undefined };
      if (!(step.value instanceof Uint8Array)) throw new TypeError('a request body must consist of Uint8Array chunks');
      return step as IteratorYieldResult<Uint8Array>;
    } catch (error) {
      if (!this.failed) {
        this.failed = true;
        this.error = error;
      }
      throw error;
    }
  }

  async return(): Promise<IteratorResult<Uint8Array, undefined>> {
    this.stop();
    return { done: true, value: undefined };
  }

  /** Nobody wants more: lets go of the source, which may be waiting for its next piece. */
  stop(): void {
    const source = this.#source;
    this.#source = ended;
    if (source !== null) void abandon(source);
  }
}

/** Nobody will ever read `body`, of which nothing has been read yet; a stream should know, and why. */
export function refuseBody(body: OnceBody, reason: unknown): void {
  try {
    void abandon(body.once[Symbol.asyncIterator](), reason);
  } catch {}
}

/** What a source says while it is being abandoned is of no interest to anybody. */
async function abandon(source: AsyncIterator<Uint8Array>, reason?: unknown): Promise<void> {
  try {
    await source.return?.(reason);
  } catch {}
}

const ended: AsyncIterator<Uint8Array> = { next: () => Promise.resolve({ done: true, value: undefined }) };

function start(body: OpenBody | OnceBody): AsyncIterator<Uint8Array> {
  if (!isOnce(body)) return body.open()[Symbol.asyncIterator]();
  if (body.started === true) throw new TypeError('the request body has already been sent and can be read only once');
  body.started = true;
  return body.once[Symbol.asyncIterator]();
}

/** Whether `body` is read piece by piece. */
export function isPiecewise(body: RequestBody): body is OpenBody | OnceBody {
  return typeof body === 'object' && body !== null && !(body instanceof Uint8Array);
}
