/**
 * @module Stacks of services as an undici `Dispatcher`: for `undici.request(url, { dispatcher })` and its like, for every
 * fetch, WebSocket and EventSource that takes one, and for the place of the global one.
 *
 * No private fields in {@link createDoor}'s class: undici's `compose` puts a Proxy in front of it.
 */
import type { EventEmitter } from 'node:events';
import { ConfigError } from '@fairlead/core';
import type { Route } from '../fetch/fetch.js';
import { unknownHost } from '../fetch/unknown-host.js';
import type { Dispatcher } from '../undici.js';
import { type CheckedHandler, Exchange, type ExchangeOwner } from './exchange.js';
import { type LegacyHandler, parts } from './parts.js';
import { encodeDispatch } from './request.js';

/** What {@link createDoor} needs to know. */
export interface DoorOptions {
  /** The route of a host (as in `URL.host`: lower case, with a port that is not the default), or null. Asked per dispatch. */
  route(host: string): Route | null;
  /** What takes the hosts that are no services, with handlers of undici 7 and later. Null refuses them. */
  readonly fallback: Dispatcher | null;
  /**
   * What takes them with the handlers of undici 6 and of the built-in fetch of Node 22 and 24, which are handed on as they
   * are. Default: converted, they go to {@link fallback}.
   */
  readonly legacyFallback?: Dispatcher | null;
  /** Names for "did you mean" in the refusal. */
  names?(): readonly string[];
}

type Callback = (error: Error | null, data: null) => void;

/** Origins that were asked for, with their hosts. Callers use few; the bound is for those who make them up. */
const hosts: Map<string, string | null> = new Map();
const maxHosts = 1_000;

/** Of undici's class, what is not ours: `compose`, and events that nobody emits. */
const Base = parts.Dispatcher as unknown as new () => EventEmitter;

class Door extends Base implements ExchangeOwner {
  closed = false;
  destroyed = false;
  readonly options: DoorOptions;
  readonly running: Set<Exchange> = new Set();
  legacyAdapter: Dispatcher | null = null;
  onQuiet: (() => void)[] = [];

  constructor(options: DoorOptions) {
    super();
    this.options = options;
  }

  /** As undici's own: whatever is wrong with the request is told to the handler, if there is one that can be told. */
  dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
    const { InvalidArgumentError } = parts.errors;
    if (!handler || typeof handler !== 'object') throw new InvalidArgumentError('handler must be an object');
    const legacy = isLegacy(handler);
    try {
      if (!options || typeof options !== 'object') throw new InvalidArgumentError('opts must be an object.');
      if (this.destroyed) throw new parts.errors.ClientDestroyedError();
      if (this.closed) throw new parts.errors.ClientClosedError();
      const host = hostOf(options.origin);
      const route = host === null ? null : this.options.route(host);
      if (route === null) return this.leave(options, handler, legacy);
      this.send(route, options, legacy ? converted(handler) : handler);
      // There is no queue here that could be full: a bound on what waits belongs into a layer.
      return true;
    } catch (error) {
      const current = legacy ? converted(handler) : handler;
      if (typeof current.onResponseError !== 'function') throw error;
      current.onResponseError(null as never, error as Error);
      return false;
    }
  }

  send(route: Route, options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): void {
    assertHandler(handler, options);
    const exchange = new Exchange(route, encodeDispatch(options, route.runtime.clock), handler, this);
    this.running.add(exchange);
    exchange.begin();
  }

  /** For hosts that are no services everything stays as it was. */
  leave(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler, legacy: boolean): boolean {
    const { fallback, legacyFallback = null } = this.options;
    // undici 6 and 7 leave it in, undici 8 refuses it.
    const own =
      (options as { dispatcher?: unknown }).dispatcher === undefined ? options : { ...options, dispatcher: undefined };
    if (legacy && legacyFallback !== null) return legacyFallback.dispatch(own, handler);
    if (fallback === null) throw nowhere(options.origin, this.options.names?.() ?? []);
    if (!legacy) return fallback.dispatch(own, handler);
    this.legacyAdapter ??= new (parts.Dispatcher1Wrapper())(fallback);
    return this.legacyAdapter.dispatch(own, handler);
  }

  forget(exchange: Exchange): void {
    this.running.delete(exchange);
    if (this.running.size === 0) for (const tell of this.onQuiet.splice(0)) tell();
  }

  /** Refuses new requests, waits for those under way. The fallback and the connections belong to somebody else. */
  close(callback?: Callback): Promise<void> | undefined {
    return promised(callback, (done) => {
      if (this.destroyed) return queueMicrotask(() => done(new parts.errors.ClientDestroyedError(), null));
      this.closed = true;
      const over = (): void => {
        this.destroyed = true;
        queueMicrotask(() => done(null, null));
      };
      if (this.running.size === 0) over();
      else this.onQuiet.push(over);
    });
  }

  /** Fails what is under way. */
  destroy(reason?: Error | Callback | null, callback?: Callback): Promise<void> | undefined {
    const error = typeof reason === 'function' ? null : reason;
    return promised(typeof reason === 'function' ? reason : callback, (done) => {
      this.destroyed = true;
      for (const exchange of this.running) exchange.stop(error ?? new parts.errors.ClientDestroyedError());
      queueMicrotask(() => done(null, null));
    });
  }

  /** Of the fallback, for the fetch of whoever mocks other hosts. */
  get isMockActive(): boolean {
    const { fallback, legacyFallback = null } = this.options;
    return mocks(fallback) || mocks(legacyFallback);
  }

  /** Limits that WebSocket and EventSource look up here. */
  get webSocketOptions(): unknown {
    return limits(this.options.fallback).webSocketOptions;
  }
  get eventSourceOptions(): unknown {
    return limits(this.options.fallback).eventSourceOptions;
  }
}

