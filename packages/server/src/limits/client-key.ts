/** @module Who a caller is, for limits: by the address it comes from, or by the key it shows. */
import { hash } from 'node:crypto';
import { type Checks, check, checks, headerOf, resolveOptions } from '@fairlead/core';
import { type ForwardingHeader, originOf } from './forwarded.js';
import { addressKey, normalAddress, SUBSCRIBER_BITS } from './ip-address.js';
import type { CallerKey } from './rate-limit-options.js';
import { trustedNetworks } from './trusted-proxies.js';

/** Options of {@link clientAddress}. */
export interface ClientAddressOptions {
  /**
   * Networks of the proxies in front whose word is taken: CIDR (`10.0.0.0/8`), addresses, or `loopback`, `linklocal`,
   * `uniquelocal`. Everybody (`true`, `*`, `0.0.0.0/0`) is refused. Default none: the other end of the connection it is.
   */
  readonly trustedProxies: readonly string[];
  /** Which header those proxies write. Exactly one: the other would be the client's own. Default `x-forwarded-for`. */
  readonly header: ForwardingHeader;
  /**
   * How many bits of an IPv6 address tell subscribers apart, from 32 to 128. Less where providers give whole /56 or /48
   * to one. Default 64.
   */
  readonly ipv6Bits: number;
}

/** Defaults of {@link ClientAddressOptions}. */
export const clientAddressDefaults: ClientAddressOptions = Object.freeze({
  trustedProxies: Object.freeze([]),
  header: 'x-forwarded-for',
  ipv6Bits: SUBSCRIBER_BITS,
} satisfies ClientAddressOptions);

const addressRules: Checks<ClientAddressOptions> = {
  // Checked by `trustedNetworks`, which can say more about it.
  trustedProxies: checks.any(),
  header: checks.oneOf('x-forwarded-for', 'forwarded'),
  ipv6Bits: checks.integer(32, 128),
};

/** What is known of the other end of a connection, which stays the same from request to request. */
interface Peer {
  readonly address: string;
  readonly key: string;
  readonly trusted: boolean;
}

/**
 * Tells callers apart by address: an IPv4 address, or the network of an IPv6 one, by default its /64. A request on a connection without an address
 * (a Unix socket) has the key `local`.
 * @throws ConfigError if an option is unknown or wrong
 */
export function clientAddress(options?: Partial<ClientAddressOptions>): CallerKey {
  const resolved = resolveOptions('clientAddress', options, clientAddressDefaults, addressRules);
  const { trustedProxies, header, ipv6Bits } = resolved;
  const trusts = trustedNetworks(trustedProxies, 'clientAddress.trustedProxies');
  /** One per configuration, since what it holds depends on whom that trusts. */
  const peerOf: unique symbol = Symbol('fairlead.peer');

  return function clientAddress(call, request) {
    const socket = request.socket as typeof request.socket & { [peerOf]?: Peer };
    let peer = socket[peerOf];
    if (peer === undefined) {
      const address = normalAddress(socket.remoteAddress ?? '');
      peer = {
        address: address ?? '',
        key: address === null ? 'local' : addressKey(address, ipv6Bits),
        trusted: address !== null && trusts(address),
      };
      socket[peerOf] = peer;
    }
    if (!peer.trusted) return peer.key;
    return addressKey(originOf(peer.address, call.headers, header, trusts), ipv6Bits);
  };
}

/** Options of {@link apiKey}. */
export interface ApiKeyOptions {
  /** Name of the header that carries the key, lower case. Default `x-api-key`. */
  readonly header: string;
  /**
   * Whether a key is one that was given out. Without this, a client that makes up a new key for each request has a new
   * quota for each, unless a layer further out has refused it. Default: every key is.
   */
  readonly known: (key: string) => boolean;
  /** Who a caller without a known key is. Default: {@link clientAddress} without trusted proxies. */
  readonly otherwise: CallerKey;
}

/** Defaults of {@link ApiKeyOptions}. */
export const apiKeyDefaults: ApiKeyOptions = Object.freeze({
  header: 'x-api-key',
  known: () => true,
  otherwise: clientAddress(),
} satisfies ApiKeyOptions);

const apiKeyRules: Checks<ApiKeyOptions> = {
  header: check(
    'the name of a header in lower case',
    (v) => typeof v === 'string' && /^[!#$%&'*+.^_`|~0-9a-z-]+$/.test(v),
  ),
  known: checks.fn(),
  otherwise: checks.fn(),
};

/**
 * Tells callers apart by an API key. The key itself goes no further: what is counted by, and told in events, is its
 * SHA-256 hash.
 * @throws ConfigError if an option is unknown or wrong
 */
export function apiKey(options?: Partial<ApiKeyOptions>): CallerKey {
  const { header, known, otherwise } = resolveOptions('apiKey', options, apiKeyDefaults, apiKeyRules);
  return function apiKey(call, request) {
    const value = headerOf(call.headers, header);
    if (value === undefined || value === '' || !known(value)) return otherwise(call, request);
    // With a prefix, so that no key can be made that is somebody's address.
    return `key:${hash('sha256', value, 'base64url')}`;
  };
}
