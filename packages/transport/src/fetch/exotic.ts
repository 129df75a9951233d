/**
 * @module What of fetch is left to the built-in one: options that make it do something else than send, and that next to
 * nobody uses between services. It sends through a dispatcher, so that the service's whole stack still applies.
 */
import type { FetchInit } from './fetch-init.js';

/** What the types of Node leave out is there. */
type Options = Omit<RequestInit, 'body'> & { readonly cache?: unknown; readonly window?: unknown };

/**
 * Whether the built-in fetch does more about the options of a call than to ignore them: `integrity`, which it verifies;
 * cache modes and a referrer, which it turns into headers; and values that it refuses. `cache: 'no-store'` is none of them
 * although it adds headers: many set it everywhere, and nothing is stored here.
 */
export function isExotic(request: Request | null, init: FetchInit | undefined): boolean {
  return (init != null && asksFor(init)) || (request !== null && asksFor(request as Options));
}

function asksFor({ integrity, cache, mode, credentials, referrer, window }: Options): boolean {
  return (
    (integrity !== undefined && integrity !== '') ||
    (cache !== undefined && cache !== 'default' && cache !== 'no-store') ||
    (mode !== undefined && mode !== 'cors' && mode !== 'same-origin') ||
    (credentials !== undefined &&
      credentials !== 'same-origin' &&
      credentials !== 'include' &&
      credentials !== 'omit') ||
    (referrer !== undefined && referrer !== '' && referrer !== 'about:client') ||
    (window !== undefined && window !== null)
  );
}

/**
 * Leaves a call to `fetch`.
 * @throws TypeError for options of our own, of which it knows nothing
 */
export function fetchExotic(
  fetch: typeof globalThis.fetch,
  input: string | URL | Request,
  init?: FetchInit,
): Promise<Response> {
  if (init?.fairlead !== undefined) {
    throw new TypeError('fairlead: options of the call cannot be combined with those that the built-in fetch sees to');
  }
  return fetch(input, init as RequestInit);
}