// undici's index puts these on the class that it exports; here they are loaded when somebody calls one.
for (const name of ['request', 'stream', 'pipeline', 'upgrade', 'connect'] as const) {
  const value = function (this: Dispatcher, ...given: unknown[]): unknown {
    return (parts.api()[name] as (...args: unknown[]) => unknown).apply(this, given);
  };
  Object.defineProperty(Door.prototype, name, { value, configurable: true, writable: true });
}

/** A dispatcher of undici's own, for hosts that are no services: connections and nothing else. */
export function createAgent(): Dispatcher {
  return new (parts.Agent())() as Dispatcher;
}

/**
 * Makes a dispatcher. Give it to `undici.request(url, { dispatcher })`, to any version of fetch, or to undici's interceptors.
 * It converts the handlers of undici 6 by itself, so the built-in fetch of every supported Node takes it as it is.
 *
 * What a caller may abort it may abort at any time, also while nothing has been sent; errors are undici's own and the system's,
 * with ours to be had from `explanationOf`.
 */
export function createDoor(options: DoorOptions): Dispatcher {
  return new Door(options) as unknown as Dispatcher;
}

function isLegacy(handler: Dispatcher.DispatchHandler & LegacyHandler): boolean {
  return typeof handler.onRequestStart !== 'function' && typeof handler.onConnect === 'function';
}

function converted(handler: Dispatcher.DispatchHandler): Dispatcher.DispatchHandler {
  return parts.Dispatcher1Wrapper().wrapHandler(handler as LegacyHandler);
}

/** Null for whatever is no URL: that is for the fallback to judge. */
function hostOf(origin: unknown): string | null {
  if (origin instanceof URL) return origin.host;
  if (typeof origin !== 'string') return null;
  let host = hosts.get(origin);
  if (host === undefined) {
    host = URL.parse(origin)?.host ?? null;
    if (hosts.size < maxHosts) hosts.set(origin, host);
  }
  return host;
}

const always = ['onRequestStart', 'onResponseError'] as const;
const forReplies = [...always, 'onResponseStart', 'onResponseData', 'onResponseEnd'] as const;
const forUpgrades = [...always, 'onRequestUpgrade'] as const;

/** The checks that undici makes when it is too late for us. */
function assertHandler(
  handler: Dispatcher.DispatchHandler,
  { method, upgrade }: Dispatcher.DispatchOptions,
): asserts handler is CheckedHandler {
  for (const name of upgrade || method === 'CONNECT' ? forUpgrades : forReplies) {
    if (typeof handler[name] !== 'function') throw new parts.errors.InvalidArgumentError(`invalid ${name} method`);
  }
}

function nowhere(origin: unknown, names: readonly string[]): Error {
  const host = hostOf(origin);
  if (host === null) return new parts.errors.InvalidArgumentError('opts.origin must be a non-empty string or URL.');
  return new ConfigError([unknownHost(host, names)], 'dispatcher');
}

/** undici's two ways of being told: a callback, or a promise without one. */
function promised(callback: Callback | undefined, run: (done: Callback) => void): Promise<void> | undefined {
  if (callback === undefined) {
    return new Promise((resolve, reject) => run((error) => (error === null ? resolve() : reject(error))));
  }
  if (typeof callback !== 'function') throw new parts.errors.InvalidArgumentError('invalid callback');
  run(callback);
  return undefined;
}

function mocks(dispatcher: Dispatcher | null): boolean {
  return (dispatcher as { isMockActive?: boolean } | null)?.isMockActive === true;
}

interface Limits {
  readonly webSocketOptions?: unknown;
  readonly eventSourceOptions?: unknown;
}

let defaults: Limits | null = null;

function limits(fallback: Dispatcher | null): Limits {
  const own = fallback as Limits | null;
  if (own?.webSocketOptions !== undefined) return own;
  return (defaults ??= createAgent() as Limits);
}
