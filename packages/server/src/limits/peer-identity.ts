/** @module Who a caller is, by the certificate that it has shown and the server has verified (mutual TLS). */
import type { X509Certificate } from 'node:crypto';
import type { TLSSocket } from 'node:tls';
import { type Checks, checks, resolveOptions } from '@fairlead/core';
import { clientAddress } from './client-key.js';
import type { CallerKey } from './rate-limit-options.js';

/** Options of {@link peerIdentity}. */
export interface PeerIdentityOptions {
  /** Who a caller without a verified certificate is. Default: `clientAddress()` without trusted proxies. */
  readonly otherwise: CallerKey;
}

/** Defaults of {@link PeerIdentityOptions}. */
export const peerIdentityDefaults: PeerIdentityOptions = Object.freeze({ otherwise: clientAddress() });

const rules: Checks<PeerIdentityOptions> = { otherwise: checks.fn() };

const known: unique symbol = Symbol('fairlead.identity');

/** A connection, and who is at its other end, which stays the same: null if nobody has said so credibly. */
type KnownSocket = TLSSocket & { [known]?: string | null };

/**
 * Tells callers apart by their verified certificate: by its SPIFFE ID (`tls:spiffe://…`), else by its subject. The server has
 * to ask for certificates (`requestCert`); one that it could not verify is none.
 * @throws ConfigError if an option is unknown or wrong
 */
export function peerIdentity(options?: Partial<PeerIdentityOptions>): CallerKey {
  const { otherwise } = resolveOptions('peerIdentity', options, peerIdentityDefaults, rules);
  return function peerIdentity(call, request) {
    const socket = request.socket as KnownSocket;
    let identity = socket[known];
    if (identity === undefined) {
      const certificate = socket.authorized ? socket.getPeerX509Certificate() : undefined;
      identity = certificate === undefined ? null : identityOf(certificate);
      socket[known] = identity;
    }
    return identity ?? otherwise(call, request);
  };
}

/** With a prefix, so that no certificate can be made that is somebody's address or API key. */
function identityOf({ subject, subjectAltName = '' }: X509Certificate): string | null {
  // Node quotes names in which a comma could be taken for the end. No SPIFFE ID has any, so a list with quotes is suspect.
  const id = subjectAltName.includes('"') ? undefined : /(?:^|, )URI:(spiffe:\/\/[^,]+)/.exec(subjectAltName)?.[1];
  const name = id ?? subject;
  return name ? `tls:${name}` : null;
}
