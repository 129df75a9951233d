/** @module Waiting, as a promise or a callback, on whatever clock a call brings. */
import type { Clock } from './clock.js';
import type { Scope, ScopeWatcher } from './scope.js';
import { Timer } from './timer.js';

class Sleep extends Timer implements ScopeWatcher {
  constructor(
    readonly clock: Clock,
    readonly scope: Scope | null,
    readonly resolve: () => void,
    readonly reject: (reason: unknown) => void,
  ) {
    super();
  }
  fire(): void {
    this.scope?.unwatch(this);
    this.resolve();
  }
  onCancel(reason: unknown): void {
    this.clock.disarm(this);
    this.reject(reason);
  }
}

/**
 * Waits `ms` milliseconds.
 * @throws the reason of `scope` as soon as it is canceled.
 */
export function sleep(clock: Clock, ms: number, scope: Scope | null = null): Promise<void> {
  if (scope?.canceled) return Promise.reject(scope.reason);
  return new Promise((resolve, reject) => {
    const timer = new Sleep(clock, scope, resolve, reject);
    scope?.watch(timer);
    clock.arm(timer, clock.now() + ms);
  });
}

class Later extends Timer {
  constructor(readonly run: () => void) {
    super();
  }
  fire(): void {
    this.run();
  }
}

/**
 * Calls `run` after `ms` milliseconds; the timer can be disarmed on the clock. A `background` timer does not keep the
 * process alive.
 */
export function later(clock: Clock, ms: number, run: () => void, background = false): Timer {
  const timer = new Later(run);
  timer.background = background;
  clock.arm(timer, clock.now() + ms);
  return timer;
}
