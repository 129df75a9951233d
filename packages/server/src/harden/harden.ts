/**
 * @module Sets a server's limits against clients that are slow, large, many or ambiguous. Node has most of them, and leaves
 * them wide open or looks after them too seldom; the rest is added in front of every listener, whatever the framework.
 */
import type { Server as HttpServer, IncomingMessage, ServerResponse } from 'node:http';
import type { Server, Socket } from 'node:net';
import { type Checks, ConfigError, checks, later, type Runtime, resolveOptions, systemClock } from '@fairlead/core';
import { addressKey, normalAddress } from '../limits/ip-address.js';
import { sendProblem } from '../refusal.js';
import { isAmbiguousPath } from './ambiguous-path.js';
import { limitBody } from './body-limit.js';
import { interceptEvents } from './server-events.js';
import { cutStalledAnswers } from './stalled-answers.js';

/** Options of {@link harden}. */
export interface HardenOptions {
  /** Name of this service, in events. Default `inbound`. */
  readonly service: string;
  /** How long the head of a request may take to arrive, in ms. Default 10 000; Node's own is 60 000. */
  readonly headersTimeoutMs: number;
  /** How long a request may take to arrive with its body, in ms. Default 60 000; Node's own is 300 000. */
  readonly requestTimeoutMs: number;
  /** After how long without progress an answer that is not read is cut off, in ms; null for never. Default 60 000. */
  readonly stallTimeoutMs: number | null;
  /** The longest head, in bytes. Default 16 384, which is Node's own. */
  readonly maxHeaderBytes: number;
  /** The most headers; a request with more is refused (431), where Node would drop the rest in silence. Default 100. */
  readonly maxHeaders: number;
  /** The longest body, in bytes; null for any. Default 10 485 760. */
  readonly maxBodyBytes: number | null;
  /** Connections at a time; more are closed at once. Null for any number. Default 10 000. */
  readonly maxConnections: number | null;
  /**
   * Connections at a time from one address (the /64, for IPv6); more are closed at once. Default null: any number, since
   * behind a proxy all of them come from few.
   */
  readonly maxConnectionsPerAddress: number | null;
  /** Requests after which a connection is given up, so that clients come to new replicas. Null for never. Default 1000. */
  readonly maxRequestsPerConnection: number | null;
  /** Requests at a time on one connection of HTTP/2. Default 128. */
  readonly maxStreams: number;
  /** What happens to paths that two readers can take for different ones (400, or nothing). Default `refuse`. */
  readonly ambiguousPaths: 'refuse' | 'allow';
  /** Time, and who is told of refusals. Default: the real clock, and no listener. */
  readonly runtime: Runtime;
}

/** Defaults of {@link HardenOptions}. */
export const hardenDefaults: HardenOptions = Object.freeze({
  service: 'inbound',
  headersTimeoutMs: 10_000,
  requestTimeoutMs: 60_000,
  stallTimeoutMs: 60_000,
  maxHeaderBytes: 16_384,
  maxHeaders: 100,
  maxBodyBytes: 10_485_760,
  maxConnections: 10_000,
  maxConnectionsPerAddress: null,
  maxRequestsPerConnection: 1_000,
  maxStreams: 128,
  ambiguousPaths: 'refuse',
  runtime: Object.freeze({ clock: systemClock }),
} satisfies HardenOptions);

const rules: Checks<HardenOptions> = {
  service: checks.text(),
  headersTimeoutMs: checks.ms(1),
  requestTimeoutMs: checks.ms(1),
  stallTimeoutMs: checks.orNull(checks.ms(1)),
  maxHeaderBytes: checks.integer(1),
  maxHeaders: checks.integer(1),
  maxBodyBytes: checks.orNull(checks.integer(0)),
  maxConnections: checks.orNull(checks.integer(1)),
  maxConnectionsPerAddress: checks.orNull(checks.integer(1)),
  maxRequestsPerConnection: checks.orNull(checks.integer(1)),
  maxStreams: checks.integer(1),
  ambiguousPaths: checks.oneOf('refuse', 'allow'),
  runtime: checks.object(),
};

