/**
 * @module A Service that may be an ExternalName: without slices, it is the name that the cluster's DNS has for it. One of the
 * two answers at a time, and never a mixture: whoever says that there are no slices hands over to DNS, and the first slice
 * takes back.
 */
import { readFileSync } from 'node:fs';
import type { Resolver, ResolverUpdate, Runtime, Scope } from '@fairlead/core';
import { NoSlicesError, type Tell } from './slices/port-view.js';

/** Where the names of a cluster end, in the `search` list that its pods are given. */
const servicesOf = /^search\s(?:.*\s)?svc\.(\S+?)\.?(?:\s|$)/m;

/**
 * The domain of the cluster that this process runs in, as its pods are told; `cluster.local` where nobody says.
 * @param path of the file; default `/etc/resolv.conf`
 */
export function clusterDomain(path = '/etc/resolv.conf'): string {
  try {
    return servicesOf.exec(readFileSync(path, 'utf8'))?.[1] ?? 'cluster.local';
  } catch {
    return 'cluster.local';
  }
}

/** Hears of slices first, and asks DNS while it is certain that there are none. */
export class ExternalName {
  readonly #byName: Resolver;
  readonly #tell: (update: ResolverUpdate) => void;
  readonly #scope: Scope;
  readonly #runtime: Runtime;
  /** The watch of the name; null while slices answer. */
  #names: Scope | null = null;

  constructor(byName: Resolver, tell: (update: ResolverUpdate) => void, scope: Scope, runtime: Runtime) {
    this.#byName = byName;
    this.#tell = tell;
    this.#scope = scope;
    this.#runtime = runtime;
  }

  /** For the watch of the slices. */
  readonly hear: Tell = (update, slices) => {
    if (this.#scope.canceled) return;
    if ('error' in update) {
      // That there are no slices is what DNS is asked for.
      if (!(update.error instanceof NoSlicesError)) this.#tell(update);
    } else if (slices === 0) this.#ask();
    else {
      this.#names?.cancel();
      this.#names = null;
      this.#tell(update);
    }
  };

  #ask(): void {
    if (this.#names !== null) return;
    const names = this.#scope.child();
    this.#names = names;
    this.#byName.watch((update) => this.#named(update), names, this.#runtime);
  }

  #named(update: ResolverUpdate): void {
    this.#tell(update);
    if ('error' in update || update.endpoints.length > 0 || this.#scope.canceled) return;
    this.#tell({ error: new NoSlicesError(`, and DNS knows nobody by the name ${this.#byName.name}`) });
  }
}
