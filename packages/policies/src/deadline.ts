/** @module How long a whole call may take, with all its attempts and waits. */
import { type Call, checks, type Handler, type Middleware, named, type Reply, resolveOptions } from '@fairlead/core';

/** Options of {@link deadline}. */
export interface DeadlineOptions {
  /** From the start of the call to the end of its body, in ms. Default 30 000. */
  readonly ms: number;
}

/** The defaults of {@link deadline}. */
export const deadlineDefaults: Readonly<DeadlineOptions> = Object.freeze({ ms: 30_000 });

/**
 * Makes a layer that cancels the call with a `TimeoutError` of `call` if it is not over in time, its body included. An
 * earlier deadline, such as one inherited from an inbound request, stays in force; a call whose time is already up is
 * refused without being sent.
 *
 * The timeout is set on the scope that the call came with, which therefore must belong to this call alone; whoever made
 * the scope closes it when the call is over.
 * @throws ConfigError if an option is wrong
 */
export function deadline(options?: Partial<DeadlineOptions>): Middleware {
  const { ms } = resolveOptions<DeadlineOptions>('deadline', options, deadlineDefaults, { ms: checks.ms(1) });
  return named('deadline', (call: Call, next: Handler): Promise<Reply> => {
    const { scope, at, service } = call;
    scope.expireAt(at + ms, 'call', ms, service);
    return scope.expired(at) ? refuse(call) : next(call);
  });
}

/** The reason as a rejection; an expired scope whose timer could not fire yet is canceled by asking. */
async function refuse(call: Call): Promise<never> {
  call.scope.throwIfExpired(call.at);
  throw call.scope.reason;
}
