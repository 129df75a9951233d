/** @module Policies around somebody else's fetch: a framework's, a mock, the built-in one. */
import { ConfigError } from '@fairlead/core';
import type { FairleadFetch } from '@fairlead/transport';
import { type Client, type ClientInit, createClientOver } from './client.js';
import { hostedFetchHandler } from './wrap-fetch-host.js';

/** What {@link wrapFetch} takes. */
export interface WrapFetchInit extends ClientInit {
  /**
   * What endpoints see as `Host`: the name of the `service`, as the caller wrote it, or that of the `endpoint`. By default
   * that of the service, but of endpoints with https their own, since such servers are often chosen by it. A `host` header
   * of the call wins.
   *
   * A fetch that keeps to the standard sends the endpoint's whatever is said here. Many do take a `host` header. To the
   * built-in fetch, as long as `globalThis.fetch` is what is wrapped, and with `service` to every fetch, a `dispatcher` is
   * given as well, which sends as the global one does: say so if your fetch hands its options on to the built-in one or to
   * undici's, and leave it if it has a dispatcher of its own.
   */
  readonly host?: 'service' | 'endpoint' | undefined;
}

/** A fetch with policies, and what belongs to it. */
export interface WrappedFetch extends AsyncDisposable, Pick<Client, 'describe' | 'close'> {
  (...args: Parameters<FairleadFetch>): Promise<Response>;
}

/**
 * Puts policies around `anyFetch`: calls whose host is one of the services go through the whole stack, and reach
 * `anyFetch` with the URL of the endpoint that was picked; all others reach it untouched.
 *
 * `anyFetch` owns the connections, so the settings under `transport` have no effect.
 * @throws ConfigError if `anyFetch` is none, or that lists everything that is wrong with `init` and the environment
 */
export function wrapFetch(anyFetch: typeof fetch, { host, ...init }: WrapFetchInit = {}): WrappedFetch {
  if (typeof anyFetch !== 'function') {
    throw new ConfigError([{ name: 'anyFetch', value: anyFetch, expected: 'a fetch' }], 'wrapFetch');
  }
  if (host !== undefined && host !== 'service' && host !== 'endpoint') {
    throw new ConfigError([{ name: 'host', value: host, expected: 'service or endpoint' }], 'wrapFetch');
  }
  const client = createClientOver(hostedFetchHandler(anyFetch, host), { ...init, otherHosts: anyFetch });
  const wrapped: FairleadFetch = (input, init) => client.fetch(input, init);
  return Object.assign(wrapped, {
    describe: () => client.describe(),
    close: () => client.close(),
    [Symbol.asyncDispose]: () => client.close(),
  });
}
