/** @module Waiting for somebody who may never answer. */
import type { Scope } from '@fairlead/core';

/**
 * What `promise` gives, unless `scope` is canceled before: credentials may come from a program that never ends, and nobody
 * waits for them longer than for anything else.
 */
export function orCanceled<T>(promise: Promise<T>, scope: Scope): Promise<T> {
  return new Promise((resolve, reject) => {
    const watcher = { onCancel: reject };
    scope.watch(watcher);
    promise.then(resolve, reject).finally(() => scope.unwatch(watcher));
  });
}
