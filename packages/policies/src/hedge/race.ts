/** @module For layers that do not listen when they are told to stop. */
import { discard, type Middleware, named, type Reply, type Scope, type ScopeWatcher } from '@fairlead/core';

class Race implements ScopeWatcher {
  #over = false;
  constructor(
    readonly scope: Scope,
    readonly resolve: (reply: Reply) => void,
    readonly reject: (error: unknown) => void,
  ) {}

  onCancel(reason: unknown): void {
    this.#over = true;
    this.reject(reason);
  }

  won(reply: Reply): void {
    if (this.#over) discard(reply);
    else {
      this.scope.unwatch(this);
      this.resolve(reply);
    }
  }

  lost(error: unknown): void {
    if (this.#over) return;
    this.scope.unwatch(this);
    this.reject(error);
  }
}

/**
 * Makes a layer that rejects as soon as the call is canceled or out of time, whatever the layers below are doing. A reply
 * that comes later is discarded; a later error is nobody's any more.
 *
 * The layers of this project and its transport hear a cancellation by themselves. Put this right above a layer of your
 * own that awaits something which cannot be interrupted.
 */
export function race(): Middleware {
  return named('race', (call, next) => {
    const { scope } = call;
    if (scope.canceled) return Promise.reject(scope.reason);
    return new Promise((resolve, reject) => {
      const contest = new Race(scope, resolve, reject);
      scope.watch(contest);
      next(call).then(
        (reply) => contest.won(reply),
        (error: unknown) => contest.lost(error),
      );
    });
  });
}
