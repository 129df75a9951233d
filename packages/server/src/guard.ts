/**
 * @module The inbound engine: turns a request of any Node framework into a call, sends it down the layers, and answers
 * for them if they do not let it through. A third of it are its options, with their defaults and checks.
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import {
  Call,
  type Checks,
  type Criticality,
  checks,
  compose,
  criticalities,
  type Dispatch,
  dispatchOf,
  errorCode,
  handlerOf,
  isIdempotentMethod,
  type Middleware,
  type RejectedBy,
  type RejectedError,
  type Reply,
  type Runtime,
  resolveOptions,
  systemClock,
  Tried,
} from '@fairlead/core';
import { type ExpressMiddleware, guardExpress } from './adapters/express.js';
import { type FastifyPlugin, guardFastify } from './adapters/fastify.js';
import { type FetchHandler, type FetchOptions, guardFetch } from './adapters/fetch.js';
import { guardHono, type HonoMiddleware, type HonoOptions } from './adapters/hono.js';
import { guardNode, type NodeListener } from './adapters/node.js';
import type { Drain } from './drain/drain.js';
import { sessionOf } from './drain/http2-sessions.js';
import { Exchange, type ExchangeHost, exchangeOf } from './exchange.js';
import { BodyTooLongError } from './harden/body-limit.js';
import { headerPairs } from './headers/header-pairs.js';
import { InboundHeaders } from './headers/inbound-headers.js';
import type { Health } from './health.js';
import type { Next } from './next.js';
import { aloneInPipeline } from './pipeline.js';
import { admissionHeader, type LimitRefusal, refusalKind, refusalStatus, refuse, refuseAtOnce } from './refusal.js';
import { sendReply } from './send-reply.js';
import type { Serving } from './serving.js';
import type { Door, Shedder } from './shed/shedder.js';
import { LOAD, loadHeader, TIMING } from './tell.js';

/** Runs `work` in the ambient context of `call`, so that outbound calls made inside find it. */
export type RunInContext = <T>(call: Call, work: () => T) => T;

/** Is told of errors that no client is told of. Must not throw. */
export type InboundErrorListener = (error: unknown, request: IncomingMessage) => void;

/** Options of {@link createGuard}. */
export interface GuardOptions {
  /** Name of this service, in calls and events. Default `inbound`. */
  readonly service: string;
  /** What a request passes on its way to the handler, in this order. Default none. */
  readonly layers: readonly Middleware[];
  /** Puts the handler into the ambient context of its call. Default: there is none. */
  readonly run: RunInContext;
  /** Gives up connections while it drains; servers are made known to it on their first request. Default none. */
  readonly drain: Drain | null;
  /** Paths that are answered before anything else and count towards nothing. Default none. */
  readonly health: Health | null;
  /** Refuses what is more than this process can do, before anything is made of it. Default none. */
  readonly shed: Shedder | null;
  /**
   * How critical a request is that does not say so itself. Any class but `critical`, which is what silence means anyway, is
   * also handed on to those who are called for it. Default `critical`.
   */
  readonly criticality: Criticality;
  /**
   * Whether the caller may say that its request is more critical than that; that it is less so is believed of anybody. Must
   * not throw. Default: callers whose certificate the server has verified.
   */
  readonly trusts: (request: IncomingMessage) => boolean;
  /**
   * Whether callers that ask for it (`x-fairlead-tell: load, timing`) are told how loaded this process is, and where the time
   * went. Default true.
   */
  readonly tells: boolean;
  /** Time, chance and events. Default: the real clock, and no listener. */
  readonly runtime: Runtime;
  /**
   * Gets errors of layers and of node:http handlers, which their clients see as a bare 500. Express has its own way of
   * error handling, which is used there. Default: prints them to stderr.
   */
  readonly onError: InboundErrorListener;
  /**
   * The longest deadline of a request in ms, whatever its caller asks for, and also without being asked. Default null:
   * callers may ask for any, and a request without a timeout header has none.
   */
  readonly maxTimeoutMs: number | null;
}

/** Defaults of {@link GuardOptions}. */
export const guardDefaults: GuardOptions = Object.freeze({
  service: 'inbound',
  layers: Object.freeze([]),
  run: (_call, work) => work(),
  drain: null,
  health: null,
  shed: null,
  criticality: 'critical',
  trusts: (request) => (request.socket as { authorized?: boolean }).authorized === true,
  tells: true,
  runtime: Object.freeze({ clock: systemClock }),
  onError: (error) => console.error(error),
  maxTimeoutMs: null,
} satisfies GuardOptions);

