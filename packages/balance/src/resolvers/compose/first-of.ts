/** @module The first of several resolvers that answers. */
import type { Resolver, ResolverUpdate, Runtime, Scope } from '@fairlead/core';
import { refreshOf } from '../watches.js';
import { errorOf, Follower, type FollowerListener } from './follow.js';
import { resolverList } from './resolver-list.js';

/**
 * A resolver that tells what the first of `resolvers` tells that has ever answered: several ways to the same endpoints,
 * the best one first. All are asked at once. As soon as one has answered, those after it are let go for good; one before
 * it takes over when it answers.
 *
 * "Nobody" is an answer. An error is none: it is told once all have failed, or if one fails that is not after the one
 * whose answer holds, and takes nothing away.
 * @throws ConfigError if there is none, or something is no resolver
 */
export function firstOf(...resolvers: readonly Resolver[]): Resolver {
  const list = resolverList('firstOf', resolvers);
  return {
    ...refreshOf(list),
    name: `first of ${list.map(({ name }) => name).join(', ')}`,
    watch(tell, scope, runtime) {
      new First(list, tell, scope).start(runtime);
    },
  };
}

class First implements FollowerListener {
  /** Those that may still answer, in their order. */
  #followers: readonly Follower[];
  readonly #tell: (update: ResolverUpdate) => void;
  readonly #scope: Scope;

  constructor(resolvers: readonly Resolver[], tell: (update: ResolverUpdate) => void, scope: Scope) {
    this.#tell = tell;
    this.#scope = scope;
    this.#followers = resolvers.map((resolver, place) => new Follower(resolver, place, scope, this));
  }

  start(runtime: Runtime): void {
    // One that answers at once leaves nothing to be asked of those after it.
    for (const follower of this.#followers) if (this.#followers.includes(follower)) follower.start(runtime);
  }

  changed(follower: Follower): void {
    if (this.#scope.canceled || !this.#followers.includes(follower)) return;
    if (follower.error !== null) this.#failed(follower);
    else if (follower.endpoints !== null) {
      const rest = this.#followers.slice(this.#followers.indexOf(follower) + 1);
      this.#followers = this.#followers.slice(0, this.#followers.length - rest.length);
      for (const each of rest) each.end();
      this.#tell({ endpoints: follower.endpoints });
    }
  }

  #failed(follower: Follower): void {
    const known = this.#followers.some(({ endpoints }) => endpoints !== null);
    if (known) this.#tell({ error: follower.error as Error });
    else if (this.#followers.every(({ error }) => error !== null)) this.#tell({ error: errorOf(this.#followers) });
  }
}
