/** @module A source that tells its watchers at once whatever a test sets, and a resolver that hands it on. */
import { createEndpoint, type Endpoint, type Resolver, type ResolverUpdate, type Scope } from '@fairlead/core';
import type { ResolverSource } from '@fairlead/testing';

export class PushedSource implements ResolverSource {
  readonly resolver: Resolver;
  /** How often it was watched. */
  watched = 0;
  readonly #watches = new Map<Scope, (update: ResolverUpdate) => void>();
  #state: ResolverUpdate | null = null;

  constructor(name = 'pushed://payments') {
    this.resolver = {
      name,
      watch: (tell, scope) => {
        this.watched++;
        if (scope.canceled) return;
        this.#watches.set(scope, tell);
        scope.watch({ onCancel: () => void this.#watches.delete(scope) });
        if (this.#state !== null) tell(this.#state);
      },
    };
  }

  /** Watchers that have not ended. */
  held(): number {
    return this.#watches.size;
  }
  show(origins: readonly string[]): void {
    this.tell({ endpoints: origins.map((origin) => createEndpoint(origin)) });
  }
  endpoints(...endpoints: readonly Endpoint[]): void {
    this.tell({ endpoints });
  }
  fail(message = 'down'): void {
    this.tell({ error: new Error(message) });
  }
  garble(): void {
    this.fail('nonsense');
  }
  hang(): void {
    this.#state = null;
  }
  tell(update: ResolverUpdate): void {
    this.#state = update;
    for (const [scope, tell] of [...this.#watches]) if (!scope.canceled) tell(update);
  }
}
