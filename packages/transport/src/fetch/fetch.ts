/**
 * @module fetch, with the name of a service for a host. One call from its beginning to its end, redirects included, is
 * one object: the scope of what it sends, and told itself how that went. Hence one file, longer than most.
 */
import { AsyncResource } from 'node:async_hooks';
import {
  type CallInit,
  ConfigError,
  type ConfigProblem,
  createCall,
  type Endpoint,
  ends,
  errorCode,
  type Handler,
  openPromise,
  type Receiver,
  type Reply,
  type Runtime,
  Scope,
  tellOf,
} from '@fairlead/core';
import { destinationOf } from '../connections/destination.js';
import { ReplayBody } from '../door/replay-body.js';
import { isOriginForm, parseTarget, type Target, targetOf } from '../target.js';
import { fetchExotic, isExotic } from './exotic.js';
import { fetchError } from './fetch-error.js';
import {
  encodeRequest,
  type FetchCallOptions,
  type FetchInit,
  type FetchRequest,
  fetchCallOptions,
} from './fetch-init.js';
import { type Draft, isRedirect, locationOf, maxRedirects, redirectedDraft } from './redirect.js';
import { LeanResponse, type ResponseContext } from './response.js';
import { unknownHost } from './unknown-host.js';

/** Where calls to one host go. */
export interface Route {
  /** Logical name of the service. */
  readonly service: string;
  /** The service's whole stack. */
  readonly handler: Handler;
  readonly runtime: Runtime;
  /** Told about every call as it begins, before anything is sent. */
  begin?(scope: Scope): void;
  /** What the call is part of, if anything: it is canceled with it, and has no more time. */
  parentScope?(): Scope | null;
}

/** What {@link createFetch} needs to know. */
export interface FetchOptions {
  /** The route of a host (as in `URL.host`: lower case, with a port that is not the default), or null. Asked per call. */
  route(host: string): Route | null;
  /** What to do with URLs whose host is no service: usually the built-in fetch. Null, the default, refuses them. */
  readonly external?: typeof fetch | null;
  /**
   * What sees to options that are the built-in fetch's alone, `integrity` above all: that fetch, with a dispatcher that leads
   * to the same routes. Null, the default, refuses `integrity` and ignores the others.
   */
  readonly exotic?: typeof fetch | null;
  /** Names for "did you mean" in the refusal. */
  names?(): readonly string[];
}

/** The shape of fetch. */
export type FairleadFetch = (input: string | URL | Request, init?: FetchInit) => Promise<Response>;

/**
 * Makes a fetch. It keeps fetch's promises (`Response`, redirects, decoding, body types, errors). What concerns browsers
 * alone is left to `options.exotic`.
 *
 * It rejects with a `TypeError` whose cause is a `FairleadError`, or with the reason of the caller's signal.
 */
export function createFetch(options: FetchOptions): FairleadFetch {
  const { external = null, exotic = null } = options;
  return function fetch(input, init) {
    try {
      const request = isRequest(input) ? input : null;
      // Not String(): a symbol is an error.
      const target = parseTarget(request === null ? `${input}` : request.url);
      const route = target === null ? null : options.route(target.host);
      if (target === null || route === null) {
        if (external !== null) return external(input, init as RequestInit);
        throw nowhere(target, options);
      }
      checkPath(target, route);
      if (exotic !== null && isExotic(request, init)) return fetchExotic(exotic, input, init);
      const wanted = encodeRequest(request, init, route.runtime.clock);
      if (wanted.signal?.aborted === true) return refused(wanted);
      return new FetchRun(options, route, wanted).begin(target);
    } catch (error) {
      return Promise.reject(error);
    }
  };
}

/** The signal had already aborted. */
function refused({ signal, body }: FetchRequest): Promise<never> {
  const { reason } = signal as AbortSignal;
  if (body instanceof ReplayBody) body.dispose(reason);
  return Promise.reject(reason);
}

function isRequest(input: unknown): input is Request {
  return typeof input === 'object' && input !== null && 'method' in input && 'url' in input;
}

