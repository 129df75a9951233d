/** @module What a failure proves that came before any byte of an answer. */
import { type FairleadError, TlsRejectedError } from '@fairlead/core';
import { type Connector, hadServed } from './connector.js';
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

/** RFC 9113, 7: the stream was refused before anything was done with it. */
const REFUSED_STREAM = 7;

/**
 * Whether a request that got no byte of an answer died on a kept-alive connection that the other side was just closing.
 * Never with HTTP/2: that says which requests were not looked at, and undici sends those again by itself.
 */
export function wasStale(error: Error, { multiplexed }: Connector): boolean {
  return !multiplexed && cutOff.has(systemCode(error) ?? '') && hadServed(error);
}

/**
 * Maps an error of an exchange that nothing of an answer had come for.
 * @param connector what made its connection
 */
export function unansweredError(error: Error, where: FailedWhere, connector: Connector): FairleadError {
  if (where.phase !== 'connect' && provesUnsent(error, connector)) {
    const connecting = neverConnected.has(systemCode(error) ?? '');
    return wireError(error, { ...where, phase: connecting ? 'connect' : where.phase, sent: 'no' });
  }
  return isTurnedAway(error, where, connector) ? turnedAway(error, where) : wireError(error, where);
}

/**
 * Whether the request is known not to have been looked at, although it may have left. A stream above the last one that a
 * GOAWAY names was not, and one that was refused was not (RFC 9113, 6.8 and 8.7). undici sends such requests once more on
 * a connection of its own making, so a failure to connect, too, is the end of one that nobody has looked at. It has no
 * code for a GOAWAY, only words.
 */
function provesUnsent(error: Error, { multiplexed }: Connector): boolean {
  if (!multiplexed) return false;
  if ((error as { http2ErrorCode?: unknown }).http2ErrorCode === REFUSED_STREAM) return true;
  return neverConnected.has(systemCode(error) ?? '') || error.message.includes('"GOAWAY" frame received');
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
