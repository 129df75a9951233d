/** @module The endpoints of a Service at one of its ports, and everybody who wants to know of them. */
import type { Endpoint, ResolverUpdate } from '@fairlead/core';
import { UnreadableError } from '../list-watch/request.js';
import { Census } from './census.js';
import type { Family } from './member.js';
import { merge, otherPorts } from './merge.js';
import type { SliceObject } from './objects.js';
import { readSlice, type Slice, sameSlice } from './slice.js';

/** Who wants to know; also of how many slices there are, whoever is in them. */
export type Tell = (update: ResolverUpdate, slices: number) => void;

/** Nobody, for certain, since there is no slice at all. */
export class NoSlicesError extends Error {
  override readonly name: string = 'NoSlicesError';
  constructor(more = '; or it is an ExternalName, which ?externalName=dns or dns:// is for') {
    super(
      `there are no EndpointSlices of this Service: it does not exist there, or nobody has ever been behind it${more}`,
    );
  }
}

/** What the slices of a Service say about one port. */
export class PortView {
  readonly listeners: Set<Tell> = new Set();
  readonly #port: string | number | null;
  readonly #prefer: Family;
  #slices: Map<string, Slice> = new Map();
  #census: Census = new Census();
  /** What will replace them once it is complete; null while nothing is being collected. */
  #incoming: Map<string, Slice> | null = null;
  /** What was told last; null before anything was known. */
  #endpoints: readonly Endpoint[] | null = null;
  /** Why nobody is there, where that is certain and looks like a mistake. */
  #doubt: Error | null = null;
  /** Why the source does not answer at present. */
  #trouble: Error | null = null;
  /** Slices have changed since they were last told. */
  #changed = false;

  constructor(port: string | number | null, prefer: Family) {
    this.#port = port;
    this.#prefer = prefer;
  }

  /** Tells somebody what is known, now and from now on. */
  add(tell: Tell): void {
    this.listeners.add(tell);
    if (this.#endpoints !== null) this.#say([tell]);
    if (this.#trouble !== null && this.listeners.has(tell)) tell({ error: this.#trouble }, this.#slices.size);
  }

  begin(): void {
    // Kept apart until it is complete: what is known holds as long as nothing better is.
    this.#incoming = new Map();
  }

  put(object: SliceObject): void {
    const into = this.#incoming ?? this.#slices;
    const name = object?.metadata?.name ?? '';
    const before = into.get(name) ?? this.#slices.get(name);
    const slice = readSlice(object, this.#port, before);
    into.set(slice.name, slice);
    if (into !== this.#slices || (before !== undefined && sameSlice(before, slice))) return;
    this.#census.replace(before ?? null, slice);
    this.#changed = true;
  }

  removed(object: SliceObject): void {
    const name = object?.metadata?.name;
    if (typeof name !== 'string') throw new UnreadableError('a slice without a name was deleted');
    if (this.#incoming !== null) {
      this.#incoming.delete(name);
      return;
    }
    const slice = this.#slices.get(name);
    if (slice === undefined) return;
    this.#slices.delete(name);
    this.#census.replace(slice, null);
    this.#changed = true;
  }

  commit(): void {
    // Added after the beginning, by somebody who was just told: there is more to come.
    if (this.#incoming === null) return;
    this.#slices = this.#incoming;
    this.#incoming = null;
    this.#census = new Census();
    for (const slice of this.#slices.values()) this.#census.replace(null, slice);
    this.#publish();
  }

  flush(): void {
    if (this.#changed) this.#publish();
  }

  /** Tells it once more: whoever asks how old it is should know that it is true still. */
  confirmed(): void {
    this.#incoming = null;
    this.#trouble = null;
    if (this.#endpoints !== null) this.#say(this.listeners);
  }

  failed(error: Error): void {
    this.#incoming = null;
    this.#trouble = error;
    for (const tell of this.listeners) tell({ error }, this.#slices.size);
  }

  #publish(): void {
    this.#changed = false;
    this.#trouble = null;
    this.#endpoints = merge(this.#slices.values(), this.#prefer, this.#census);
    this.#doubt = this.#endpoints.length > 0 ? null : this.#doubtful();
    this.#say(this.listeners);
  }

  /** Nobody, and that is certain; but a misspelt name or port should not look like a Service that is scaled to zero. */
  #doubtful(): Error | null {
    if (this.#slices.size === 0) return new NoSlicesError();
    const ports = otherPorts(this.#slices.values());
    if (ports === null) return null;
    const wanted = this.#port === null ? 'that would be the only one' : this.#port;
    return new Error(
      `the Service has no TCP port ${wanted} in its EndpointSlices; there are: ${ports.join(', ') || 'none'}`,
    );
  }

  #say(to: Iterable<Tell>): void {
    const endpoints = this.#endpoints ?? [];
    const error = this.#doubt;
    for (const tell of to) {
      tell({ endpoints }, this.#slices.size);
      // It may have had enough.
      if (error !== null && this.listeners.has(tell)) tell({ error }, this.#slices.size);
    }
  }
}
