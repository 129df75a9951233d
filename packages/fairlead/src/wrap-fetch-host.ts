/**
 * @module The `Host` of a call that goes through somebody else's fetch. The URL names the endpoint, and what a server asks
 * for its virtual hosts, signatures and links is the name that the caller wrote. By the Fetch standard nobody can set it
 * but the URL, so it is said in the two ways that exist beside the standard: as a header, which many a fetch sends, and to
 * the fetches of undici, Node's own among them, which drop the header, by a dispatcher that adds it below them.
 */
import { isIP } from 'node:net';
import { type Call, type Handler, headerOf } from '@fairlead/core';
import { type Dispatcher, fetchHandler } from '@fairlead/transport';

/** Whose name is to be said. */
type FetchHost = 'service' | 'endpoint';

/** Sends calls with `anyFetch`; see `WrapFetchInit.host`. */
export function hostedFetchHandler(anyFetch: typeof fetch, host: FetchHost | undefined): Handler {
  const plain = fetchHandler(anyFetch);
  // A fetch of somebody's own may have a dispatcher of its own, which ours would displace.
  const belowToo = host === 'service' || anyFetch === globalThis.fetch;
  const byService = new Map<string, Handler>();
  return function fetchTransport(call) {
    const own = headerOf(call.headers, 'host');
    if (own !== undefined) return fetchHandler(saying(own, anyFetch, belowToo))(call);
    if (host === 'endpoint' || (host === undefined && !overHttp(call))) return plain(call);
    let hosted = byService.get(call.service);
    if (hosted === undefined) {
      hosted = fetchHandler(saying(call.service, anyFetch, belowToo));
      byService.set(call.service, hosted);
    }
    return hosted(call);
  };
}

function overHttp({ endpoint }: Call): boolean {
  return endpoint?.origin.startsWith('http:') === true;
}

/** `anyFetch` with requests for `host`. Its callers give headers as pairs. */
function saying(host: string, anyFetch: typeof fetch, belowToo: boolean): typeof fetch {
  const below = belowToo ? { dispatcher: new HostDispatcher(host) } : null;
  return (url, init) => {
    const headers = [...((init as RequestInit).headers as [string, string][]), ['host', host]];
    return anyFetch(url, { ...init, headers, ...below } as RequestInit);
  };
}

const legacyPlace = Symbol.for('undici.globalDispatcher.1');
const place = Symbol.for('undici.globalDispatcher.2');

/** The global dispatcher of whichever undici asks, with another `host` in its requests. All that a fetch asks one for. */
class HostDispatcher {
  readonly #host: string;

  constructor(host: string) {
    this.#host = host;
  }

  dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
    const { hostname } = new URL(String(options.origin));
    // With TLS, the certificate is still that of the endpoint; undici would go by the header. An address has no name.
    const servername = isIP(hostname.replace(/^\[|\]$/g, '')) === 0 ? hostname : undefined;
    const headers = { ...(options.headers as Record<string, string>), host: this.#host };
    return below(typeof handler.onRequestStart !== 'function').dispatch(
      { ...options, headers, ...(servername && { servername }) } as Dispatcher.DispatchOptions,
      handler,
    );
  }

  get isMockActive(): boolean {
    return [false, true].some((legacy) => (below(legacy) as { isMockActive?: boolean }).isMockActive === true);
  }
}

/** Handlers of undici 6, and of the built-in fetch of Node 22 and 24, are understood in another place than those of today. */
function below(legacy: boolean): Dispatcher {
  const globals = globalThis as unknown as Record<symbol, Dispatcher | undefined>;
  const [first, second] = legacy ? [legacyPlace, place] : [place, legacyPlace];
  return (globals[first] ?? globals[second]) as Dispatcher;
}
