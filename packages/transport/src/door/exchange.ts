/**
 * @module One dispatch, from its beginning to the end of its body. It is the scope of its call, the sink of the reply's
 * body and the tap on its attempts. Its caller's handler is told exactly once how it ended.
 */
import type { IncomingHttpHeaders } from 'node:http';
import type { Duplex } from 'node:stream';
import {
  type BodySink,
  type CallInit,
  CanceledError,
  createCall,
  errorCode,
  type Reply,
  type ReplyHeaders,
  Scope,
} from '@fairlead/core';
import type { Route } from '../fetch/fetch.js';
import type { Dispatcher } from '../undici.js';
import { type Controlled, DoorController } from './controller.js';
import { doorError } from './door-error.js';
import { parts } from './parts.js';
import { rawPairs } from './raw-pairs.js';
import { ReplayBody } from './replay-body.js';
import type { DoorRequest } from './request.js';
import { type ExchangeTap, type TapWishes, tapped } from './tap.js';

/** A handler that has been checked. */
export type CheckedHandler = Dispatcher.DispatchHandler &
  Required<Pick<Dispatcher.DispatchHandler, 'onRequestStart' | 'onResponseError'>>;

/** Whoever keeps count of the dispatches that are under way. */
export interface ExchangeOwner {
  /** Told once, before the handler is told of the end. */
  forget(exchange: Exchange): void;
}

/** One dispatch. */
export class Exchange extends Scope implements BodySink, ExchangeTap, Controlled {
  readonly wishes: TapWishes;
  readonly #route: Route;
  readonly #request: DoorRequest;
  readonly #handler: CheckedHandler;
  readonly #controller: DoorController;
  readonly #owner: ExchangeOwner;
  #reply: Reply | null = null;
  #over = false;

  constructor(route: Route, request: DoorRequest, handler: CheckedHandler, owner: ExchangeOwner) {
    super(route.runtime.clock, route.parentScope?.() ?? null);
    this.wishes = request.wishes;
    this.#route = route;
    this.#request = request;
    this.#handler = handler;
    this.#owner = owner;
    this.#controller = new DoorController(this);
  }

  /** Tells the handler that it may abort, and sends the call in the same turn: in its caller's context. */
  begin(): void {
    const { body } = this.#request;
    if (body instanceof ReplayBody) body.onFailed = (error) => this.fail(error);
    try {
      this.#handler.onRequestStart(this.#controller, null);
      if (this.#over) return;
      if (this.canceled) this.fail(this.reason);
      else {
        this.#route.begin?.(this);
        this.#send();
      }
    } catch (error) {
      this.fail(error);
    }
  }

  #send(): void {
    const { service, handler, runtime } = this.#route;
    const { method, path, headers, body, idempotent } = this.#request;
    const attributes = tapped(this);
    const call = createCall({
      service,
      runtime,
      method,
      path,
      headers,
      body,
      idempotent,
      scope: this,
      attributes,
    } as CallInit);
    handler(call).then(
      (reply) => this.#replied(reply),
      (error: unknown) => this.fail(error),
    );
  }

  #replied(reply: Reply): void {
    if (this.#over) {
      // An upgraded reply has no body to be canceled, and a connection that is somebody else's.
      if (this.canceled) reply.body.cancel();
      return;
    }
    this.#reply = reply;
    try {
      const { status, headers } = reply;
      const { statusText, rawHeaders } = reply as Reply & { statusText?: string; rawHeaders?: unknown };
      const controller = this.#controller;
      controller.rawHeaders = (rawHeaders as Buffer[] | undefined) ?? rawPairs(headers);
      // A stream of events has no end that a deadline could wait for; it lasts until somebody closes it.
      if (isEventStream(headers)) this.dropTimeout();
      this.#handler.onResponseStart?.(controller, status, headers as IncomingHttpHeaders, statusText ?? '');
      if (this.#over) return;
      if (controller.paused) reply.body.pause();
      reply.body.attach(this);
    } catch (error) {
      this.fail(error);
    }
  }

  // What the body says.

