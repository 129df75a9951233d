/** @module One of several resolvers that are watched together: what it told last, and whether it fails. */
import type { Endpoint, Resolver, ResolverUpdate, Runtime, Scope } from '@fairlead/core';

/** @internal What a {@link Follower} tells about itself. */
export interface FollowerListener {
  changed(follower: Follower): void;
}

/** @internal Watches one resolver, as the `place`-th of several. */
export class Follower {
  readonly place: number;
  /** Its latest snapshot; null before the first. */
  endpoints: readonly Endpoint[] | null = null;
  /** Why it fails, if it failed since its latest snapshot. */
  error: Error | null = null;
  readonly #resolver: Resolver;
  readonly #scope: Scope;
  readonly #listener: FollowerListener;

  constructor(resolver: Resolver, place: number, scope: Scope, listener: FollowerListener) {
    this.place = place;
    this.#resolver = resolver;
    // A child, so that it ends with the others, and can be ended alone.
    this.#scope = scope.child();
    this.#listener = listener;
  }

  /** Whether it has told anything. */
  get answered(): boolean {
    return this.endpoints !== null || this.error !== null;
  }

  start(runtime: Runtime): void {
    try {
      this.#resolver.watch((update) => this.#tell(update), this.#scope, runtime);
    } catch (error) {
      // It must not; but one that does should not take the others with it.
      this.#tell({ error: error as Error });
    }
  }

  end(): void {
    this.#scope.cancel();
  }

  #tell(update: ResolverUpdate): void {
    if ('error' in update) this.error = update.error;
    else {
      this.endpoints = update.endpoints;
      this.error = null;
    }
    this.#listener.changed(this);
  }
}

/** @internal One error that says what all of them failed with, in their order. */
export function errorOf(followers: readonly Follower[]): Error {
  const errors = followers.flatMap(({ error }) => (error === null ? [] : [error]));
  const [first] = errors;
  if (errors.length === 1) return first as Error;
  return new AggregateError(errors, errors.map(({ message }) => message).join('; '));
}
