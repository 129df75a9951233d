/**
 * @module A reply as a WHATWG `Response` that makes its costly parts only when they are asked for. It is `instanceof
 * Response` by its prototype, with every member of its own, since the members of the real one only take real ones;
 * {@link LeanResponse.toResponse} gives a real one to whoever insists.
 */
import type { Reply, ReplyBody } from '@fairlead/core';
import { type Convert, type Explainer, readBody, toBytes, toJson, toText } from './body-read.js';
import { bodyStream } from './body-stream.js';
import { decodedBody } from './decode-body.js';

/** Where a response came from, and what an error of its body means to the caller. */
export interface ResponseContext extends Explainer {
  readonly href: string;
  readonly redirected: boolean;
}

const noBody: ReadonlySet<number> = new Set([204, 205, 304]);
const reason = /^[\t\x20-\x7e\x80-\xff]*$/;

/** A response over a {@link Reply}. */
export class LeanResponse {
  readonly #reply: Reply;
  readonly #context: ResponseContext;
  /** Whether there is no body, which is not the same as an empty one. */
  readonly #bodiless: boolean;
  #used = false;
  #headers: Headers | null = null;
  /** Made for what only a real response can do; from then on the body is its own. */
  #real: Response | null = null;

  constructor(reply: Reply, method: string, context: ResponseContext) {
    this.#reply = reply;
    this.#context = context;
    this.#bodiless = method === 'HEAD' || noBody.has(reply.status);
    if (this.#bodiless) reply.body.cancel();
  }

  get status(): number {
    return this.#reply.status;
  }
  get ok(): boolean {
    const { status } = this.#reply;
    return status >= 200 && status <= 299;
  }
  get statusText(): string {
    const text = (this.#reply as Reply & { statusText?: string }).statusText ?? '';
    return reason.test(text) ? text : '';
  }
  get url(): string {
    return this.#context.href;
  }
  get redirected(): boolean {
    return this.#context.redirected;
  }
  get type(): 'basic' {
    return 'basic';
  }

  get headers(): Headers {
    if (this.#headers === null) {
      const headers = new Headers();
      const { headers: parsed } = this.#reply;
      for (const name of Object.keys(parsed)) {
        const value = parsed[name];
        if (typeof value === 'string') headers.append(name, value);
        else if (value !== undefined) for (const each of value) headers.append(name, each);
      }
      this.#headers = headers;
    }
    return this.#headers;
  }

  get bodyUsed(): boolean {
    return this.#real === null ? this.#used && !this.#bodiless : this.#real.bodyUsed;
  }
  get body(): ReadableStream<Uint8Array<ArrayBuffer>> | null {
    return this.#bodiless ? null : this.#whole().body;
  }

  json(): Promise<unknown> {
    return this.#real === null ? this.#read(toJson) : this.#real.json();
  }
  text(): Promise<string> {
    return this.#real === null ? this.#read(toText) : this.#real.text();
  }
  bytes(): Promise<Uint8Array<ArrayBuffer>> {
    return this.#real === null
      ? this.#read(toBytes)
      : (this.#real as Response & { bytes(): Promise<Uint8Array<ArrayBuffer>> }).bytes();
  }
  arrayBuffer(): Promise<ArrayBuffer> {
    return this.#real === null ? this.#read(toBuffer) : this.#real.arrayBuffer();
  }
  blob(): Promise<Blob> {
    return this.#used ? this.#refuse() : this.#whole().blob();
  }
  formData(): Promise<FormData> {
    return this.#used ? this.#refuse() : this.#whole().formData();
  }

  /** @throws TypeError if the body has been read */
  clone(): Response {
    if (this.#used) throw new TypeError('Response.clone: Body has already been consumed.');
    const real = this.#whole();
    return dressed(real.clone(), this.#context);
  }

  /**
   * A real `Response` with the same body, for `Response.prototype.text.call`, `cache.put`, `WebAssembly.compileStreaming`
   * and the like. It takes the body over.
   * @throws RangeError for a status that a `Response` cannot have, such as 999
   */
  toResponse(): Response {
    if (this.#used) throw new TypeError('Body is unusable: Body has already been read');
    return this.#whole();
  }

  #whole(): Response {
    if (this.#real === null) {
      const stream = this.#bodiless || this.#used ? null : bodyStream(this.#source(), this.#context);
      const { status, statusText, headers } = this;
      this.#real = dressed(new Response(stream, { status, statusText, headers }), this.#context);
    }
    return this.#real;
  }

  #read<T>(convert: Convert<T>): Promise<T> {
    if (this.#used) return this.#refuse();
    if (this.#bodiless) return readNothing(convert);
    this.#used = true;
    return readBody(this.#source(), convert, this.#context);
  }

  #refuse(): Promise<never> {
    return Promise.reject(new TypeError('Body is unusable: Body has already been read'));
  }

  #source(): ReplyBody {
    return decodedBody(this.#reply);
  }
}

Object.setPrototypeOf(LeanResponse.prototype, Response.prototype);

/** A response that another made, with the two things that a constructor cannot set. */
function dressed(response: Response, { href, redirected }: ResponseContext): Response {
  return Object.defineProperties(response, { url: { value: href }, redirected: { value: redirected } });
}

const toBuffer: Convert<ArrayBuffer> = (chunks, size) => toBytes(chunks, size).buffer;

async function readNothing<T>(convert: Convert<T>): Promise<T> {
  return convert([], 0);
}
