/** @module What a failure proves that came before any byte of an answer. */
import { type FairleadError, TlsRejectedError } from '@fairlead/core';
import { type Connector, hadServed } from './connections/connector.js';
import { isUnseen } from './shared/unseen.js';
import { type FailedWhere, systemCode, wireError } from './wire-error.js';

/** Codes that mean that there never was a connection. */
const neverConnected: ReadonlySet<string> = new Set([
  'EAI_AGAIN',
  'ECONNREFUSED',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOENT',
  'ENOTFOUND',
  'UND_ERR_CONNECT_TIMEOUT',
]);

/** Codes of a connection that went away. */
const cutOff: ReadonlySet<string> = new Set(['ECONNRESET', 'EPIPE', 'UND_ERR_SOCKET']);

/**
 * Whether a request that got no byte of an answer died on a kept-alive connection that the other side was just closing.
 * Never with HTTP/2: that says which requests were not looked at, and those have been sent again already.
 */
export function wasStale(error: Error, { multiplexed }: Connector): boolean {
  return !multiplexed && cutOff.has(systemCode(error) ?? '') && hadServed(error);
}

/**
 * Maps an error of an exchange that nothing of an answer had come for.
 * @param connector what made its connection
 */
export function unansweredError(error: Error, where: FailedWhere, connector: Connector): FairleadError {
  if (where.phase !== 'connect' && isUnseen(error)) {
    const connecting = neverConnected.has(systemCode(error) ?? '');
    return wireError(error, { ...where, phase: connecting ? 'connect' : where.phase, sent: 'no' });
  }
  return isTurnedAway(error, where, connector) ? turnedAway(error, where) : wireError(error, where);
}

/**
 * Whether the other side seems not to want us: it says so during the handshake, or it has never sent us a byte and closes
 * a connection as soon as it is made. In TLS 1.3 the client takes the handshake for done before the server has looked at
 * the client's certificate, so this is what a rejected one looks like.
 */
function isTurnedAway(error: Error, where: FailedWhere, connector: Connector): boolean {
  if (!connector.secure) return false;
  const code = systemCode(error) ?? '';
  if (code.startsWith('ERR_SSL_') && code.includes('ALERT')) return true;
  return where.phase !== 'connect' && cutOff.has(code) && !connector.served;
}

/** An error for which nothing proves that it would be better elsewhere: it counts against the endpoint, too. */
function turnedAway(cause: Error, { service, endpoint, phase }: FailedWhere): FairleadError {
  const message =
    phase === 'connect'
      ? `refused the TLS handshake: ${cause.message.trim()}`
      : 'closed its first connection right after the TLS handshake, as servers do that miss or reject a client certificate';
  return new TlsRejectedError({ service, endpoint, message, cause });
}
