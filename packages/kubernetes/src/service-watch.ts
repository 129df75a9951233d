/** @module One Service, watched once however many want to know of it, and at whichever of its ports. */
import { Scope } from '@fairlead/core';
import { ListWatch, type ListWatchOptions, type SliceListener } from './list-watch/list-watch.js';
import type { ApiServer } from './list-watch/request.js';
import type { ServerState } from './list-watch/server-state.js';
import type { Family } from './slices/member.js';
import type { SliceObject } from './slices/objects.js';
import { PortView, type Tell } from './slices/port-view.js';

/** What the watches of an API server have in common. */
export interface WatchSettings extends ListWatchOptions {
  readonly family: Family;
}

/** Watches while anybody listens. */
export class ServiceWatch implements SliceListener {
  readonly #views: Map<string | number | null, PortView> = new Map();
  readonly #scope: Scope;
  readonly #settings: WatchSettings;
  readonly #listWatch: ListWatch;
  readonly #onUnused: () => void;

  /**
   * @param path of the list, with a query to be added to
   * @param onUnused told when nobody listens any more, and the watch has ended
   */
  constructor(
    api: Omit<ApiServer, 'scope'>,
    server: ServerState,
    path: string,
    settings: WatchSettings,
    onUnused: () => void,
  ) {
    this.#scope = new Scope(api.runtime.clock);
    this.#settings = settings;
    this.#listWatch = new ListWatch({ ...api, scope: this.#scope }, server, path, settings, this);
    this.#onUnused = onUnused;
  }

  /** Tells what is known of a port, and every change, until `scope` is canceled. */
  listen(port: string | number | null, tell: Tell, scope: Scope): void {
    const first = this.#views.size === 0;
    let view = this.#views.get(port);
    const known = view !== undefined;
    view ??= new PortView(port, this.#settings.family);
    this.#views.set(port, view);
    // Not the function itself: the same one may listen twice.
    const own: Tell = (update, slices) => tell(update, slices);
    scope.watch({ onCancel: () => this.#leave(port, own) });
    view.add(own);
    if (first) this.#listWatch.start();
    // What is kept of slices is what the other ports need. To ask once more is rarer than to keep everything is dear.
    else if (!known) this.#listWatch.renew();
  }

  /** Asks whether what is known is true still. */
  refresh(): void {
    this.#listWatch.refresh();
  }

  #leave(port: string | number | null, tell: Tell): void {
    const view = this.#views.get(port);
    view?.listeners.delete(tell);
    if (view?.listeners.size === 0) this.#views.delete(port);
    if (this.#views.size > 0 || this.#scope.canceled) return;
    this.#scope.cancel();
    this.#onUnused();
  }

  begin(): void {
    for (const view of this.#views.values()) view.begin();
  }

  put(object: SliceObject): void {
    for (const view of this.#views.values()) view.put(object);
  }

  removed(object: SliceObject): void {
    for (const view of this.#views.values()) view.removed(object);
  }

  commit(): void {
    for (const view of this.#views.values()) view.commit();
  }

  flush(): void {
    for (const view of this.#views.values()) view.flush();
  }

  confirmed(): void {
    for (const view of this.#views.values()) view.confirmed();
  }

  failed(error: Error): void {
    for (const view of this.#views.values()) view.failed(error);
  }
}