  onData(chunk: Uint8Array): void {
    try {
      this.#handler.onResponseData?.(this.#controller, chunk as Buffer);
    } catch (error) {
      this.fail(error);
    }
  }

  onEnd(trailers: ReplyHeaders): void {
    if (this.#over) return;
    const controller = this.#controller;
    this.#end(null);
    controller.rawTrailers = rawPairs(trailers);
    try {
      this.#handler.onResponseEnd?.(controller, trailers as IncomingHttpHeaders);
    } catch (error) {
      this.#tell(error as Error);
    }
  }

  onError(error: unknown): void {
    this.fail(error);
  }

  // What the connections say.

  onInformation(status: number, headers: ReplyHeaders, statusText: string, rawHeaders: unknown): void {
    if (this.#over || this.#reply !== null) return;
    this.#controller.rawHeaders = rawHeaders as Buffer[];
    try {
      this.#handler.onResponseStart?.(this.#controller, status, headers as IncomingHttpHeaders, statusText);
    } catch (error) {
      this.fail(error);
    }
  }

  onUpgrade(status: number, headers: ReplyHeaders, socket: Duplex, rawHeaders: unknown): void {
    if (this.#over) {
      socket.destroy();
      return;
    }
    this.#controller.rawHeaders = rawHeaders as Buffer[];
    try {
      this.#handler.onRequestUpgrade?.(this.#controller, status, headers as IncomingHttpHeaders, socket);
    } catch (error) {
      // Before the rest: the socket, too, breaks with the error of whoever did not take it.
      socket.destroy(error as Error);
      this.fail(error);
    }
    // Not canceled but let go of: no deadline and no end of its caller reaches what is the caller's own connection now.
    if (this.#over) socket.destroy();
    else this.#end(null);
  }

  onBodySent(chunk: unknown): void {
    if (!this.#over) this.#handler.onBodySent?.(chunk as Buffer);
  }

  onRequestSent(): void {
    if (!this.#over) this.#handler.onRequestSent?.();
  }

  onResponseStarted(): void {
    if (!this.#over) this.#handler.onResponseStarted?.();
  }

  // What the caller says.

  pause(): void {
    this.#reply?.body.pause();
  }

  resume(): void {
    this.#reply?.body.resume();
  }

  abort(reason: Error | null | undefined): void {
    this.stop(reason ?? new parts.errors.RequestAbortedError());
  }

  /**
   * Canceled from above, or out of time. What the layers make of a time that is up, a stand-in or an account of what was
   * tried, is the answer; a body that is under way has no layers left to ask, and says it by itself.
   */
  override cancel(reason?: unknown): void {
    const before = this.canceled;
    super.cancel(reason);
    if (this.canceled && !before && errorCode(this.reason) !== 'ERR_TIMEOUT') this.fail(this.reason);
  }

  // How it ends.

  /** The stack says that it failed. */
  fail(error: unknown): void {
    if (!this.#over) this.stop(doorError(error, this.#reply !== null));
  }

  /** Ends it. The handler is told `error` before this returns; what follows from that below comes too late for it. */
  stop(error: Error): void {
    if (this.#over) return;
    const reply = this.#reply;
    this.#over = true;
    if (!this.canceled) super.cancel(new CanceledError({ cause: error }));
    reply?.body.cancel(error);
    this.#end(error);
    this.#tell(error);
  }

  #end(error: Error | null): void {
    this.#over = true;
    const { body } = this.#request;
    if (body instanceof ReplayBody) body.dispose(error);
    this.close();
    this.#owner.forget(this);
  }

  #tell(error: Error): void {
    try {
      this.#handler.onResponseError(this.#controller, error);
    } catch (thrown) {
      // Nobody is left to be told. It must not get lost either, nor reach whoever happens to stand above in the stack.
      queueMicrotask(() => {
        throw thrown;
      });
    }
  }
}

function isEventStream(headers: ReplyHeaders): boolean {
  const type = headers['content-type'];
  return typeof type === 'string' && type.startsWith('text/event-stream');
}