const rules: Checks<GuardOptions> = {
  service: checks.text(),
  layers: checks.listOf(checks.fn()),
  run: checks.fn(),
  drain: checks.orNull(checks.object('a drain made by createDrain')),
  health: checks.orNull(checks.object('health routes made by healthRoutes')),
  shed: checks.orNull(checks.object('a shedder made by shed')),
  criticality: checks.oneOf<Criticality>(...criticalities),
  trusts: checks.fn('a function of the request'),
  tells: checks.boolean(),
  runtime: checks.object(),
  onError: checks.fn(),
  maxTimeoutMs: checks.orNull(checks.ms(1)),
};

/** Guards a server, under any framework that is built on Node's requests and responses. */
export interface Guard extends Serving {
  /** Wraps a listener of node:http, node:https or node:http2. */
  node(listener: NodeListener): NodeListener;
  /** A middleware for express or connect. It has to be the first one. */
  express(): ExpressMiddleware;
  /** A plugin for fastify 5. It guards the instance that it is registered with, and all inside that one. */
  fastify(): FastifyPlugin;
  /** A middleware for hono 4. It has to be the first one. */
  hono(options?: HonoOptions): HonoMiddleware;
  /** Wraps a fetch handler, such as hono's `app.fetch`: what is refused then never gets to the framework. */
  fetch(handler: FetchHandler, options?: FetchOptions): FetchHandler;
}

class InboundEngine implements Guard, ExchangeHost, Door {
  readonly #options: GuardOptions;
  readonly #stack: Dispatch;
  readonly #drain: Drain | null;
  readonly #shed: Shedder | null;
  readonly #maxTimeoutMs: number;
  readonly ordinary: number;
  /** The class that requests without one hand on; undefined where their silence says the same to whoever comes next. */
  readonly #unsaid: Criticality | undefined;
  /** For all requests, one at a time: nothing that is read from it is kept in it. */
  readonly #headers = new InboundHeaders();
  /** The server of the last request, so that the drain is not asked about it again and again. */
  #server: unknown = null;

  constructor(options: GuardOptions) {
    this.#options = options;
    this.#drain = options.drain;
    this.#shed = options.shed;
    this.#maxTimeoutMs = options.maxTimeoutMs ?? Number.POSITIVE_INFINITY;
    this.ordinary = criticalities.indexOf(options.criticality);
    this.#unsaid = options.criticality === guardDefaults.criticality ? undefined : options.criticality;
    const end = handlerOf('exchange', (call, receiver) => exchangeOf(call).begin(call, receiver));
    this.#stack = dispatchOf(compose(options.layers, end));
  }

  node(listener: NodeListener): NodeListener {
    return guardNode(this, listener);
  }

  express(): ExpressMiddleware {
    return guardExpress(this);
  }

  fastify(): FastifyPlugin {
    return guardFastify(this);
  }

  hono(options?: HonoOptions): HonoMiddleware {
    return guardHono(this, options);
  }

  fetch(handler: FetchHandler, options?: FetchOptions): FetchHandler {
    return guardFetch(this, handler, options);
  }

  get draining(): boolean {
    return this.#drain?.draining ?? false;
  }

