/** @module A stand-in for an answer that did not come. */
import {
  type Call,
  type Checks,
  check,
  checks,
  createReply,
  discard,
  errorCode,
  type Handler,
  type Middleware,
  named,
  type RejectedError,
  type Reply,
  type ReplyHeaders,
  resolveOptions,
} from '@fairlead/core';
import { isMode, type PolicyMode } from '../policy-mode.js';
import { type FallbackFunction, isService } from './fallback-service.js';
import { type StaleOptions, StaleReplies, staleDefaults } from './fallback-stale.js';

export { type FallbackFunction, type ToServiceOptions, toService, toServiceDefaults } from './fallback-service.js';
export { type StaleOptions, staleDefaults } from './fallback-stale.js';

/** A stand-in that is always the same. */
export interface FallbackReply {
  /** Default 200. */
  readonly status?: number;
  /** Names in lower case. Default none. */
  readonly headers?: ReplyHeaders;
  /** Default no body. */
  readonly body?: string | Uint8Array | null;
}

/** Options of {@link fallback}. */
export interface FallbackOptions {
  /** Default `on`. In `shadow` it replaces nothing and counts what it would have replaced. */
  readonly mode: PolicyMode;
  /** The stand-in, or what makes it: a function, or `toService()`. Default null: a stale answer or none. */
  readonly to: FallbackReply | FallbackFunction | null;
  /**
   * Keeps the last good answers to GET and HEAD, of which one that fits comes before `to`; `{}` for the defaults of
   * {@link StaleOptions}. Default null: keeps nothing.
   */
  readonly stale: Partial<StaleOptions> | null;
  /** Which errors are replaced. Default {@link isUnavailable}. */
  readonly when: (error: unknown) => boolean;
  /** Replies with this status or a higher one are replaced too: 500, for instance. Default null: no reply is. */
  readonly fromStatus: number | null;
}

/** The defaults of {@link fallback}. Of `to` and `stale` there must be one. */
export const fallbackDefaults: Readonly<FallbackOptions> = Object.freeze({
  mode: 'on',
  to: null,
  stale: null,
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

/** What stands in for the answers of one service. */
class StandIn {
  readonly #options: Readonly<FallbackOptions>;
  readonly #stale: StaleReplies | null;

  constructor(options: Readonly<FallbackOptions>, stale: Readonly<StaleOptions> | null) {
    this.#options = options;
    this.#stale = stale === null ? null : new StaleReplies(stale);
  }

  pass(call: Call, next: Handler): Promise<Reply> {
    const { fromStatus, when } = this.#options;
    return next(call).then(
      (reply): Reply | Promise<Reply> => {
        if (fromStatus !== null && reply.status >= fromStatus) return this.#insteadOf(reply, call);
        return this.#stale === null ? reply : this.#stale.keep(call, reply);
      },
      (error: unknown): Promise<Reply> => {
        if (!when(error)) throw error;
        return this.#afterError(error, call);
      },
    );
  }

  async #insteadOf(reply: Reply, call: Call): Promise<Reply> {
    let standIn: Reply | null;
    try {
      standIn = await this.#find(call, null, reply.status);
    } catch (error) {
      discard(reply);
      throw error;
    }
    if (standIn === null) return reply;
    discard(reply);
    return standIn;
  }

  async #afterError(error: unknown, call: Call): Promise<Reply> {
    const standIn = await this.#find(call, error, null);
    if (standIn === null) throw error;
    return standIn;
  }

  async #find(call: Call, error: unknown, status: number | null): Promise<Reply | null> {
    const { mode, to } = this.#options;
    const { service, runtime } = call;
    if (mode === 'shadow') {
      runtime.on?.({ type: 'policy.shadowed', service, policy: 'fallback', would: 'replace' });
      return null;
    }
    const reason = status === null ? reasonOf(error) : `status ${status}`;
    const now = runtime.clock.now();
    const old = this.#stale?.find(call, now) ?? null;
    if (old !== null) {
      runtime.on?.({ type: 'fallback.used', service, error, reason, from: 'stale' });
      return marked(old, reason);
    }
    if (to === null) return null;
    if (typeof to === 'function') {
      const standIn = await to(call, error, status);
      if (standIn === null) return null;
      runtime.on?.({ type: 'fallback.used', service, error, reason, from: isService(to) ? 'service' : 'function' });
      return marked(standIn, reason);
    }
    runtime.on?.({ type: 'fallback.used', service, error, reason, from: 'reply' });
    return marked(createReply({ ...to, at: now }), reason);
  }
}

/**
 * Makes a layer that answers with a stand-in if the call failed for good: with the last good answer to the same request
 * (`stale`), with what is always the same, with what a function makes, or with what another service says (`toService`). It
 * adds nothing to a stand-in but `insteadOf`, by which a layer above and a trace know it, and why; a stale one says its
 * `Age`. Tells `fallback.used`.
 *
 * If `to` is a function and fails, the call fails with its error. It runs after the call's deadline if that is what was
 * exceeded, so it must bring a limit of its own.
 * @throws ConfigError if an option is wrong, or neither `to` nor `stale` is there
 */
export function fallback(options: Partial<FallbackOptions>): Middleware {
  // Null rather than undefined, which would count as not given: a missing stand-in is told with everything else that is wrong.
  const given = resolveOptions<FallbackOptions>('fallback', { ...options, to: options?.to ?? null }, fallbackDefaults, {
    mode: isMode,
    to: options?.stale == null ? isStandIn : checks.orNull(isStandIn),
    stale: checks.orNull(checks.object()),
    when: checks.fn('a function of the error'),
    fromStatus: checks.orNull(checks.integer(400, 599)),
  });
  const stale =
    given.stale === null
      ? null
      : resolveOptions<StaleOptions>('fallback.stale', given.stale, staleDefaults, staleRules);
  if (given.mode === 'off') return named('fallback', (call, next) => next(call));
  const standIn = new StandIn(given, stale);
  return named('fallback', (call, next) => standIn.pass(call, next));
}

const staleRules: Checks<StaleOptions> = {
  maxAgeMs: checks.ms(1),
  maxEntries: checks.integer(1),
  maxBytes: checks.integer(1),
  maxBodyBytes: checks.integer(0),
  key: checks.orNull(checks.fn('a function of the call')),
};

function reasonOf(error: unknown): string {
  const code = errorCode(error);
  if (code === 'ERR_REJECTED') return (error as RejectedError).by;
  if (code !== undefined) return code.slice('ERR_'.length).toLowerCase().replaceAll('_', '-');
  return error instanceof Error ? error.name : 'error';
}

/** The same, told apart from an answer. */
function marked(reply: Reply, insteadOf: string): Reply {
  const { status, statusText = '', headers, body, endpoint, at } = reply;
  return { status, statusText, headers, body, endpoint, at, insteadOf, onEnd: (listener) => reply.onEnd(listener) };
}

const isStandIn = check('a function, or an object with status, headers and body', (value) => {
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
