/**
 * @module One try over HTTP. The same object is undici's handler, the reply, its body, the watcher of the call's scope
 * and the timer that guards an unread body: on the hottest path of the project an exchange costs one object, no
 * promise and no closure. The file is longer than most for that reason; what could be taken out is in `BodyFlow`.
 */
import {
  type Call,
  CanceledError,
  canSend,
  type Endpoint,
  headerOf,
  type Receiver,
  type Reply,
  type ReplyHeaders,
  type ScopeWatcher,
  type TransportPhase,
} from '@fairlead/core';
import { BodyFlow, heldBytes, noHeaders } from './body-flow.js';
import type { Passenger } from './connections/passenger.js';
import type { PoolClient } from './connections/pool-client.js';
import type { OriginPool } from './connections/pools.js';
import { withoutHopHeaders } from './hop-headers.js';
import { unansweredError, wasStale } from './unanswered-error.js';
import type { Dispatcher } from './undici.js';
import { isPiecewise, Upload } from './upload.js';
import { bodySourceError, cancelReason, type FailedWhere, wireError } from './wire-error.js';

/** What a transport tells each of its attempts. */
export interface AttemptSettings {
  /** How long a body may wait for its reader before it is cut off, in ms. */
  readonly unreadBodyMs: number;
  /** How long the rest of a body that nobody wants may take before it is cut off, in ms. */
  readonly dropBodyMs: number;
  /** The `host` header to send; null for that of the endpoint, which undici adds by itself. */
  readonly host: 'endpoint' | 'service' | (string & {});
}

// How far an exchange has got.
const QUEUED = 0;
const STARTED = 1;
const ANSWERED = 2;
const OVER = 3;

/** Thrown out of `onRequestStart`: undici then forgets the request and keeps the connection; `abort` would destroy it. */
const nobodyWaits: Error = new Error('the call was canceled before it was sent');

const canceled = (): CanceledError => new CanceledError({ message: 'the body was canceled' });

/**
 * Whose head has come in this turn. Layers are told of a reply at the end of the turn, or with the end of its body if that
 * is sooner, as it is for nearly every small one: it is then over for all of them at once, and needs neither a guard of its
 * unread body nor a list of who wants to know its end.
 */
const untold: Attempt[] = [];
const soon: Promise<void> = Promise.resolve();

function tellAll(): void {
  for (let i = 0; i < untold.length; i++) (untold[i] as Attempt).tell();
  untold.length = 0;
}

/** One try, and the reply to it. */
export class Attempt extends BodyFlow implements Reply, ScopeWatcher, Passenger {
  status = 0;
  /** The reason phrase, for `Response.statusText`. */
  statusText = '';
  headers: ReplyHeaders = noHeaders;
  at = 0;
  readonly endpoint: Endpoint;
  carrier: PoolClient | null = null;
  ahead: Attempt | null = null;
  behind: Attempt | null = null;
  readonly #call: Call;
  readonly #pool: OriginPool;
  readonly #settings: AttemptSettings;
  /** Who waits for the head of the reply. */
  #receiver: Receiver | null = null;
  #controller: Dispatcher.DispatchController | null = null;
  #upload: Upload | null = null;
  #stage = QUEUED;
  /** Whether a byte of the request may have left: with HTTP/1 the head waits for the body to begin, with HTTP/2 it does not. */
  #wrote = false;
  #wroteAll = false;
  /** Whether a byte of any answer has come. */
  #heard = false;
  #replayed = false;
  /** Whether the body has a reader, or never needs one. */
  #read = false;
  #dropping = false;
  #received = 0;

  constructor(call: Call, endpoint: Endpoint, pool: OriginPool, settings: AttemptSettings) {
    super();
    this.background = true;
    this.endpoint = endpoint;
    this.#call = call;
    this.#pool = pool;
    this.#settings = settings;
  }

  get body(): this {
    return this;
  }

  get hearsInterim(): boolean {
    return false;
  }

