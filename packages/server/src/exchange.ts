/**
 * @module One inbound request: how long it may take, and the answer that its handler is writing. The scope of the request
 * and the reply to it are one object, because both live exactly as long as the request does. The file is longer than
 * most: a part of that object could not be read without the rest.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import {
  type Call,
  CanceledError,
  type Clock,
  type EndListener,
  type Receiver,
  type Reply,
  type ReplyBody,
  type ReplyHeaders,
  retryHeader,
  Scope,
  tellEnd,
} from '@fairlead/core';
import { announceEnd, sessionOf } from './drain/http2-sessions.js';
import { addFields } from './headers/answer-fields.js';
import type { Next } from './next.js';
import { aloneInPipeline, enterPipeline, leavePipeline } from './pipeline.js';
import type { Shedder } from './shed/shedder.js';
import { formatTiming } from './tell.js';

/** What an exchange asks of the engine that serves it. */
export interface ExchangeHost {
  /** Whether connections are to be given up at their next answer. */
  readonly draining: boolean;
  /** Runs the handler, inside whatever ambient context belongs to `call`. */
  run(call: Call, next: Next): unknown;
  /** The handler has thrown, or its promise was rejected. */
  handlerFailed(exchange: Exchange, error: unknown): void;
  /** A layer has answered in the handler's place. */
  answered(exchange: Exchange, reply: Reply): void;
  /** A layer has refused the request, or failed, or nobody is left to be answered. */
  layerFailed(exchange: Exchange, error: unknown): void;
}

/**
 * Where the innermost exchange of a request is found, and an exchange on the way up from the scope of a call. Shared by copies
 * of this package: two of them may guard the same request, and each takes from the other's exchanges only what is public.
 */
const current: unique symbol = Symbol.for('fairlead.exchange.v1') as never;

type Marked = IncomingMessage & { [current]?: Exchange };

/**
 * A request behind a guard, in any of the forms that frameworks hand it on: Node's, the WHATWG `Request` under hono, or an
 * object that has one of those as its `raw` (fastify's request, hono's `c.req`).
 */
export type GuardedRequest = IncomingMessage | Request | { readonly raw: unknown };

/** Makes what is known of `request` known of `other`, too, which is the same request in another form. */
export function markGuarded(other: object, request: IncomingMessage): void {
  (other as Marked)[current] = (request as Marked)[current] as Exchange;
}

/** The innermost exchange of `request`, whichever copy of this package has made it. */
export function exchangeBehind(request: GuardedRequest): Exchange | undefined {
  const { [current]: own, raw } = request as { [current]?: Exchange; raw?: { [current]?: Exchange } };
  return own ?? raw?.[current];
}

/** The innermost of `request` that this copy of the package has made. */
function ownExchange(request: Marked): Exchange | null {
  let each = request[current] ?? null;
  while (each !== null && !(each instanceof Exchange)) each = (each as Exchange).foreign ?? (each as Exchange).outer;
  return each;
}

/**
 * The bytes of the answer go from the handler to the socket and never pass through the layers: a sink that is attached
 * sees nothing, and cancelling does not stop the handler (cancel the scope for that).
 */
const bodyOnTheSocket: ReplyBody = Object.freeze({
  attach(): void {},
  pause(): void {},
  resume(): void {},
  cancel(): void {},
});

/** An inbound request between its head and its end. */
export class Exchange extends Scope implements Reply, Receiver {
  /** Monotonic ms at which the head of the answer was written; 0 until then, and as long as nobody is told. */
  at = 0;
  #headOut = false;
  /** Whether the client has asked where the time goes. */
  timed = false;
  /** The call as the handler got it, after every layer; null until the handler runs. */
  call: Call | null = null;
  /** The exchange of a guard further out that let the same request pass, and is of this copy of the package. */
  readonly outer: Exchange | null;
  /** The one that let it pass last, if that is another copy's. Declared only: it is rare. */
  declare readonly foreign?: Exchange;
  readonly #writeHead: ServerResponse['writeHead'];
  /** The last argument of `writeHead`: frameworks keep headers to themselves until then. */
  #given: unknown = null;
  /** What layers add to the head, names and values in turn; null while that is nothing. */
  #fields: string[] | null = null;
  /** The layer that let the request through to the handler. */
  #receiver: Receiver | null = null;
  #others: Receiver[] | null = null;
  #ended = false;
  #endError: unknown = null;
  #listener: EndListener | null = null;
  #more: EndListener[] | null = null;

  constructor(
    clock: Clock,
    readonly request: IncomingMessage,
    readonly response: ServerResponse,
    readonly next: Next,
    readonly host: ExchangeHost,
    /** Who let it in, until that is told that it has been answered. */
    private shed: Pick<Shedder, 'leave'> | null,
    /** Monotonic ms at which it was let in. */
    readonly begunAt: number,
  ) {
    const last = (request as Marked)[current] ?? null;
    const outer = last === null || last instanceof Exchange ? last : ownExchange(request);
    // Both copies may be over one core, and each over its own.
    super(clock, last instanceof Scope ? last : outer);
    this.outer = outer;
    // The socket keeps the process alive; a deadline need not.
    this.background = true;
    if (last !== outer) this.#goInside(last as Exchange);
    this.#writeHead = response.writeHead;
    (request as Marked)[current] = this;
    if (outer !== null) return;
    response.writeHead = writeHead as ServerResponse['writeHead'];
    response.on('close', responseClosed);
    enterPipeline(request, closeAll);
  }

