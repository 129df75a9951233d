/** @module The watches of a resolver that are on, to be asked to look again. */
import type { Resolver, Scope } from '@fairlead/core';

/** @internal A watch that can ask its source now instead of when it is time. */
export interface Watch {
  /** Asks soon, unless it does at present, or its source fails and is tried again at a pace of its own. */
  refresh(): void;
}

/** @internal */
export class Watches {
  readonly #all: Set<Watch> = new Set();

  /** Keeps `watch` until `scope` ends. */
  add<W extends Watch>(watch: W, scope: Scope): W {
    if (scope.canceled) return watch;
    this.#all.add(watch);
    scope.watch({ onCancel: () => void this.#all.delete(watch) });
    return watch;
  }

  /** Whoever is told of an answer may end watches, and begin others. */
  refresh(): void {
    for (const watch of [...this.#all]) watch.refresh();
  }
}

/** @internal The `refresh` of a resolver made of others; nothing if none of them has one. */
export function refreshOf(resolvers: readonly Resolver[]): Pick<Resolver, 'refresh'> {
  const able = resolvers.filter(({ refresh }) => refresh !== undefined);
  if (able.length === 0) return {};
  return {
    refresh() {
      for (const resolver of able) resolver.refresh?.();
    },
  };
}