  serve(request: IncomingMessage, response: ServerResponse, next: Next): void {
    const { runtime, health } = this.#options;
    if (this.#drain !== null) this.#meet(request, this.#drain);
    if (health?.answer(pathOf(request), request, response, this.draining)) return;
    const at = runtime.clock.now();
    if (this.#shed === null) this.letIn(request, response, next, at, at);
    else this.#shed.arrive(this, request, response, next, at);
  }

  turnAway(request: IncomingMessage, response: ServerResponse): void {
    const { service, runtime } = this.#options;
    runtime.on?.({ type: 'request.refused', service, by: 'concurrency', status: refusalStatus.capacity, key: null });
    const last = this.draining && aloneInPipeline(request);
    refuseAtOnce(request, response, this.#shed?.admission ?? null, last, runtime.clock);
  }

  wouldTurnAway(): void {
    const { service, runtime } = this.#options;
    runtime.on?.({ type: 'policy.shadowed', service, policy: 'shed', would: 'refuse' });
  }

  read(request: IncomingMessage): InboundHeaders {
    const said = this.#headers.read(request.rawHeaders);
    said.timeoutMs = Math.min(said.timeoutMs, this.#maxTimeoutMs);
    // Less is taken from whoever offers it; more is given to whom is known.
    if (said.rank >= 0 && said.rank < this.ordinary && !this.#options.trusts(request)) said.rank = this.ordinary;
    return said;
  }

  letIn(request: IncomingMessage, response: ServerResponse, next: Next, at: number, begunAt: number): void {
    const { service, runtime } = this.#options;
    const clock = runtime.clock;
    const shed = this.#shed;
    const exchange = new Exchange(clock, request, response, next, this, shed, begunAt);
    if (shed !== null && shed.admission !== null) response.setHeader(admissionHeader, shed.admission);
    const headers = headerPairs(request.rawHeaders);
    const { timeoutMs, attempt, rank, tell, hasBody } = this.read(request);
    if (shed !== null && (hasBody || streamsBody(request))) shed.upload(request);
    if (tell !== 0 && this.#options.tells) {
      exchange.timed = (tell & TIMING) !== 0;
      const report = (tell & LOAD) !== 0 && shed !== null ? shed.loadReport : null;
      if (report !== null) response.setHeader(loadHeader, report);
    }
    if (attempt > 1) exchange.inheritedAttempt = attempt;
    if (rank >= 0) exchange.criticality = criticalities[rank] as Criticality;
    else if (this.#unsaid !== undefined) exchange.criticality = this.#unsaid;
    if (timeoutMs !== Number.POSITIVE_INFINITY) exchange.expireAt(at + timeoutMs, 'call', timeoutMs);
    const method = request.method ?? 'GET';
    // biome-ignore format: one line per thing would be longer than the function
    const call = new Call(
      service, method, pathOf(request), headers, null, exchange, runtime, isIdempotentMethod(method), 1, null, at, new Tried(), null, noAttributes,
    );
    // Too late from the beginning: not worth a look at any limit.
    if (timeoutMs <= 0) this.layerFailed(exchange, exchange.expiry());
    else this.#stack(call, exchange);
  }

  answered(exchange: Exchange, reply: Reply): void {
    const { response } = exchange;
    if (exchange.begun || response.headersSent) return;
    exchange.onEnd((error) => {
      if (error !== null) reply.body.cancel(error);
    });
    sendReply(response, reply);
  }

  run(call: Call, next: Next): unknown {
    return this.#options.run(call, next);
  }

  handlerFailed(exchange: Exchange, error: unknown): void {
    this.fail(exchange.request, exchange.response, error);
  }

  fail(request: IncomingMessage, response: ServerResponse, error: unknown): void {
    // A body that is too long is the client's doing, who is told.
    if (!(error instanceof BodyTooLongError)) this.#options.onError(error, request);
    if (!response.headersSent) refuse(response, 'failed', error, this.#options.runtime.clock);
    else if (!response.writableEnded) response.destroy();
  }

  layerFailed(exchange: Exchange, error: unknown): void {
    const { request, response } = exchange;
    const gone = response.destroyed || request.socket.destroyed;
    // Whoever waited has left, or given up at the deadline that he had named: nobody is to be told.
    const code = errorCode(error);
    if (gone && (code === 'ERR_CANCELED' || code === 'ERR_TIMEOUT')) return;
    if (exchange.begun || gone || response.headersSent) {
      // The response belongs to a handler that does not expect somebody else to answer.
      this.#options.onError(error, request);
      return;
    }
    const kind = refusalKind(error);
    if (kind === 'failed') {
      exchange.next(error ?? new Error('a layer was rejected without a reason'));
      return;
    }
    this.#tell(exchange, error, refusalStatus[kind]);
    refuse(response, kind, error, this.#options.runtime.clock);
  }

  #tell(exchange: Exchange, error: unknown, status: number): void {
    const { service, runtime } = this.#options;
    if (status === refusalStatus.late) {
      runtime.on?.({
        type: 'deadline.exceeded',
        service,
        lateMs: Math.max(0, runtime.clock.now() - exchange.deadlineAt),
      });
      return;
    }
    const by: RejectedBy = (error as RejectedError).by;
    runtime.on?.({ type: 'request.refused', service, by, status, key: (error as LimitRefusal).key ?? null });
  }

  #meet(request: IncomingMessage, drain: Drain): void {
    const server = (request.socket as { server?: unknown }).server;
    if (server !== this.#server && server !== undefined) {
      this.#server = server;
      drain.add(server as Server);
    }
    if (request.httpVersionMajor < 2) return;
    const session = sessionOf(request);
    if (session !== undefined) drain.addSession(session);
  }
}

/** HTTP/2 need not announce a body: it is there unless the head was the end. */
function streamsBody(request: IncomingMessage): boolean {
  return (
    request.httpVersionMajor > 1 &&
    (request as { stream?: { endAfterHeaders?: boolean } }).stream?.endAfterHeaders === false
  );
}

/** Express cuts off of `url` what a router has matched. */
function pathOf(request: IncomingMessage): string {
  return (request as { originalUrl?: string }).originalUrl ?? request.url ?? '/';
}

const noAttributes = Object.freeze(Object.create(null)) as Readonly<Record<string | symbol, unknown>>;

/**
 * Makes a guard.
 * @throws ConfigError if an option is unknown or wrong
 */
export function createGuard(options?: Partial<GuardOptions>): Guard {
  return new InboundEngine(resolveOptions('guard', options, guardDefaults, rules));
}
