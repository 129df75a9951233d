/**
 * @module A transport over any function shaped like fetch: what `wrapFetch` ends in. Such a function keeps its own
 * connections, so there are three things it cannot be told: the `host` header, which fetch sets from the URL and which is
 * therefore always the endpoint's; when a byte of the request left, so that all but refused connections count as sent; and
 * that a connection was stale.
 */
import {
  type Call,
  ConfigError,
  type Endpoint,
  type Handler,
  isOnce,
  type Reply,
  type ReplyBody,
  type ReplyHeaders,
  type ScopeWatcher,
  TransportError,
} from '@fairlead/core';
import { BodyFlow, noHeaders } from './body-flow.js';
import { withoutHopHeaders } from './hop-headers.js';
import { isOriginForm } from './target.js';
import { isPiecewise } from './upload.js';
import { cancelReason, systemCode } from './wire-error.js';

/** Codes that prove that there never was a connection. */
const neverConnected: ReadonlySet<string> = new Set([
  'EAI_AGAIN',
  'ECONNREFUSED',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'UND_ERR_CONNECT_TIMEOUT',
]);

/** Headers that describe the body as it came, while fetch hands it over decoded. */
const aboutCoding: ReadonlySet<string> = new Set(['content-encoding', 'content-length']);

/** Makes a handler that sends with `anyFetch`, to the endpoint of the call. */
export function fetchHandler(anyFetch: typeof fetch): Handler {
  return function fetchTransport(call) {
    const { endpoint, path, scope, service } = call;
    if (endpoint === null || !isOriginForm(path)) {
      const name = endpoint === null ? 'endpoint' : 'path';
      const expected = endpoint === null ? 'a balancer above the transport' : "a path that begins with one '/'";
      return Promise.reject(new ConfigError([{ name, expected }], service));
    }
    if (endpoint.origin.startsWith('unix:')) {
      const expected = 'an http or https origin: fetch cannot be told to use a Unix socket';
      return Promise.reject(new ConfigError([{ name: 'endpoint', value: endpoint.origin, expected }], service));
    }
    if (scope.canceled) return Promise.reject(scope.reason);
    return new Promise((resolve, reject) => {
      const reply = new FetchReply(call, endpoint, resolve, reject);
      scope.watch(reply);
      // In a promise's executor, so that a fetch that throws is a rejection like any other.
      reply.await(anyFetch(endpoint.origin + path, initOf(call)));
    });
  };
}

function initOf(call: Call): RequestInit {
  const { method, body, scope } = call;
  const flat = withoutHopHeaders(call.headers);
  const headers: [string, string][] = [];
  for (let i = 0; i < flat.length; i += 2) {
    if (flat[i] !== 'host') headers.push([flat[i] as string, flat[i + 1] as string]);
  }
  const init = { method, headers, redirect: 'manual', signal: scope.signal } as const;
  if (!isPiecewise(body)) return { ...init, body: body as string | Uint8Array<ArrayBuffer> | null };
  if (isOnce(body)) body.started = true;
  const chunks = isOnce(body) ? body.once : body.open();
  return { ...init, body: ReadableStream.from(chunks) as never, duplex: 'half' };
}

/** The reply that a `Response` stands for. Its body is read ahead as little as its reader allows. */
class FetchReply extends BodyFlow implements Reply, ScopeWatcher {
  status = 0;
  statusText = '';
  headers: ReplyHeaders = noHeaders;
  at = 0;
  readonly endpoint: Endpoint;
  readonly #call: Call;
  readonly #resolve: (reply: Reply) => void;
  readonly #reject: (error: unknown) => void;
  #reader: ReadableStreamDefaultReader<Uint8Array> | null = null;
  #reading = false;
  #over = false;

  constructor(call: Call, endpoint: Endpoint, resolve: (reply: Reply) => void, reject: (error: unknown) => void) {
    super();
    this.endpoint = endpoint;
    this.#call = call;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  get body(): ReplyBody {
    return this;
  }

  /** Whoever wrote that fetch may send the same bytes to everybody. */
  override get givesAway(): boolean {
    return false;
  }

  /** Nothing is read before somebody wants it. */
  override get complete(): undefined {
    return undefined;
  }

  await(pending: Promise<Response>): void {
    pending.then(
      (response) => {
        try {
          this.#answered(response);
        } catch (error) {
          // No response at all, or one whose body somebody else reads.
          this.#finish(this.#named(error));
        }
      },
      (error: unknown) => this.#finish(this.#named(error)),
    );
  }

  #answered(response: Response): void {
    if (this.#over) {
      void response.body?.cancel().catch(() => {});
      return;
    }
    this.at = this.#call.runtime.clock.now();
    this.status = response.status;
    this.statusText = response.statusText;
    this.headers = parsedHeaders(response.headers);
    if (response.body === null) this.#finish(null);
    else this.#reader = response.body.getReader() as ReadableStreamDefaultReader<Uint8Array>;
    this.#resolve(this);
  }

  #named(error: unknown): unknown {
    const cause = (error as { cause?: unknown } | null)?.cause ?? error;
    const code = systemCode(cause);
    const unsent = code !== undefined && neverConnected.has(code);
    const phase = this.#reader !== null ? 'body' : unsent ? 'connect' : 'wait';
    const { service } = this.#call;
    return new TransportError({ phase, sent: unsent ? 'no' : 'maybe', service, endpoint: this.endpoint.id, cause });
  }

  onCancel(reason: unknown): void {
    this.drop();
    const where = { service: this.#call.service, endpoint: this.endpoint.id, phase: 'wait', sent: 'maybe' } as const;
    this.#finish(this.#reader === null ? cancelReason(reason, { ...where, staleSocket: false }) : reason);
  }

  cancel(reason?: unknown): void {
    this.drop();
    const reader = this.#reader;
    const error = reason ?? new DOMException('the body was canceled', 'AbortError');
    if (!this.#over) this.#finish(error);
    else if (this.isTaken) this.breakOff(error);
    if (reader !== null) void reader.cancel(error).catch(() => {});
  }

  fire(): void {}

  protected taken(): void {}
  protected wantLess(): void {}

  protected wantMore(): void {
    if (!this.#reading && !this.#over && this.#reader !== null) void this.#read(this.#reader);
  }

  async #read(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<void> {
    this.#reading = true;
    try {
      while (!this.paused && !this.#over) {
        const { done, value } = await reader.read();
        if (this.#over) return;
        if (done) this.#finish(null);
        else if (value.length > 0) this.push(value);
      }
    } catch (error) {
      this.#finish(this.#named(error));
    } finally {
      this.#reading = false;
    }
  }

  #finish(error: unknown): void {
    if (this.#over) return;
    this.#over = true;
    this.#call.scope.unwatch(this);
    this.finish(error, noHeaders);
    if (error !== null) this.#reject(error);
  }
}

function parsedHeaders(headers: Headers): ReplyHeaders {
  const parsed: Record<string, string | string[]> = Object.create(null);
  const coded = headers.has('content-encoding');
  for (const [name, value] of headers) if (!(coded && aboutCoding.has(name))) parsed[name] = value;
  const cookies = headers.getSetCookie();
  if (cookies.length > 1) parsed['set-cookie'] = cookies;
  else if (cookies.length === 1) parsed['set-cookie'] = cookies[0] as string;
  return parsed;
}
