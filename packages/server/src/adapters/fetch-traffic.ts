/**
 * @module Requests and responses of WHATWG (fetch) in front of an engine that is built on Node's: stand-ins that have what
 * the engine and its layers ask for, and nothing that only a socket could tell.
 */
import { EventEmitter } from 'node:events';
import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http';
import { markGuarded } from '../exchange.js';
import type { Serving } from '../serving.js';

/** Takes the place of the server that such requests have not: a drain then waits for those that are open. */
class OpenRequests {
  readonly #open = new Set<FetchResponse>();
  #closed: (() => void) | null = null;

  add(response: FetchResponse): void {
    this.#open.add(response);
  }

  delete(response: FetchResponse): void {
    this.#open.delete(response);
    if (this.#open.size === 0) this.#tellClosed();
  }

  close(closed: () => void): void {
    this.#closed = closed;
    if (this.#open.size === 0) this.#tellClosed();
  }

  #tellClosed(): void {
    const closed = this.#closed;
    this.#closed = null;
    closed?.();
  }

  closeAllConnections(): void {
    for (const response of this.#open) response.destroy();
  }

  /** A drain listens to what servers say of their connections; there is none here. */
  on(): void {}
  off(): void {}
}

/** What there is of Node's request: no body, since nothing in front of a handler reads it. */
class FetchRequest {
  readonly method: string;
  readonly url: string;
  readonly rawHeaders: string[] = [];
  readonly headers: Record<string, string> = {};
  readonly socket: { readonly remoteAddress: string | undefined; readonly server: OpenRequests };
  // Of connections, which only HTTP/1 lets a response speak, whoever runs the server takes care.
  readonly httpVersionMajor = 2;
  readonly httpVersion = '2.0';

  constructor(request: Request, address: string | undefined, server: OpenRequests) {
    const url = request.url;
    this.method = request.method;
    // Behind `https://`, the path begins at the next slash: cheaper than a parser, since a Request has a parsed one anyway.
    const start = url.indexOf('/', url.indexOf('://') + 3);
    const hash = url.indexOf('#', start);
    this.url = hash === -1 ? url.slice(start) : url.slice(start, hash);
    request.headers.forEach((value, name) => {
      this.rawHeaders.push(name, value);
      this.headers[name] = value;
    });
    this.socket = { remoteAddress: address, server };
  }
}

/** What there is of Node's response: headers, the moment of the head, the end; and a way to answer. */
class FetchResponse extends EventEmitter {
  statusCode = 200;
  headersSent = false;
  writableEnded = false;
  writableFinished = false;
  destroyed = false;
  readonly #headers = new Map<string, number | string | readonly string[]>();
  #stream: ReadableStreamDefaultController<Uint8Array> | null = null;

  constructor(
    /** Named as in Node, where the engine looks for it. */
    readonly req: FetchRequest,
    readonly server: OpenRequests,
    readonly resolve: (response: Response) => void,
  ) {
    super();
    server.add(this);
  }

  getHeader(name: string): number | string | readonly string[] | undefined {
    return this.#headers.get(name.toLowerCase());
  }

  hasHeader(name: string): boolean {
    return this.#headers.has(name.toLowerCase());
  }

  setHeader(name: string, value: number | string | readonly string[]): this {
    this.#headers.set(name.toLowerCase(), value);
    return this;
  }

  removeHeader(name: string): void {
    this.#headers.delete(name.toLowerCase());
  }

  getHeaders(): OutgoingHttpHeaders {
    return Object.fromEntries(this.#headers) as OutgoingHttpHeaders;
  }

  writeHead(status: number): this {
    this.statusCode = status;
    this.headersSent = true;
    return this;
  }

  /** Answers bit by bit, in place of the handler. */
  write(chunk: Uint8Array): boolean {
    if (this.#stream === null) {
      const body = new ReadableStream<Uint8Array>({
        start: (controller) => {
          this.#stream = controller;
        },
        pull: () => void this.emit('drain'),
        cancel: () => this.destroy(),
      });
      this.#send(body);
    }
    const stream = this.#stream as unknown as ReadableStreamDefaultController<Uint8Array>;
    stream.enqueue(chunk);
    return (stream.desiredSize ?? 0) > 0;
  }

  /** Ends an answer in place of the handler. */
  end(body: string | null = null): this {
    if (this.#stream === null) this.#send(body);
    else this.#stream.close();
    this.finish();
    return this;
  }

  #send(body: string | ReadableStream<Uint8Array> | null): void {
    this.writeHead(this.statusCode);
    const nothing = this.req.method === 'HEAD' || isBodiless(this.statusCode);
    this.resolve(
      new Response(nothing ? null : body, { status: this.statusCode, headers: this.#withOwn(new Headers()) }),
    );
  }

  /** The handler's response, with the headers of the layers, and the end of its body told. */
  pass(given: Response): Response {
    this.statusCode = given.status;
    for (const [name, value] of given.headers) if (!this.#headers.has(name)) this.setHeader(name, value);
    this.writeHead(given.status);
    // Only now: layers may add to them with the head.
    const own = this.#withOwn(new Headers(given.headers));
    const { status, statusText } = given;
    if (status < 200) {
      // A switch of protocols, which some runtimes have a response of their own for.
      this.finish();
      return given;
    }
    const body = given.body;
    if (body === null || this.req.method === 'HEAD') {
      // Hono drops the body of an answer to HEAD without a word to it.
      void body?.cancel();
      this.finish();
      return new Response(null, { status, statusText, headers: own });
    }
    return new Response(this.#watched(body), { status, statusText, headers: own });
  }

  #watched(body: ReadableStream<Uint8Array>): ReadableStream<Uint8Array> {
    const reader = body.getReader();
    return new ReadableStream<Uint8Array>(
      {
        pull: (controller) =>
          reader.read().then(
            ({ done, value }) => {
              if (!done) {
                controller.enqueue(value);
                return;
              }
              controller.close();
              this.finish();
            },
            (error: unknown) => {
              this.destroy();
              throw error;
            },
          ),
        cancel: (reason) => {
          this.destroy();
          return reader.cancel(reason);
        },
      },
      // Nothing is read ahead of the client.
      { highWaterMark: 0 },
    );
  }

  #withOwn(headers: Headers): Headers {
    for (const [name, value] of this.#headers) {
      if (headers.has(name)) continue;
      for (const each of [value].flat()) headers.append(name, String(each));
    }
    return headers;
  }

  /** All of the answer has been handed over. */
  finish(): void {
    if (this.destroyed || this.writableEnded) return;
    this.writableEnded = true;
    this.writableFinished = true;
    this.#close();
  }

  /** The client is gone, or the answer cannot be completed. */
  destroy(): void {
    if (this.destroyed || this.writableEnded) return;
    this.destroyed = true;
    this.#stream?.error(new Error('the answer was broken off'));
    this.#close();
  }

  #close(): void {
    this.server.delete(this);
    this.emit('close');
  }
}

/** Statuses that a `Response` must not have a body with. */
function isBodiless(status: number): boolean {
  return status === 204 || status === 205 || status === 304;
}

/** Takes WHATWG requests through a guard. */
export class FetchTraffic {
  readonly #guard: Serving;
  readonly #open = new OpenRequests();

  constructor(guard: Serving) {
    this.#guard = guard;
  }

  /**
   * Asks the guard, and then `handler`, unless the guard has answered itself.
   * @param address of the other end of the connection, if the runtime tells
   * @param answers whether the guard answers for layers that fail; else their errors are the framework's to answer
   * @returns the answer; rejected with errors that are the framework's, as those of `handler` are
   */
  serve(
    request: Request,
    address: string | undefined,
    answers: boolean,
    handler: () => Promise<Response>,
  ): Promise<Response> {
    return new Promise((resolve, reject) => {
      const incoming = new FetchRequest(request, address, this.#open);
      const outgoing = new FetchResponse(incoming, this.#open, resolve);
      const gone = (): void => outgoing.destroy();
      request.signal.addEventListener('abort', gone);
      outgoing.once('close', () => request.signal.removeEventListener('abort', gone));
      const failed = (error: unknown): void => {
        // What the framework answers with is no longer seen from here; for the layers, the request failed.
        outgoing.destroy();
        reject(error);
      };
      const node = incoming as unknown as IncomingMessage;
      this.#guard.serve(node, outgoing as unknown as ServerResponse, (error) => {
        if (error !== undefined) {
          if (answers) this.#guard.fail(node, outgoing as unknown as ServerResponse, error);
          else failed(error);
          return;
        }
        markGuarded(request, node);
        handler().then((response) => resolve(outgoing.pass(response)), failed);
      });
    });
  }
}
