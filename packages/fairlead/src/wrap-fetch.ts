/** @module Policies around somebody else's fetch: a framework's, a mock, the built-in one. */
import { type FairleadFetch, fetchHandler } from '@fairlead/transport';
import { type Client, type ClientInit, createClientOver } from './client.js';

/** A fetch with policies, and what belongs to it. */
export interface WrappedFetch extends AsyncDisposable, Pick<Client, 'describe' | 'close'> {
  (...args: Parameters<FairleadFetch>): Promise<Response>;
}

/**
 * Puts policies around `anyFetch`: calls whose host is one of the services go through the whole stack, and reach
 * `anyFetch` with the URL of the endpoint that was picked; all others reach it untouched.
 *
 * `anyFetch` owns the connections, so the settings under `transport` have no effect. The Fetch standard forbids to set
 * `Host`: the endpoints see their own.
 * @throws ConfigError that lists everything that is wrong with `init` and the environment
 */
export function wrapFetch(anyFetch: typeof fetch, init: ClientInit = {}): WrappedFetch {
  const client = createClientOver(fetchHandler(anyFetch), { ...init, otherHosts: anyFetch });
  const wrapped: FairleadFetch = (input, init) => client.fetch(input, init);
  return Object.assign(wrapped, {
    describe: () => client.describe(),
    close: () => client.close(),
    [Symbol.asyncDispose]: () => client.close(),
  });
}
