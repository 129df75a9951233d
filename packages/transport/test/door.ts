/** @module A door over real connections with the smallest stack that fails over, and the callers that use it. */
import { createRequire } from 'node:module';
import {
  type Call,
  type Clock,
  canSend,
  compose,
  discard,
  type Endpoint,
  errorCode,
  type FairleadError,
  type Handler,
  type Middleware,
  type Reply,
  systemClock,
} from '@fairlead/core';
import type * as Undici from 'undici';
import { createDoor, type DoorOptions } from '../src/door/index.js';
import type { Route } from '../src/fetch/fetch.js';
import { createTransport, type Transport, type TransportOptions } from '../src/transport.js';
import type { Dispatcher } from '../src/undici.js';

/** npm's undici. Loaded by require, as the parts are: the classes are then the same. */
export const undici: typeof Undici = createRequire(import.meta.url)('undici');

export interface World {
  readonly door: Dispatcher;
  readonly route: (host: string) => Route | null;
  /** Ids of the endpoints in the order in which they were sent to. */
  readonly sent: string[];
  /** Requests that are not over, by endpoint. */
  readonly load: Map<string, number>;
  /** Requests that are not over, everywhere. */
  readonly busy: number;
  readonly transport: Transport;
  close(): Promise<void>;
}

export interface WorldOptions extends Partial<Omit<DoorOptions, 'route'>> {
  /** All tries with the first. Default 3. */
  readonly attempts?: number;
  /** Between the caller and the retries. */
  readonly layers?: readonly Middleware[];
  readonly parentScope?: Route['parentScope'];
  readonly transport?: Partial<TransportOptions>;
  /** Default: the real one. */
  readonly clock?: Clock;
}

/** A service called `svc` with these endpoints, taken in turn. */
export function world(endpoints: readonly Endpoint[], options: WorldOptions = {}): World {
  const sent: string[] = [];
  const load = new Map<string, number>(endpoints.map(({ id }) => [id, 0]));
  const {
    attempts = 3,
    layers = [],
    parentScope,
    fallback = null,
    transport: settings,
    clock = systemClock,
    ...rest
  } = options;
  const transport = createTransport(settings);
  const layersBelow = [retryUpTo(attempts), inTurn(endpoints, sent, load)];
  const handler = compose([...layers, ...layersBelow], transport.handler);
  const runtime = { clock };
  const service: Route = { service: 'svc', handler, runtime, ...(parentScope && { parentScope }) };
  const route = (host: string): Route | null => (host === 'svc' ? service : null);
  const door = createDoor({ route, fallback, ...rest });
  return {
    door,
    route,
    sent,
    load,
    get busy() {
      const { running } = door as unknown as { running: Set<unknown> };
      const inFlight = transport.stats().origins.reduce((sum, each) => sum + each.inFlight, 0);
      return running.size + inFlight + [...load.values()].reduce((sum, each) => sum + each, 0);
    },
    transport,
    close: () => transport.close(0),
  };
}

function retryUpTo(attempts: number): Middleware {
  return async function retry(call, next) {
    for (let n = 1; ; n++) {
      const again = (): boolean => n < attempts && canSend(call.body) && !call.scope.canceled;
      try {
        const reply = await next(call.with({ attempt: n }));
        if (reply.status !== 503 || !call.idempotent || !again()) return reply;
        discard(reply);
      } catch (error) {
        const timeout = errorCode(error) === 'ERR_TIMEOUT' && (error as { of?: string }).of === 'attempt';
        if (errorCode(error) !== 'ERR_TRANSPORT' && !timeout) throw error;
        if (((error as FairleadError).sent !== 'no' && !call.idempotent) || !again()) throw error;
      }
    }
  };
}

function inTurn(endpoints: readonly Endpoint[], sent: string[], load: Map<string, number>): Middleware {
  return function balance(call: Call, next: Handler): Promise<Reply> {
    const endpoint = endpoints[sent.length % endpoints.length] as Endpoint;
    const count = (by: number): void => void load.set(endpoint.id, (load.get(endpoint.id) as number) + by);
    sent.push(endpoint.id);
    count(1);
    return next(call.with({ endpoint })).then(
      (reply) => {
        reply.onEnd(() => count(-1));
        return reply;
      },
      (error: unknown) => {
        count(-1);
        throw error;
      },
    );
  };
}

/** What a caller saw. */
export interface Seen {
  readonly status: number;
  header(name: string): string | null;
  text(): Promise<string>;
}

export interface Ask {
  /** Default: that of the service. */
  readonly origin?: string;
  readonly path?: string;
  readonly method?: string;
  readonly headers?: Record<string, string>;
  readonly body?: unknown;
  readonly signal?: AbortSignal;
}

/** One way of calling. */
export interface Caller {
  readonly name: string;
  call(door: Dispatcher, ask?: Ask): Promise<Seen>;
  /** The `code` of what went wrong, as users of this way look for it. */
  code(error: unknown): unknown;
}

const service = 'http://svc';

type AnyFetch = (url: string, init: object) => Promise<Response>;

function fetchCaller(name: string, fetch: AnyFetch): Caller {
  return {
    name,
    async call(dispatcher, { origin = service, path = '/', ...init } = {}) {
      const response = await fetch(origin + path, { ...init, dispatcher, duplex: 'half' });
      const { status, headers } = response;
      return { status, header: (key) => headers.get(key), text: () => response.text() };
    },
    code: (error) => (error as { cause?: { code?: unknown } }).cause?.code ?? (error as { name?: unknown }).name,
  };
}

/** `undici.request` of one copy of undici. */
export function requestCaller(name: string, request: typeof Undici.request): Caller {
  return {
    name,
    async call(dispatcher, { origin = service, path = '/', ...ask } = {}) {
      const { statusCode, headers, body } = await request(origin + path, { ...ask, dispatcher } as never);
      const header = (key: string): string | null => {
        const value = headers[key];
        return value === undefined ? null : [value].flat().join(', ');
      };
      return { status: statusCode, header, text: () => body.text() };
    },
    code: (error) => (error as { code?: unknown; name?: unknown }).code ?? (error as { name?: unknown }).name,
  };
}

/** Every way of calling. */
export const callers: readonly Caller[] = [
  requestCaller('undici.request', undici.request),
  fetchCaller("npm's fetch", undici.fetch as never),
  fetchCaller('the built-in fetch', globalThis.fetch as never),
];

/** The callers of another copy of undici, of whichever version. */
export function callersOf(copy: typeof Undici): readonly Caller[] {
  return [requestCaller('request', copy.request), fetchCaller('fetch', copy.fetch as never)];
}

/** A handler that writes down what it is told, and may do something about it. */
export class Recorder implements Dispatcher.DispatchHandler {
  readonly told: string[] = [];
  bytes = 0;
  controller!: Dispatcher.DispatchController;
  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.controller = controller;
  }
  onResponseStart(_: Dispatcher.DispatchController, status: number, headers: object, statusText?: string): void {
    this.told.push(`${status} ${statusText} ${JSON.stringify(headers)}`);
  }
  onResponseData(_: Dispatcher.DispatchController, chunk: Buffer): void {
    this.bytes += chunk.length;
  }
  onResponseEnd(_: Dispatcher.DispatchController, trailers: object): void {
    this.told.push(`end ${JSON.stringify(trailers)}`);
  }
  onResponseError(_: Dispatcher.DispatchController, error: Error): void {
    this.told.push(`error ${error.message}`);
  }
  get over(): boolean {
    return /^(end|error)/.test(this.told.at(-1) ?? '');
  }
}
