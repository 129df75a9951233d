/** @module What undici and the system say went wrong, as one of our errors. */
import {
  CanceledError,
  ConfigError,
  errorCode,
  type FairleadError,
  type Sent,
  TimeoutError,
  TransportError,
  type TransportPhase,
} from '@fairlead/core';

/** Where and how far an exchange had got when it failed. */
export interface FailedWhere {
  readonly service: string;
  readonly endpoint: string;
  readonly phase: TransportPhase;
  readonly sent: Sent;
  readonly staleSocket: boolean;
}

/** The `code` of a system or undici error. */
export function systemCode(error: unknown): string | undefined {
  const code = typeof error === 'object' && error !== null ? (error as { code?: unknown }).code : undefined;
  return typeof code === 'string' ? code : undefined;
}

/**
 * Maps an error of the exchange. Everything that the network or the other side did is a `TransportError` with the
 * original as its cause. Two things are not the endpoint's doing, and must neither be charged to it nor tried again:
 *
 * - undici refuses to send what it was given (a broken header, path or length). The same would happen anywhere, and only a
 *   change of code or settings helps: a `ConfigError`, the one class of core that says "never retried" and "not the
 *   endpoint".
 * - the caller's own body failed while it was being read: {@link bodySourceError}.
 */
export function wireError(error: unknown, where: FailedWhere): FairleadError {
  const code = systemCode(error);
  switch (code) {
    case 'UND_ERR_INVALID_ARG':
    case 'UND_ERR_NOT_SUPPORTED':
    case 'UND_ERR_REQ_CONTENT_LENGTH_MISMATCH':
      return refusedByUs(error as Error, where);
    default: {
      const closed = code === 'UND_ERR_CLOSED' || code === 'UND_ERR_DESTROYED';
      const message = messageOf(error as Error, code);
      return new TransportError({ ...where, phase: closed ? 'closed' : where.phase, message, cause: error });
    }
  }
}

/** Some codes say what happened, and some do not; those of certificates need the names that did not match. */
function messageOf(error: Error, code: string | undefined): string {
  if (code === undefined) return error?.message || 'failed';
  if (code === 'UND_ERR_INFO' || code.startsWith('ERR_HTTP2_')) return error.message;
  return /CERT|^ERR_TLS|^ERR_SSL|^SELF_SIGNED|^UNABLE_TO/.test(code) ? `${error.message.trim()} (${code})` : code;
}

/**
 * What a canceled attempt rejects with: the reason, but an attempt's timeout as a copy that names service and endpoint
 * and says whether this attempt was sent. The original belongs to the scope, which other attempts may share.
 */
export function cancelReason(reason: unknown, where: FailedWhere): unknown {
  if (errorCode(reason) !== 'ERR_TIMEOUT' || (reason as TimeoutError).of !== 'attempt') return reason;
  const { of, ms } = reason as TimeoutError;
  const error = new TimeoutError({ of, ms, service: where.service, endpoint: where.endpoint });
  error.sent = where.sent;
  return error;
}

function refusedByUs(error: Error, where: FailedWhere): ConfigError {
  const mapped = new ConfigError(
    [{ name: 'request', expected: `something that can be sent: ${error.message}` }],
    where.service,
  );
  mapped.cause = error;
  mapped.service = where.service;
  mapped.endpoint = where.endpoint;
  mapped.sent = where.sent;
  return mapped;
}

/** The caller's body broke off: the caller's own doing, so it ends the call as its cancellation would. */
export function bodySourceError(cause: unknown): CanceledError {
  return new CanceledError({ message: 'the request body failed while it was read', cause });
}