/** What Node's servers have that their types, or older versions of them, do not tell of. */
type AnyServer = HttpServer & {
  connectionsCheckingInterval?: number;
  updateSettings?(settings: { maxConcurrentStreams?: number; maxHeaderListSize?: number }): void;
};

/** Of the shortest timeout: how often Node is to look for those that have passed. Its own is 30 s, whatever they are. */
const CHECKS_PER_TIMEOUT = 4;
const LONGEST_CHECK_MS = 30_000;

/** What is wrong with a request. */
interface Fault {
  readonly status: number;
  readonly title: string;
}

const ambiguous: Fault = { status: 400, title: 'Ambiguous path' };
const tooManyHeaders: Fault = { status: 431, title: 'Too many headers' };
const tooLong: Fault = { status: 413, title: 'Body too long' };

class Hardening {
  readonly #options: HardenOptions;
  readonly #perAddress = new Map<string, number>();

  constructor(options: HardenOptions) {
    this.#options = options;
  }

  /** Whether an event of the server is not for its listeners, because it has been dealt with. */
  intercept(event: string | symbol, request: unknown, answer: unknown): boolean {
    switch (event) {
      case 'request':
      case 'checkContinue':
      case 'checkExpectation':
        return this.#request(request as IncomingMessage, answer as ServerResponse, event === 'request');
      case 'upgrade':
      case 'connect':
        return this.#upgrade(request as IncomingMessage, answer as Socket);
      default:
        return false;
    }
  }

