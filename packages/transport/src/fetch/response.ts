/**
 * @module A reply as a WHATWG `Response` that makes its costly parts only when they are asked for. It is `instanceof
 * Response` by its prototype, with every member of its own, since the members of the real one only take real ones;
 * {@link LeanResponse.toResponse} gives a real one to whoever insists.
 */
import type { Reply, ReplyBody } from '@fairlead/core';
import { type Convert, type Explainer, readBody, toBytes, toJson, toText } from './body-read.js';
import { bodyStream } from './body-stream.js';
import { decodedBody } from './decode-body.js';
import { LeanHeaders } from './response-headers.js';

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
  #headers: LeanHeaders | null = null;
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
    return (this.#reply as Reply & { statusText?: string }).statusText ?? '';
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
    this.#headers ??= new LeanHeaders(this.#reply.headers);
    return this.#headers as never as Headers;
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
    return this.#whole().clone();
  }

  /**
   * A real `Response` with the same body, for `Response.prototype.text.call`, `cache.put`, `WebAssembly.compileStreaming`
   * and the like. It takes the body over.
   * @throws TypeError if the body has been read
   */
  toResponse(): Response {
    if (this.#used) throw new TypeError('Body is unusable: Body has already been read');
    return this.#whole();
  }

  #whole(): Response {
    if (this.#real === null) {
      const stream = this.#bodiless ? null : this.#used ? '' : bodyStream(this.#source(), this.#context);
      const status = this.status <= 599 ? this.status : 200;
      const statusText = reason.test(this.statusText) ? this.statusText : '';
      this.#real = dressed(new Response(stream, { status, statusText, headers: this.headers }), this);
      // What has been read here has been read there.
      if (this.#used) void this.#real.text();
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
LeanResponse.prototype.constructor = Response;
// As those of the real one are, for whoever copies with for-in.
for (const name of Object.keys(Response.prototype)) {
  if (Object.hasOwn(LeanResponse.prototype, name)) {
    Object.defineProperty(LeanResponse.prototype, name, { enumerable: true });
  }
}

type Dress = Pick<LeanResponse, 'status' | 'ok' | 'statusText' | 'url' | 'redirected' | 'type'>;

/** A response with what cannot be set, or not to any value, in a constructor. */
function dressed(response: Response, { status, ok, statusText, url, redirected, type }: Dress): Response {
  const values = { status, ok, statusText, url, redirected, type };
  const clone = (): Response => dressed(Response.prototype.clone.call(response), values);
  for (const [name, value] of Object.entries({ ...values, clone })) Object.defineProperty(response, name, { value });
  return response;
}

const toBuffer: Convert<ArrayBuffer> = (chunks, size) => toBytes(chunks, size).buffer;

async function readNothing<T>(convert: Convert<T>): Promise<T> {
  return convert([], 0);
}
