/** @module How to reach the API server, and as whom. */
import type { Clock, Endpoint, HeaderPairs } from '@fairlead/core';

/** What a connection to the API server needs of TLS, in the words of `tls.connect`. Certificates and keys are PEM. */
export interface AccessTls {
  /** Who signs the server's certificate; absent for those whom the system trusts. */
  readonly ca?: string;
  /** Client certificate, with {@link key}. */
  readonly cert?: string;
  readonly key?: string;
  /** Name that the server's certificate must bear, where it is not that of the server. */
  readonly servername?: string;
  /** False where the server's certificate is not looked at. */
  readonly rejectUnauthorized?: boolean;
}

/**
 * The way to one API server. Any object of this shape will do, for `kubectl proxy` for instance. What its functions throw
 * is told as an error of the request, and they are asked again for the next.
 */
export interface Access {
  readonly server: Endpoint;
  /** What stands before `/apis` where the server is behind a gateway: `/k8s/clusters/c-1`. Default nothing. */
  readonly basePath?: string;
  /** Certificates (PEM) that sign the server's, for the `tls.ca` of the transport; null for those of the system. */
  readonly ca: string | null;
  /** The namespace that this process runs in, where known. */
  readonly namespace: string | null;
  /** Headers beside `authorization`: whom to act as. Default none. */
  readonly headers?: HeaderPairs;
  /**
   * The bearer token, null for none. Asked for every request: tokens expire within the hour, and the kubelet replaces
   * them in place.
   */
  token(clock: Clock): string | null | Promise<string | null>;
  /** The `authorization` header, where it is no bearer token; it wins over {@link token}. */
  authorization?(): string | null;
  /** Asked for every request, since certificates are replaced too. Default `{ ca }`. See {@link connectTo}. */
  tls?(clock: Clock): AccessTls | Promise<AccessTls>;
  /** The server refused this token (401): what is kept of it should be forgotten. */
  refused?(token: string | null): void;
}
