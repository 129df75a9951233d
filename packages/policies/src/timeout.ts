/** @module How long one attempt may take. */
import { checks, type Middleware, named, type Reply, resolveOptions } from '@fairlead/core';

/** Options of {@link attemptTimeout}. */
export interface AttemptTimeoutOptions {
  /** From the start of the attempt to the head of its reply, in ms. Waiting for a connection counts. Default 10 000. */
  readonly ms: number;
}

/** The defaults of {@link attemptTimeout}. */
export const attemptTimeoutDefaults: Readonly<AttemptTimeoutOptions> = Object.freeze({ ms: 10_000 });

/**
 * Makes a layer that gives every attempt a scope of its own and cancels it with a `TimeoutError` of `attempt` if no head of
 * a reply has arrived in time. The body may then take as long as the call may: the scope stays below that of the call until
 * the request is over, so that a caller who cancels is heard while the body flows.
 *
 * Stands below `retry`, so that each attempt has its own time. If the call has less time left than an attempt, the
 * call's deadline is the one that counts.
 * @throws ConfigError if an option is wrong
 */
export function attemptTimeout(options?: Partial<AttemptTimeoutOptions>): Middleware {
  const { ms } = resolveOptions<AttemptTimeoutOptions>('attemptTimeout', options, attemptTimeoutDefaults, {
    ms: checks.ms(1),
  });
  return named('attemptTimeout', (call, next) => {
    const scope = call.scope.child();
    scope.expireAt(call.at + ms, 'attempt', ms, call.service);
    return next(call.withScope(scope)).then(
      (reply): Reply => {
        scope.dropTimeout();
        reply.onEnd(scope);
        return reply;
      },
      (error: unknown): never => {
        scope.close();
        throw error;
      },
    );
  });
}
