/** @module A client: the services that an application calls, and the doors to them. */
import { ConfigError, closest, type Handler, type Runtime, type Scope, systemClock } from '@fairlead/core';
import type { Breaker } from '@fairlead/policies';
import { currentAmbient } from '@fairlead/telemetry';
import { createBridge, createFetch, type Dispatcher, type FairleadFetch, type Route } from '@fairlead/transport';
import { ClientDoor } from './client-door.js';
import { installGlobal } from './install-global.js';
import { Service, type ServiceDescription } from './service.js';
import { type ClientOptions, type Environment, resolveClient } from './settings/index.js';
import { Sources } from './sources.js';

/** What {@link createClient} takes. */
export interface ClientInit extends ClientOptions {
  /** Where variables are read from; false for nowhere. Default `process.env`. */
  readonly environment?: Environment | false | undefined;
  /**
   * What to do with URLs whose host is no service: null (the default) refuses them with a `TypeError` that names the
   * services; a fetch, such as the built-in one, gets them untouched.
   */
  readonly otherHosts?: typeof fetch | null;
}

/** The services of an application. */
export interface Client extends AsyncDisposable {
  /** WHATWG fetch; the host of the URL is the name of a service: `client.fetch('http://payments/charges/42')`. */
  readonly fetch: FairleadFetch;
  /**
   * The same for callers of undici: `request(url, { dispatcher: client.dispatcher })`, and for any fetch, WebSocket or
   * EventSource that takes a dispatcher. Hosts that are no services are refused, or sent as ever if there are `otherHosts`.
   */
  readonly dispatcher: Dispatcher;
  /** The names of the services. */
  readonly services: readonly string[];
  /**
   * The whole stack of a service, for calls made by hand.
   * @throws ConfigError if there is no such service
   */
  handler(service: string): Handler;
  /**
   * The breaker of a service, to look into, to open or to disable by hand, to save and to restore; null if that is switched off.
   * @throws ConfigError if there is no such service
   */
  breaker(service: string): Breaker | null;
  /** For each service its layers in order, its endpoints, and where each setting came from. */
  describe(): Readonly<Record<string, ServiceDescription>>;
  /**
   * Puts {@link Client.fetch} in the place of `globalThis.fetch`, and a dispatcher in that of the global one, for everything
   * else that asks for it: `undici.request`, WebSocket, copies of fetch that were taken before. Hosts that are no services
   * go to what was there. The function returned puts it back.
   */
  installGlobal(): () => void;
  /**
   * Brings clients of node:http and node:https (axios, got, older SDKs) onto the stacks of the services: every agent that
   * connects in the way of node's own. The function returned puts back what was there.
   */
  installHttp(): () => void;
  /**
   * Refuses new calls, begins no attempt any more, lets the attempts under way finish for a while, and releases everything.
   * A fetch of yours (`wrapFetch`) has its own connections: what is under way there goes on.
   */
  close(): Promise<void>;
}

/** A client as the other doors of this package need it. @internal */
export interface OpenClient extends Client {
  readonly route: (host: string) => Route | null;
}

/**
 * Makes a client out of what code and environment say; code wins. Nothing is opened or asked before the first call.
 * @throws ConfigError that lists everything that is wrong; nothing has been started then
 */
export function createClient(init: ClientInit = {}): Client {
  return createClientOver(null, init);
}

/** As {@link createClient}, over a transport of somebody else. @internal */
export function createClientOver(end: Handler | null, init: ClientInit): OpenClient {
  const { otherHosts = null, environment = process.env, ...options } = init;
  if (otherHosts !== null && typeof otherHosts !== 'function') {
    throw new ConfigError([{ name: 'client.otherHosts', value: otherHosts, expected: 'a fetch, or null' }]);
  }
  const sources = new Sources();
  const env = environment === false ? {} : environment;
  const { client: settings, services: resolved } = resolveClient(options, env, sources);
  const client = settings.values;
  const runtime: Runtime = { clock: client.clock ?? systemClock, on: client.on ?? undefined };
  const services = new Map<string, Service>();
  const routes = new Map<string, Route>();
  // It may be made later. What is said of all services is said of `user`, too, who cannot be of use to itself.
  const stackOf = (other: string | null, user: string): Handler | null =>
    other === null || other === user ? null : (call) => (services.get(other) as Service).handler(call);
  for (const [name, own] of resolved) {
    const { mirror, fallback } = own.values;
    const others = { copies: stackOf(mirror.to, name), standIn: stackOf(fallback.service, name) };
    const service = new Service(name, own, client, runtime, sources.schemes, end, others);
    services.set(name, service);
    routes.set(name.toLowerCase(), { service: name, handler: service.handler, runtime, parentScope });
  }
  const route = (host: string): Route | null => routes.get(host) ?? null;
  const names = [...services.keys()];
  const serviceOf = (name: string): Service => {
    const service = services.get(name);
    if (service !== undefined) return service;
    throw new ConfigError([
      { name: 'service', value: name, expected: `one of ${names.join(', ')}`, didYouMean: closest(name, names) },
    ]);
  };
  const bridge = createBridge({ route });
  const hosts = { route, names: () => names };
  const door = new ClientDoor({ ...hosts, othersToo: otherHosts !== null });
  const fetch = createFetch({ ...hosts, external: otherHosts, exotic: door.fetch });
  const close = async (): Promise<void> => {
    door.close();
    await Promise.all([...services.values()].map((service) => service.close()));
    await sources.close();
  };
  return {
    fetch,
    get dispatcher() {
      return door.dispatcher;
    },
    services: names,
    route,
    handler: (name) => serviceOf(name).handler,
    breaker: (name) => serviceOf(name).breaker,
    describe: () => Object.fromEntries([...services].map(([name, service]) => [name, service.describe()])),
    installGlobal: () => installGlobal({ ...hosts, external: otherHosts, exotic: door.fetch }),
    installHttp: bridge.install,
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** An outbound call made inside of an inbound handler ends with it, and has no more time. */
function parentScope(): Scope | null {
  return currentAmbient().scope;
}