function checkPath({ path }: Target, { service }: Route): void {
  if (isOriginForm(path)) return;
  const message = `${path} is not a path within ${service}: it must begin with one '/'`;
  throw refusal(message, { name: 'path', value: path, expected: "a path that begins with one '/'" });
}

function nowhere(target: Target | null, options: FetchOptions): TypeError {
  if (target === null) {
    const message = 'only http and https URLs lead to a service';
    return refusal(message, { name: 'url', expected: 'an http or https URL' });
  }
  const problem = unknownHost(target.host, options.names?.() ?? []);
  const hint = problem.didYouMean === null ? '' : `; did you mean ${problem.didYouMean}?`;
  return refusal(`${target.host} is not a service of this client${hint}`, problem);
}

function refusal(message: string, problem: ConfigProblem): TypeError {
  return new TypeError(message, { cause: new ConfigError([problem], 'fetch') });
}

function asked(options: FetchCallOptions): Partial<CallInit> {
  const { idempotent, attributes } = options;
  return {
    ...(idempotent === undefined ? {} : { idempotent }),
    attributes: { ...attributes, [fetchCallOptions]: options },
  };
}

/** The origin by which an endpoint knows itself. */
function ownName(endpoint: Endpoint): string {
  return new URL(destinationOf(endpoint, undefined).url).origin;
}

const manual = { requireManualDestroy: true } as const;

/** One fetch from call to end of body, redirects included. It is the scope of its calls, which saves an object and a watcher. */
class FetchRun extends Scope implements ResponseContext, Receiver {
  href = '';
  readonly #options: FetchOptions;
  readonly #signal: AbortSignal | null;
  readonly #wanted: FetchRequest;
  #route: Route;
  #draft: Draft;
  #redirects = 0;
  #resolve!: (response: Response) => void;
  #reject!: (error: unknown) => void;
  #settled = false;
  /** That of the caller: a reply is told in some other. */
  readonly #context: AsyncResource = new AsyncResource('fairlead.fetch', manual);

  constructor(options: FetchOptions, route: Route, wanted: FetchRequest) {
    super(route.runtime.clock, route.parentScope?.() ?? null);
    this.#options = options;
    this.#route = route;
    this.#wanted = wanted;
    this.#signal = wanted.signal;
    this.#draft = wanted;
  }

  get redirected(): boolean {
    return this.#redirects > 0;
  }

