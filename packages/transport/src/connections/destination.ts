/** @module Where the connections of an endpoint go, and by which name it is spoken to. */
import { isIP } from 'node:net';
import type { Endpoint } from '@fairlead/core';

/** What decides whether two endpoints may share connections. */
export interface Destination {
  /** Tells destinations apart. */
  readonly key: string;
  /** Whether it is reached through TLS. */
  readonly secure: boolean;
  /** Scheme and authority as the other side knows itself: what undici derives `host` and `:authority` from. */
  readonly url: string;
  /** What is dialed: an address or a name, without brackets; the path of a Unix socket. */
  readonly address: string;
  /** Port that is dialed; null for a Unix socket. */
  readonly port: string | null;
  /** The name that TLS asks for and that the certificate must bear; null for that of the address. */
  readonly serverName: string | null;
}

const unixScheme = 'unix:';

/** The destination of an endpoint on a transport whose settings may name the TLS server themselves. */
export function destinationOf(endpoint: Endpoint, tlsServerName: string | undefined): Destination {
  const { origin } = endpoint;
  if (origin.startsWith(unixScheme)) {
    const address = origin.slice(unixScheme.length);
    // The other end of a Unix socket has no name. `localhost` is what servers are used to from others who face that.
    return { key: origin, secure: false, url: 'http://localhost', address, port: null, serverName: null };
  }
  const { protocol, hostname, port } = new URL(origin);
  const address = hostname.startsWith('[') ? hostname.slice(1, -1) : hostname;
  const foundBy = nameOf(endpoint);
  const name = foundBy ?? hostname;
  const secure = protocol === 'https:';
  return {
    key: keyOf(endpoint),
    secure,
    url: `${protocol}//${name}${port === '' ? '' : `:${port}`}`,
    address,
    port: port === '' ? (secure ? '443' : '80') : port,
    serverName: !secure ? null : (tlsServerName ?? foundBy ?? (isIP(address) === 0 ? address : null)),
  };
}

/** Tells apart where endpoints lead, without making a {@link Destination}. */
export function keyOf(endpoint: Endpoint): string {
  const name = nameOf(endpoint);
  return name === null ? endpoint.origin : `${endpoint.origin} ${name}`;
}

/** The name that discovery found the endpoint by, if it is one that can stand in a URL. */
function nameOf(endpoint: Endpoint): string | null {
  const name = endpoint.attributes.serverName;
  // Some registries name addresses as SRV targets: neither TLS nor `host` gain anything by those.
  if (typeof name !== 'string' || !/^[\w-]+(\.[\w-]+)*$/.test(name) || isIP(name) !== 0) return null;
  return URL.canParse(`http://${name}`) ? name.toLowerCase() : null;
}
