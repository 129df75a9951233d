/** @module How long a whole call may take, with all its attempts and waits. */
import {
  type Call,
  checks,
  type Handler,
  type Middleware,
  named,
  type Reply,
  relay,
  resolveOptions,
} from '@fairlead/core';
import { isMode, type PolicyMode } from '../policy-mode.js';
import { alarmed, tellShadow } from './late-alarm.js';

/** Options of {@link deadline}. */
export interface DeadlineOptions {
  /** Default `on`. In `shadow` no call is ended or refused, and `policy.shadowed` is told for those that would have been. */
  readonly mode: PolicyMode;
  /** From the start of the call to the end of its body, in ms. Default 30 000. */
  readonly ms: number;
}

/** The defaults of {@link deadline}. */
export const deadlineDefaults: Readonly<DeadlineOptions> = Object.freeze({ mode: 'on', ms: 30_000 });

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
  const { mode, ms } = resolveOptions<DeadlineOptions>('deadline', options, deadlineDefaults, {
    mode: isMode,
    ms: checks.ms(1),
  });
  if (mode === 'off') return relay('deadline', (call, next, receiver) => next(call, receiver));
  if (mode === 'shadow') return named('deadline', (call, next) => shadow(call, next, ms));
  return relay('deadline', (call, next, receiver) => {
    const { scope, at, service } = call;
    scope.expireAt(at + ms, 'call', ms, service);
    if (scope.expired(at)) receiver.onError(scope.expiry(at));
    else next(call, receiver);
  });
}

function shadow(call: Call, next: Handler, ms: number): Promise<Reply> {
  const { scope, at } = call;
  if (scope.expired(at)) tellShadow(call, 'deadline', 'refuse');
  // An earlier deadline is not ours, and ends the call whatever we do.
  return at + ms < scope.deadlineAt ? alarmed(call, next, 'deadline', at + ms, 'end') : next(call);
}