  explain(error: unknown): unknown {
    return fetchError(error, 'terminated', this.#signal, this.canceled);
  }

  begin(target: Target): Promise<Response> {
    const promise = openPromise<Response>();
    this.#resolve = ends.resolve;
    this.#reject = ends.reject;
    if (this.canceled) this.#fail(this.reason);
    else {
      try {
        if (this.#signal !== null) this.follow(this.#signal);
        const ms = this.#wanted.options?.timeoutMs;
        if (ms !== undefined) this.expireAt(this.clock.now() + ms, 'call', ms);
        this.#route.begin?.(this);
        this.#send(target);
      } catch (error) {
        this.#fail(error);
      }
    }
    return promise;
  }

  /**
   * Settles the caller's promise at once, even if a layer below does not listen to the scope. Not when time is up: what
   * the layers make of that, a stand-in or an account of what was tried, is the answer.
   */
  override cancel(reason?: unknown): void {
    const before = this.canceled;
    super.cancel(reason);
    if (this.canceled && !before && errorCode(this.reason) !== 'ERR_TIMEOUT') this.#fail(this.reason);
  }

  #send(target: Target): void {
    this.href = target.href;
    const { service, handler, runtime } = this.#route;
    const { method, headers, body } = this.#draft;
    const { options } = this.#wanted;
    const init: CallInit = { service, runtime, method, path: target.path, headers, body, scope: this };
    const call = createCall(options === undefined ? init : { ...init, ...asked(options) });
    const { dispatch } = handler;
    if (dispatch === undefined) tellOf(this, handler, call);
    else dispatch(call, this);
  }

  onReply(reply: Reply): void {
    try {
      if (this.#settled) reply.body.cancel();
      else if (isRedirect(reply.status) && this.#heeds(reply)) this.#redirect(reply);
      else this.#hand(reply);
    } catch (error) {
      // Nobody looks at what this function returns to, so whatever a layer made that is no reply must not get there.
      this.#fail(error);
    }
  }

  onError(error: unknown): void {
    this.#fail(error);
  }

  /**
   * In a turn of its own, since whoever told us may be in the middle of it; and in the caller's async context, where
   * instrumentation and a new call find what they are part of.
   */
  #redirect(reply: Reply): void {
    const follow = (): void => {
      try {
        if (this.#settled) reply.body.cancel();
        else this.#follow(reply);
      } catch (error) {
        this.#fail(error);
      }
    };
    queueMicrotask(() => this.#context.runInAsyncScope(follow));
  }

  /** Whether a redirect is more than a reply to be handed over. One without location leads nowhere, but is one. */
  #heeds(reply: Reply): boolean {
    const { redirect } = this.#wanted;
    return redirect === 'error' || (redirect === 'follow' && reply.headers.location !== undefined);
  }

  #hand(reply: Reply): void {
    const { method, body } = this.#draft;
    const response = new LeanResponse(reply, method, this);
    reply.onEnd(this);
    // Until then it may still be sent: some answer before they have read it.
    if (body instanceof ReplayBody) reply.onEnd(() => body.dispose(null));
    this.#settle();
    this.#resolve(response as unknown as Response);
  }

  #follow(reply: Reply): void {
    reply.body.cancel();
    if (this.#wanted.redirect === 'error') throw new Error('unexpected redirect');
    if (++this.#redirects > maxRedirects) throw new Error('redirect count exceeded');
    const url = this.#location(reply);
    const target = targetOf(url);
    if (target === null) throw new Error(`a redirect to ${url.protocol} cannot be followed`);
    const sameOrigin = url.origin === new URL(this.href).origin;
    this.#draft = redirectedDraft(this.#draft, reply.status, sameOrigin);
    const route = this.#options.route(target.host);
    if (route === null) this.#leave(target);
    else {
      checkPath(target, route);
      this.#route = route;
      this.#send(target);
    }
  }

  /** Where a redirect leads. An endpoint that names itself by its own address means the service that it belongs to. */
  #location(reply: Reply): URL {
    const url = new URL(locationOf(reply), this.href);
    const { endpoint } = reply;
    if (endpoint === null || (url.origin !== endpoint.origin && url.origin !== ownName(endpoint))) return url;
    return new URL(url.pathname + url.search, this.href);
  }

  /** A redirect out of the mesh. The scope still holds until the head arrives; after it, the caller's own signal does. */
  #leave(target: Target): void {
    const external = this.#options.external ?? null;
    if (external === null) throw nowhere(target, this.#options);
    const { method, headers, body } = this.#draft;
    const pairs: [string, string][] = [];
    for (let i = 0; i < headers.length; i += 2) pairs.push([headers[i] as string, headers[i + 1] as string]);
    const sent = body !== null && typeof body === 'object' && 'open' in body ? ReadableStream.from(body.open()) : body;
    const signal = this.#signal === null ? this.signal : AbortSignal.any([this.signal, this.#signal]);
    const init = { method, headers: pairs, body: sent, signal, duplex: 'half' };
    // No layers there that would see to it.
    this.watch({ onCancel: (reason) => this.#fail(reason) });
    external(target.href, init as RequestInit).then(
      (response) => {
        if (this.#settled) return;
        this.#settle();
        this.close();
        this.#resolve(response);
      },
      // That of a fetch already.
      (error: unknown) => this.#end(error),
    );
  }

  #settle(): void {
    this.#settled = true;
    this.#context.emitDestroy();
  }

  #fail(error: unknown): void {
    if (!this.#settled) this.#end(fetchError(error, 'fetch failed', this.#signal, this.canceled));
  }

  #end(reason: unknown): void {
    if (this.#settled) return;
    this.#settle();
    const { body } = this.#draft;
    if (body instanceof ReplayBody) body.dispose(reason);
    this.#reject(reason);
    this.close();
  }
}