  /** Sends the call. The receiver is told of the reply's head, a failure or the scope's end, whichever comes first. */
  send(receiver: Receiver): void {
    this.#receiver = receiver;
    this.#pool.inFlight++;
    this.#call.scope.watch(this);
    if (this.#stage !== OVER) this.#pool.dispatch(this);
  }

  late(): boolean {
    this.#call.scope.expiry();
    return this.isOver;
  }

  request(): Dispatcher.DispatchOptions {
    const { method, path, body, service } = this.#call;
    const { host } = this.#settings;
    let headers = withoutHopHeaders(this.#call.headers);
    if (host !== 'endpoint' && headerOf(headers, 'host') === undefined) {
      headers = [...headers, 'host', host === 'service' ? service : host];
    }
    // undici declares neither read-only lists of headers nor methods beyond its own list, and takes both.
    if (!isPiecewise(body)) return { method, path, headers, body } as never;
    this.#upload = new Upload(body);
    if (body.length !== undefined && headerOf(headers, 'content-length') === undefined) {
      headers = [...headers, 'content-length', String(body.length)];
    }
    return { method, path, headers, body: this.#upload } as never;
  }

  // What undici tells.

  onRequestStart(controller: Dispatcher.DispatchController): void {
    if (this.#stage === OVER) throw nobodyWaits;
    this.#controller = controller;
    this.#stage = STARTED;
    this.#wrote ||= this.#pool.connector.multiplexed;
  }

  onBodySent(): void {
    this.#wrote = true;
  }

  onRequestSent(): void {
    this.#wrote = true;
    this.#wroteAll = true;
  }

  onResponseStarted(): void {
    this.#heard = true;
  }

  onResponseStart(_: Dispatcher.DispatchController, status: number, headers: ReplyHeaders, statusText?: string): void {
    // 1xx: the answer proper is still to come.
    if ((status < 200 && status !== 101) || this.#stage !== STARTED) return;
    this.#stage = ANSWERED;
    this.status = status;
    this.statusText = statusText ?? '';
    this.headers = headers;
    this.at = this.#call.runtime.clock.now();
    untold.push(this);
    if (untold.length === 1) void soon.then(tellAll);
  }

  /** The turn of the socket is over, and the body, or the rest of it, did not come with the head. */
  tell(): void {
    const receiver = this.#receiver;
    if (receiver === null) return;
    this.#receiver = null;
    if (!this.#read) this.#call.runtime.clock.arm(this, this.at + this.#settings.unreadBodyMs);
    receiver.onReply(this);
  }

  onResponseData(_: Dispatcher.DispatchController, chunk: Uint8Array): void {
    const { length } = chunk;
    if (length === 0 || this.#stage !== ANSWERED) return;
    this.#received += length;
    if (!this.#dropping) this.push(chunk);
    else if ((this.held += length) > heldBytes) {
      this.#cut(new CanceledError({ message: 'the rest of the body was too long to drop' }));
    }
  }

  /** The connection is not used for requests any more. */
  protected released(): void {
    this.#pool.released(this);
  }

  onResponseEnd(_: Dispatcher.DispatchController, trailers: ReplyHeaders): void {
    if (this.#stage !== OVER) this.#over(null, trailers);
  }

  onResponseError(_: Dispatcher.DispatchController | null, error: Error): void {
    if (this.#stage === OVER) return;
    const stale = this.#silent && wasStale(error, this.#pool.connector);
    if (stale && this.#mayReplay()) this.#replay();
    else this.#over(this.#named(error, stale), noHeaders);
  }

  /** No byte of an answer, and only one connection. */
  get #silent(): boolean {
    return this.#stage < ANSWERED && !this.#heard && !this.#replayed;
  }

  /** Nothing of an answer came: sending again is safe if it may be done twice, or if it has not been done at all. */
  #mayReplay(): boolean {
    return (this.#call.idempotent || !this.#wrote) && canSend(this.#call.body);
  }

  #replay(): void {
    const { runtime, service, tried } = this.#call;
    this.#upload?.stop();
    this.#replayed = true;
    // Whoever holds the budget of the call counts it there.
    tried.replays = (tried.replays ?? 0) + 1;
    this.#stage = QUEUED;
    this.#controller = null;
    runtime.on?.({ type: 'socket.replayed', service, endpoint: this.endpoint.id });
    // `#wrote` stays: what the first connection took may have been read.
    this.#wroteAll = false;
    this.#pool.dispatchFresh(this);
  }

  #named(error: Error, staleSocket: boolean): unknown {
    if (this.#upload?.failed === true) return bodySourceError(this.#upload.error);
    const stage = this.#stage;
    const phase = stage === QUEUED ? 'connect' : stage === ANSWERED ? 'body' : this.#wroteAll ? 'wait' : 'send';
    const where = this.#where(phase, staleSocket);
    return this.#silent ? unansweredError(error, where, this.#pool.connector) : wireError(error, where);
  }

  #where(phase: TransportPhase, staleSocket: boolean): FailedWhere {
    const sent = this.#wrote ? 'maybe' : 'no';
    return { service: this.#call.service, endpoint: this.endpoint.id, phase, sent, staleSocket };
  }

  // What the scope and the timer tell.

  /** The call is canceled or out of time. */
  onCancel(reason: unknown): void {
    if (this.#stage === OVER) return;
    this.drop();
    this.#cut(this.#stage === ANSWERED ? reason : cancelReason(reason, this.#where('wait', false)));
  }

  /** Nobody came for the body in time, or its rest is too slow to drop. */
  fire(): void {
    const { dropBodyMs, unreadBodyMs } = this.#settings;
    this.drop();
    this.#cut(
      new CanceledError({
        message: this.#dropping
          ? `the rest of the body did not come within ${dropBodyMs} ms`
          : `nobody read the body within ${unreadBodyMs} ms`,
      }),
    );
  }

  // What the reader of the body asks.

  cancel(reason?: unknown): void {
    if (this.#dropping) return;
    this.drop();
    const open = this.#stage === ANSWERED;
    if (open && !this.#restIsShort()) {
      this.#cut(reason ?? canceled());
      return;
    }
    this.#dropping = true;
    if (this.isTaken) this.breakOff(reason ?? canceled());
    if (!open) return;
    // A short rest is read and dropped, because a new connection costs more.
    this.paused = false;
    const { clock } = this.#call.runtime;
    clock.arm(this, clock.now() + this.#settings.dropBodyMs);
    this.wantMore();
  }

  #restIsShort(): boolean {
    const length = this.headers['content-length'];
    // A reader that stops in the middle of a body without end wants it stopped; a reply that nobody began is likely short.
    if (typeof length !== 'string') return !this.isTaken;
    return Number(length) - this.#received <= heldBytes;
  }

  protected taken(): void {
    this.#read = true;
    if (this.#dropping) this.breakOff(canceled());
    else if (this.armed) this.#call.runtime.clock.disarm(this);
  }

  protected wantLess(): void {
    if (this.#stage === ANSWERED && !this.#dropping) this.#controller?.pause();
  }

  protected wantMore(): void {
    // Not at once: undici's parser is shared by all connections, and must not be entered while it delivers to one.
    if (this.#controller?.paused === true) queueMicrotask(() => this.#continue());
  }

  #continue(): void {
    if (!this.paused && this.#stage === ANSWERED) this.#controller?.resume();
  }

  // How it ends.

  /** Ends it from our side. What undici says to that comes after the end and is not heard. */
  #cut(error: unknown): void {
    const controller = this.#controller;
    this.#over(error, noHeaders);
    controller?.abort(error as Error);
  }

  #over(error: unknown, trailers: ReplyHeaders): void {
    this.#stage = OVER;
    this.#controller = null;
    this.#pool.ended(this, error === null);
    const { scope, runtime } = this.#call;
    scope.unwatch(this);
    if (this.armed) runtime.clock.disarm(this);
    if (error !== null) this.#upload?.stop();
    const receiver = this.#receiver;
    this.#receiver = null;
    this.finish(error, trailers);
    // Also a reply that broke in the turn in which it came is one.
    if (this.status !== 0) receiver?.onReply(this);
    else receiver?.onError(error);
  }
}
