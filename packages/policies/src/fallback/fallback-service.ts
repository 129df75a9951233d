/** @module Another service in the place of the one that did not answer. */
import {
  type Call,
  canSend,
  checks,
  errorCode,
  type FairleadError,
  type Handler,
  type Reply,
  resolveOptions,
  Scope,
  Tried,
} from '@fairlead/core';

/**
 * Makes a stand-in. Null if there is none: the call then fails with its error, or keeps its answer.
 * @param error what went wrong, or null if `status` did
 * @param status the status that is replaced, or null if there was no reply
 */
export type FallbackFunction = (
  call: Call,
  error: unknown,
  status: number | null,
) => Reply | null | Promise<Reply | null>;

/** Options of {@link toService}. */
export interface ToServiceOptions {
  /** The name of the other service, for its stack and for events. Default: that of the call. */
  readonly service: string | null;
  /** How long it may take, with its body, in ms. Default 5 000. */
  readonly timeoutMs: number;
}

/** The defaults of {@link toService}. */
export const toServiceDefaults: Readonly<ToServiceOptions> = Object.freeze({ service: null, timeoutMs: 5_000 });

/** What {@link toService} has made. */
const services: WeakSet<object> = new WeakSet();

/** Whether `to` was made by {@link toService}. */
export function isService(to: unknown): boolean {
  return typeof to === 'function' && services.has(to);
}

/**
 * Makes a fallback to another service: `fallback({ to: toService(handler) })`, where `handler` is the stack of that service.
 * It gets the call as if it were the first, with what is left of its time, at most `timeoutMs`. If it was the time of the
 * call that ran out, it has `timeoutMs` more, in which nobody can cancel it.
 *
 * What must not be sent twice is not: a call that is not idempotent goes there only if it is certain that it was not sent, and
 * a body that can be read once only if nobody has begun to. Otherwise the call fails with its error, or its answer stays.
 * @throws ConfigError if an option is wrong
 */
export function toService(handler: Handler, options?: Partial<ToServiceOptions>): FallbackFunction {
  const { service, timeoutMs } = resolveOptions<ToServiceOptions>('toService', options, toServiceDefaults, {
    service: checks.orNull(checks.text()),
    timeoutMs: checks.ms(1),
  });
  const send: FallbackFunction = (call, error) => {
    const provablyUnsent = (error as Partial<FairleadError> | null)?.sent === 'no';
    if (!canSend(call.body) || !(call.idempotent || provablyUnsent) || isUnwanted(call)) return null;
    return ask(handler, call, service ?? call.service, timeoutMs);
  };
  services.add(send);
  return send;
}

/** Whether the caller has gone; a call that is late is still wanted. */
function isUnwanted({ scope }: Call): boolean {
  return scope.canceled && errorCode(scope.reason) !== 'ERR_TIMEOUT';
}

async function ask(handler: Handler, call: Call, service: string, timeoutMs: number): Promise<Reply> {
  const at = call.runtime.clock.now();
  // A scope whose time is over has no children any more.
  const scope = call.scope.expired(at) ? new Scope(call.runtime.clock) : call.scope.child();
  scope.expireAt(at + timeoutMs, 'call', timeoutMs, service);
  try {
    const reply = await handler(call.with({ service, scope, at, attempt: 1, endpoint: null, tried: new Tried() }));
    reply.onEnd(scope);
    return reply;
  } catch (error) {
    scope.close();
    throw error;
  }
}