  #request(request: IncomingMessage, response: ServerResponse, last: boolean): boolean {
    const fault = this.#faultOf(request);
    if (fault === null) {
      if (last) this.#watchBody(request, response);
      return false;
    }
    // What is left of the request would have to be read to use the connection again.
    if (fault !== ambiguous && request.httpVersionMajor < 2) response.setHeader('Connection', 'close');
    sendProblem(response, fault.title, fault.status);
    this.#tell(fault);
    return true;
  }

  #upgrade(request: IncomingMessage, socket: Socket): boolean {
    const fault = this.#faultOf(request);
    if (fault === null) return false;
    socket.end(`HTTP/1.1 ${fault.status} ${fault.title}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
    this.#tell(fault);
    return true;
  }

  #faultOf(request: IncomingMessage): Fault | null {
    const { ambiguousPaths, maxHeaders, maxBodyBytes } = this.#options;
    // A target that names no path (`OPTIONS *`, `CONNECT host:1`) cannot name it in two ways.
    if (ambiguousPaths === 'refuse' && request.method !== 'CONNECT' && isAmbiguousPath(request.url ?? ''))
      return ambiguous;
    if (request.rawHeaders.length > 2 * maxHeaders) return tooManyHeaders;
    if (maxBodyBytes !== null && Number(request.headers['content-length']) > maxBodyBytes) return tooLong;
    return null;
  }

  #watchBody(request: IncomingMessage, response: ServerResponse): void {
    const { maxBodyBytes, requestTimeoutMs, runtime } = this.#options;
    const { headers } = request;
    // A body of HTTP/1 that has told its length is cut there by the parser.
    const untold = headers['content-length'] === undefined;
    if (request.httpVersionMajor < 2) {
      if (maxBodyBytes !== null && untold && headers['transfer-encoding'] !== undefined)
        limitBody(request, response, maxBodyBytes);
      return;
    }
    const { stream } = request as unknown as { stream: { endAfterHeaders: boolean; close(code: number): void } };
    if (stream.endAfterHeaders) return;
    if (maxBodyBytes !== null) limitBody(request, response, maxBodyBytes);
    // The timeouts of Node are those of HTTP/1.
    const timer = later(runtime.clock, requestTimeoutMs, () => stream.close(CANCEL), true);
    const over = (): void => runtime.clock.disarm(timer);
    request.once('end', over);
    response.once('close', over);
  }

  /** Counts a connection, unless there are as many from its address as may be. */
  connected(socket: Socket, max: number): void {
    const address = normalAddress(socket.remoteAddress ?? '');
    if (address === null) return;
    const key = addressKey(address);
    const count = this.#perAddress.get(key) ?? 0;
    if (count >= max) {
      socket.destroy();
      return;
    }
    this.#perAddress.set(key, count + 1);
    socket.once('close', () => {
      const left = (this.#perAddress.get(key) as number) - 1;
      if (left === 0) this.#perAddress.delete(key);
      else this.#perAddress.set(key, left);
    });
  }

  #tell({ status }: Fault): void {
    const { service, runtime } = this.#options;
    runtime.on?.({ type: 'request.refused', service, by: 'harden', status, key: null });
  }
}

/** The code that ends a stream of HTTP/2 without blaming the other side (RFC 9113, 7). */
const CANCEL = 8;

/**
 * Hardens a server of node:http, node:https or node:http2, before it listens and under any framework: timeouts against slow
 * senders and slow readers, limits on headers, bodies, connections and requests per connection, and refusal of ambiguous
 * paths before any listener sees them.
 * @returns the server
 * @throws ConfigError if an option is unknown or wrong, the server is none, or it listens already
 */
export function harden<T extends Server>(server: T, options?: Partial<HardenOptions>): T {
  const resolved = resolveOptions('harden', options, hardenDefaults, rules);
  if (!isServer(server)) {
    const expected =
      'a server of node:http, node:https or node:http2, such as createServer(app) or app.server of fastify';
    // An application that is an object would be shown with all that is in it.
    const value = typeof server === 'object' ? undefined : server;
    throw new ConfigError([{ name: 'harden.server', value, expected }], 'harden');
  }
  if (server.listening) {
    // Node reads how often it should look for timeouts when it begins to listen.
    throw new ConfigError([{ name: 'harden.server', expected: 'a server that does not listen yet' }]);
  }
  const hardening = new Hardening(resolved);
  const http = server as unknown as AnyServer;
  setLimits(http, resolved);
  if (resolved.maxConnectionsPerAddress !== null) {
    const max = resolved.maxConnectionsPerAddress;
    server.on('connection', (socket) => hardening.connected(socket, max));
  }
  if (resolved.stallTimeoutMs !== null) cutStalledAnswers(server, resolved.runtime.clock, resolved.stallTimeoutMs);
  server.on('checkContinue', function proceed(request: IncomingMessage, response: ServerResponse): void {
    // Without a listener Node would have asked for the body before anybody could say no. One of the user's decides itself.
    if (server.listenerCount('checkContinue') > 1) return;
    response.writeContinue();
    server.emit('request', request, response);
  });
  interceptEvents(server, (event, first, second) => hardening.intercept(event, first, second));
  return server;
}

/** What else is given in its place: nothing, a port, options, or the application that the server is made for. */
function isServer(value: unknown): boolean {
  const server = value as Partial<Server> | null | undefined;
  return typeof server === 'object' && typeof server?.listen === 'function' && typeof server.emit === 'function';
}

function setLimits(server: AnyServer, options: HardenOptions): void {
  const { headersTimeoutMs, requestTimeoutMs, maxHeaderBytes, maxHeaders } = options;
  if (options.maxConnections !== null) server.maxConnections = options.maxConnections;
  if (typeof server.updateSettings === 'function') {
    server.updateSettings({ maxConcurrentStreams: options.maxStreams, maxHeaderListSize: maxHeaderBytes });
    // A server of HTTP/2 that also speaks HTTP/1 has what follows, too; for one that does not, it means nothing.
  }
  server.headersTimeout = Math.min(headersTimeoutMs, requestTimeoutMs);
  server.requestTimeout = requestTimeoutMs;
  server.connectionsCheckingInterval = Math.min(
    server.connectionsCheckingInterval ?? LONGEST_CHECK_MS,
    Math.ceil(server.headersTimeout / CHECKS_PER_TIMEOUT),
  );
  (server as { maxHeaderSize?: number }).maxHeaderSize = maxHeaderBytes;
  // One more, to tell a request with too many from one with as many as may be.
  server.maxHeadersCount = maxHeaders + 1;
  server.maxRequestsPerSocket = options.maxRequestsPerConnection ?? 0;
}
