/** @module A stand-in for an answer that did not come. */
import {
  type Call,
  check,
  checks,
  createReply,
  discard,
  errorCode,
  type Middleware,
  named,
  type RejectedError,
  type Reply,
  type ReplyHeaders,
  resolveOptions,
} from '@fairlead/core';

/** A stand-in that is always the same. */
export interface FallbackReply {
  /** Default 200. */
  readonly status?: number;
  /** Names in lower case. Default none. */
  readonly headers?: ReplyHeaders;
  /** Default no body. */
  readonly body?: string | Uint8Array | null;
}

/**
 * Makes a stand-in.
 * @param error what went wrong, or null if `status` did
 * @param status the status that is replaced, or null if there was no reply
 */
export type FallbackFunction = (call: Call, error: unknown, status: number | null) => Reply | Promise<Reply>;

/** Options of {@link fallback}. */
export interface FallbackOptions {
  /** The stand-in, or what makes it. Has no default. */
  readonly to: FallbackReply | FallbackFunction;
  /** Which errors are replaced. Default {@link isUnavailable}. */
  readonly when: (error: unknown) => boolean;
  /** Replies with this status or a higher one are replaced too: 500, for instance. Default null: no reply is. */
  readonly fromStatus: number | null;
}

/** The defaults of {@link fallback}; `to` has none. */
export const fallbackDefaults: Readonly<Omit<FallbackOptions, 'to'>> = Object.freeze({
  when: isUnavailable,
  fromStatus: null,
});

/**
 * Whether `error` says that the service could not be reached in time: refused by the breaker, no endpoint, a transport
 * error, a timeout. Cancellation, limits and errors of configuration are not among them.
 */
export function isUnavailable(error: unknown): boolean {
  switch (errorCode(error)) {
    case 'ERR_NO_ENDPOINT':
    case 'ERR_TRANSPORT':
    case 'ERR_TIMEOUT':
      return true;
    case 'ERR_REJECTED':
      return (error as RejectedError).by === 'breaker';
    default:
      return false;
  }
}

/**
 * Makes a layer that answers with a stand-in if the call failed for good. It adds nothing to the stand-in; one that shall
 * be told apart by its reader carries a header of your choice. Inside the stack, `reply.endpoint` is null. Tells
 * `fallback.used`.
 *
 * If `to` is a function and fails, the call fails with its error. It runs after the call's deadline if that is what was
 * exceeded, so it must bring a limit of its own.
 * @throws ConfigError if an option is wrong or `to` is missing
 */
export function fallback(options: Partial<FallbackOptions> & Pick<FallbackOptions, 'to'>): Middleware {
  const { to, when, fromStatus } = resolveOptions<FallbackOptions>(
    'fallback',
    // So that a missing `to` is told together with everything else that is wrong.
    { ...options, to: options?.to ?? (null as never) },
    { ...fallbackDefaults, to: {} },
    {
      to: isFallback,
      when: checks.fn('a function of the error'),
      fromStatus: checks.orNull(checks.integer(400, 599)),
    },
  );

  async function replace(call: Call, error: unknown, status: number | null): Promise<Reply> {
    call.runtime.on?.({ type: 'fallback.used', service: call.service, error });
    if (typeof to === 'function') return to(call, error, status);
    return createReply({ ...to, at: call.runtime.clock.now() });
  }

  return named('fallback', (call, next) => {
    return next(call).then(
      (reply): Reply | Promise<Reply> => {
        if (fromStatus === null || reply.status < fromStatus) return reply;
        discard(reply);
        return replace(call, null, reply.status);
      },
      (error: unknown): Promise<Reply> => {
        if (!when(error)) throw error;
        return replace(call, error, null);
      },
    );
  });
}

const isFallback = check('a function, or an object with status, headers and body', (value) => {
  if (typeof value === 'function') return true;
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  const { status = 200, headers = {}, body = null } = value as FallbackReply;
  return (
    Number.isInteger(status) &&
    status >= 200 &&
    status <= 599 &&
    typeof headers === 'object' &&
    (body === null || typeof body === 'string' || body instanceof Uint8Array)
  );
});