  /** As a child of `foreign`, whose scope may be a stranger to ours. */
  #goInside(foreign: Exchange): void {
    (this as { foreign?: Exchange }).foreign = foreign;
    if (this.parent === foreign) return;
    const leftMs = foreign.remainingMs();
    this.expireAt(this.clock.now() + leftMs, 'call', leftMs);
    foreign.watch(this);
  }

  /** Tells that this scope is one. */
  get [current](): this {
    return this;
  }

  get status(): number {
    return this.response.statusCode;
  }

  /** Headers set so far, and those that the handler gave to `writeHead`. */
  get headers(): ReplyHeaders {
    return withGiven(this.response.getHeaders() as ReplyHeaders, this.outermost.#given);
  }

  get body(): ReplyBody {
    return bodyOnTheSocket;
  }

  get endpoint(): null {
    return null;
  }

  /** Whether the handler has been started: from then on the response is its own. */
  get begun(): boolean {
    return this.call !== null;
  }

  /** Calls `listener` when the answer has been handed to the socket (null), or when the client went away (why). */
  onEnd(listener: EndListener): void {
    if (this.#ended) tellEnd(listener, this.#endError);
    else if (this.#listener === null) this.#listener = listener;
    else (this.#more ??= []).push(listener);
  }

  /**
   * Runs the handler, once; a layer that calls `next` again waits for the same answer again. The receiver is told as soon as
   * its head is written; or that time is up or the client is gone, in which case the handler does not run; or that the
   * client has gone away before the head.
   */
  begin(call: Call, receiver: Receiver): void {
    if (this.call !== null) {
      this.#beginAgain(receiver);
      return;
    }
    const scope = call.scope;
    // The clock is read only for a request that has a deadline: the event loop may have been blocked past it.
    if (scope.canceled || (scope.deadlineAt !== Number.POSITIVE_INFINITY && scope.expired())) {
      receiver.onError(scope.expiry());
      return;
    }
    this.call = call;
    this.#receiver = receiver;
    let result: unknown;
    try {
      result = this.host.run(call, this.next);
    } catch (error) {
      this.host.handlerFailed(this, error);
      return;
    }
    if (typeof (result as PromiseLike<unknown> | undefined)?.then === 'function') {
      (result as PromiseLike<unknown>).then(undefined, (error) => this.host.handlerFailed(this, error));
    }
  }

  #beginAgain(receiver: Receiver): void {
    if (this.#headOut) {
      if (this.at === 0) this.at = this.clock.now();
      receiver.onReply(this);
    } else if (this.#ended) receiver.onError(this.#endError);
    else (this.#others ??= []).push(receiver);
  }

  /** Adds `member` to a field of the answer that is a list, unless the handler sets a field of that name. */
  addMember(name: string, member: string): void {
    const { response } = this;
    if (response.headersSent) return;
    const first = this.outermost;
    const fields = first.#fields;
    if (first.foreign !== undefined) first.foreign.addMember(name, member);
    else if (fields !== null) {
      const at = fields.indexOf(name);
      if (at === -1) fields.push(name, member);
      else fields[at + 1] += `, ${member}`;
    } else if (this.request.httpVersionMajor > 1 || response.getHeaderNames().length > 0) {
      // HTTP/2 and stand-ins for WHATWG have no cheaper way, nor has a head that is being set one by one, as under express.
      const before = response.getHeader(name);
      response.setHeader(name, before === undefined ? member : `${String(before)}, ${member}`);
    } else first.#fields = [name, member];
  }

  // What the layers make of the request.

  onReply(reply: Reply): void {
    if (reply !== this) this.host.answered(this, reply);
  }

  onError(error: unknown): void {
    this.host.layerFailed(this, error);
  }

  /** Writes the head, and tells the layers of this guard and of those further out. */
  writeHead(args: unknown[]): ServerResponse {
    const first = this.outermost;
    if (this.gaveUp === true && Number(args[0] ?? this.status) >= 500) this.#forbidRetry();
    if (this.host.draining) first.#lastAnswer();
    if (first.timed && !this.response.headersSent) first.#tellTiming();
    if (first.#fields !== null && !this.response.headersSent) addFields(this.response, first.#fields, args);
    first.#given = args.at(-1);
    const result = (first.#writeHead as (...args: unknown[]) => ServerResponse).apply(this.response, args);
    for (let each: Exchange | null = this; each !== null; each = each.outer) each.#headWritten();
    return result;
  }

  /** Everything has been tried behind this answer: whoever called must not try all of it again. */
  #forbidRetry(): void {
    const { response } = this;
    if (!response.headersSent && !response.hasHeader(retryHeader)) response.setHeader(retryHeader, 'no');
  }

  #tellTiming(): void {
    const { call, begunAt, response } = this;
    const own = formatTiming(call === null ? 0 : begunAt - call.at, this.clock.now() - begunAt);
    const given = response.getHeader('Server-Timing');
    response.setHeader('Server-Timing', given === undefined ? own : `${own}, ${String(given)}`);
  }

  /** The exchange of the first guard of this copy that this request met. */
  get outermost(): Exchange {
    let first: Exchange = this;
    while (first.outer !== null) first = first.outer;
    return first;
  }

  /** Announces that the connection will be closed after this answer, unless the client already waits for another one. */
  #lastAnswer(): void {
    if (this.request.httpVersionMajor > 1) {
      const session = sessionOf(this.request);
      if (session !== undefined) announceEnd(session);
      return;
    }
    if (!this.response.headersSent && aloneInPipeline(this.request)) this.response.setHeader('Connection', 'close');
  }

  #headWritten(): void {
    if (this.#headOut) return;
    this.#headOut = true;
    // Nobody wants to know when that was: a look at the clock costs a tenth of all the rest.
    if (this.shed === null && this.#others === null && (this.#receiver === this || this.#receiver === null)) return;
    this.at = this.clock.now();
    // The handler's work is done, or nearly so: what is left is up to how fast the client reads, and may last for hours.
    this.#leave(this.call === null ? null : this.at - this.begunAt);
    this.#receiver?.onReply(this);
    if (this.#others !== null) for (const each of this.#others) each.onReply(this);
  }

  /** The client went away before the head. */
  #lost(): void {
    this.#receiver?.onError(this.#endError);
    if (this.#others !== null) for (const each of this.#others) each.onError(this.#endError);
  }

  #leave(ms: number | null): void {
    const shed = this.shed;
    this.shed = null;
    shed?.leave(this.request, ms);
  }

  /** The request is over, whichever way. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    const response: ServerResponse & { isLightMyRequest?: boolean } = this.response;
    // Both: a response of HTTP/2 calls itself finished also when its stream was reset. The one that fastify injects into an
    // application under test is closed before its bytes are flushed, to nowhere.
    const complete = response.writableEnded && (response.writableFinished || response.isLightMyRequest);
    // On Node 22, one that was destroyed and then ended (as hono does) is finished, too.
    if (complete && response.errored == null) {
      this.#headWritten();
    } else {
      this.#endError = this.canceled ? this.reason : new CanceledError({ message: 'the client went away' });
      this.cancel(this.#endError);
      if (!this.#headOut) this.#lost();
    }
    this.#leave(null);
    this.close();
    if (this.outer === null) leavePipeline(this.request);
    if (this.#listener !== null) tellEnd(this.#listener, this.#endError);
    if (this.#more !== null) for (const listener of this.#more) tellEnd(listener, this.#endError);
  }
}

/** Stands in for `response.writeHead`, which Node also calls for a head that the handler left to it. */
function writeHead(this: ServerResponse & { req: Marked }, ...args: unknown[]): ServerResponse {
  return (ownExchange(this.req) as Exchange).writeHead(args);
}

function responseClosed(this: ServerResponse & { req: Marked }): void {
  closeAll(this.req);
}

function closeAll(request: Marked): void {
  for (let each = ownExchange(request); each !== null; each = each.outer) each.end();
}

/** `set` and what `writeHead` was `given` besides: an object, names and values in turn, or pairs of them. */
function withGiven(set: ReplyHeaders, given: unknown): ReplyHeaders {
  if (typeof given !== 'object' || given === null) return set;
  const all: Record<string, string | string[]> = { ...(set as Record<string, string | string[]>) };
  if (!Array.isArray(given)) {
    for (const [name, value] of Object.entries(given)) all[name.toLowerCase()] = value;
    return all;
  }
  const flat: unknown[] = Array.isArray(given[0]) ? given.flat() : given;
  for (let i = 0; i + 1 < flat.length; i += 2) all[String(flat[i]).toLowerCase()] = flat[i + 1] as string;
  return all;
}

/** The exchange that `call` is a part of. */
export function exchangeOf(call: Call): Exchange {
  for (let scope: (Scope & { [current]?: Exchange }) | null = call.scope; scope !== null; scope = scope.parent) {
    const found = scope[current];
    if (found !== undefined) return found;
  }
  throw new TypeError(
    'this call did not come in through a guard, or a layer replaced its scope by one that is no child of it',
  );
}

/** The request that `call` stands for. Throws a `TypeError` for a call that did not come in through a guard. */
export function requestOf(call: Call): IncomingMessage {
  return exchangeOf(call).request;
}

/** The call that stands for `request`, as its handler got it; undefined outside of a handler behind a guard. */
export function callOf(request: GuardedRequest): Call | undefined {
  return exchangeBehind(request)?.call ?? undefined;
}

/**
 * A signal that aborts when the client of `request` goes away or its deadline passes; undefined for a request that no
 * guard has seen. Made on first use, since it costs as much as all the rest of the guard.
 */
export function signalOf(request: GuardedRequest): AbortSignal | undefined {
  const exchange = exchangeBehind(request);
  return exchange === undefined ? undefined : (exchange.call?.scope ?? exchange).signal;
}
