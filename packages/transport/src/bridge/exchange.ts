/**
 * @module One request of a client of node:http, from its head to the end of the answer. It is the scope of its call and
 * the sink of the reply's body.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import {
  type BodySink,
  CanceledError,
  createCall,
  errorCode,
  type Reply,
  type ReplyHeaders,
  type RequestBody,
  Scope,
} from '@fairlead/core';
import { type ExchangeTap, noWishes, type TapWishes, tapped } from '../door/tap.js';
import { bridgeError } from './bridge-error.js';
import { rawHead, writeReplyHead } from './reply-head.js';
import { hasBody, requestBody } from './request-body.js';
import { requestHeaders, requestPath } from './request-headers.js';
import type { Abandonable, ServerSocket } from './server-socket.js';

/** Answers a request over the stack of its service. */
export function exchange(socket: ServerSocket, request: IncomingMessage, response: ServerResponse): void {
  new Exchange(socket, request, response).begin();
}

/** One request. */
export class Exchange extends Scope implements BodySink, Abandonable, ExchangeTap {
  readonly wishes: TapWishes = noWishes;
  protected readonly socket: ServerSocket;
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  #reply: Reply | null = null;
  #over = false;
  /** The first piece, if it came with the head: the two are then sent together. */
  #first: Uint8Array | null = null;
  #attaching = false;
  #paused = false;

  constructor(socket: ServerSocket, request: IncomingMessage, response: ServerResponse) {
    const { route } = socket.address;
    super(route.runtime.clock, route.parentScope?.() ?? null);
    this.socket = socket;
    this.#request = request;
    this.#response = response;
  }

  /** Whether nothing more is to be told. */
  protected get over(): boolean {
    return this.#over;
  }

  begin(): void {
    this.socket.exchange = this;
    if (this.canceled) this.#fail(this.reason);
    else if (hasBody(this.#request)) void requestBody(this.#request, this.#response).then((body) => this.#send(body));
    else this.#send(null);
  }

  #send(body: RequestBody): void {
    if (this.#over) return;
    const { host, route } = this.socket.address;
    const { service, handler, runtime } = route;
    const request = this.#request;
    try {
      route.begin?.(this);
      const call = createCall({
        service,
        runtime,
        method: request.method as string,
        path: requestPath(request, host),
        headers: requestHeaders(request, host),
        body,
        scope: this,
        attributes: tapped(this),
      });
      handler(call).then(
        (reply) => this.#replied(reply),
        (error: unknown) => this.#fail(error),
      );
    } catch (error) {
      this.#fail(error);
    }
  }

  #replied(reply: Reply): void {
    if (this.#over) {
      this.late(reply);
      return;
    }
    this.#reply = reply;
    this.socket.client.endpoint = reply.endpoint;
    try {
      writeReplyHead(this.#response, reply);
      // A stream of events has no end that a deadline could wait for; it lasts until somebody closes it.
      if (isEventStream(reply.headers)) this.dropTimeout();
      this.#attaching = true;
      reply.body.attach(this);
      this.#attaching = false;
      if (!this.#over) this.#flush();
    } catch (error) {
      this.#fail(error);
    }
  }

  /** A reply for which it is too late. */
  protected late(reply: Reply): void {
    reply.body.cancel();
  }

  /** What has been kept for the head's company goes, and the head goes even if nothing came with it. */
  #flush(): void {
    const first = this.#first;
    this.#first = null;
    if (first === null) this.#response.flushHeaders();
    else this.#write(first);
  }

  #write(chunk: Uint8Array): void {
    if (this.#response.write(chunk) || this.#paused) return;
    this.#paused = true;
    this.#reply?.body.pause();
    this.#response.once('drain', this.#drained);
  }

  readonly #drained = (): void => {
    this.#paused = false;
    if (!this.#over) this.#reply?.body.resume();
  };

  // What the body says.

  onData(chunk: Uint8Array): void {
    if (this.#over) return;
    if (this.#first !== null) this.#flush();
    if (this.#attaching) this.#first = chunk;
    else this.#write(chunk);
  }

  onEnd(trailers: ReplyHeaders): void {
    if (this.#over) return;
    this.end();
    const response = this.#response;
    if (response.chunkedEncoding && Object.keys(trailers).length > 0) {
      response.addTrailers(trailers as Record<string, string>);
    }
    if (this.#first === null) response.end();
    else response.end(this.#first);
    this.socket.answered();
  }

  onError(error: unknown): void {
    this.#fail(error);
  }

  // What the connection says.

  /** An interim answer: written past the response, which has a method for some of them only. */
  onInformation(status: number, _: ReplyHeaders, statusText: string, rawHeaders: unknown): void {
    if (!this.#over && this.#reply === null) this.socket.write(rawHead(status, statusText, rawHeaders));
  }

  /** Nobody has asked for one. */
  onUpgrade(_status: number, _headers: ReplyHeaders, upstream: Duplex, _rawHeaders: unknown): void {
    upstream.destroy();
  }

  onBodySent(): void {}
  onRequestSent(): void {}
  onResponseStarted(): void {}

  // What others say.

  /** The client is gone. */
  abandon(): void {
    this.cancel(new CanceledError({ message: 'the request was destroyed' }));
  }

  /**
   * Canceled from above, out of time, or abandoned. What the layers make of a time that is up, a stand-in or an account of
   * what was tried, is the answer; a body that is under way has no layers left to ask, and says it by itself.
   */
  override cancel(reason?: unknown): void {
    const before = this.canceled;
    super.cancel(reason);
    if (this.canceled && !before && errorCode(this.reason) !== 'ERR_TIMEOUT') this.#fail(this.reason);
  }

  // How it ends.

  #fail(error: unknown): void {
    if (this.#over) return;
    this.end();
    const socket = this.socket;
    socket.exchange = null;
    this.#reply?.body.cancel(error);
    if (this.#response.headersSent) {
      // What came before can still be read; that it is not all is then plain from where the message ends.
      this.#flush();
      // Not at once: a response keeps what is written in one tick together. Nor in the next tick, in which the client is told
      // of the head: who awaits that has to have its turn before the end.
      process.nextTick(() => queueMicrotask(() => socket.destroySoon()));
    } else socket.client.destroy(bridgeError(error));
  }

  /** Nothing more is to be told, and nobody asks how long it may take. */
  protected end(): void {
    this.#over = true;
    if (this.#reply === null) this.close();
    else this.#reply.onEnd(() => this.close());
  }
}

function isEventStream(headers: ReplyHeaders): boolean {
  const type = headers['content-type'];
  return typeof type === 'string' && type.startsWith('text/event-stream');
}
