/** @module LIST: everything there is, page by page. */
import { type Reply, readText } from '@fairlead/core';
import type { SliceObject } from '../slices/objects.js';
import { type ApiServer, ApiServerError, ask, UnreadableError } from './request.js';

interface ListObject {
  readonly kind?: unknown;
  readonly metadata?: { readonly resourceVersion?: unknown; readonly continue?: unknown } | null;
  readonly items?: unknown;
}

/** Bytes of a page at most: far beyond 500 slices of 100 endpoints, and still bounded. */
const maxPageBytes = 67_108_864;

/** How {@link list} asks. */
export interface ListOptions {
  /** Objects in a page. */
  readonly pageSize: number;
  /** Time for a page, in ms. */
  readonly requestTimeoutMs: number;
}

/** Who is told what a list holds. */
export interface ListListener {
  /** Everything that was put before is to be forgotten: the list begins, perhaps anew. */
  begin(): void;
  put(object: SliceObject): void;
}

/**
 * Reads every page of a consistent list (no `resourceVersion`: the server's latest). What is put belongs together only
 * once this has resolved. A list that expires between two pages (410) is begun anew, in one page.
 * @param path with a query, to be added to
 * @returns the resourceVersion of the list, to watch from; it may be lower than one before, since stores are restored
 *   from backups
 * @throws ApiServerError, UnreadableError, whatever {@link ask} throws
 */
export async function list(
  api: ApiServer,
  path: string,
  options: ListOptions,
  listener: ListListener,
): Promise<string> {
  const first = `${path}&limit=${options.pageSize}`;
  listener.begin();
  for (let url = first; ; ) {
    let page: Page;
    try {
      page = await ask(api, 'LIST', url, options.requestTimeoutMs, readPage);
    } catch (error) {
      if (url === first || url === path || !(error instanceof ApiServerError && error.status === 410)) throw error;
      // The server offers to go on from here, inconsistently. Rather the whole of it at once: that cannot expire.
      listener.begin();
      url = path;
      continue;
    }
    for (const object of page.items) listener.put(object);
    if (page.next === null) return page.version;
    url = `${first}&continue=${encodeURIComponent(page.next)}`;
  }
}

interface Page {
  readonly items: readonly SliceObject[];
  readonly version: string;
  readonly next: string | null;
}

async function readPage(reply: Reply): Promise<Page> {
  const { kind = 'EndpointSliceList', metadata, items } = parse(await readText(reply, maxPageBytes));
  const version = metadata?.resourceVersion;
  // A Table, a single slice or bare metadata have a version too, and no items: that would be read as nobody.
  const ours = kind === 'EndpointSliceList' && (items == null || Array.isArray(items));
  if (typeof version !== 'string' || version === '' || !ours) {
    throw new UnreadableError('what the API server sent is no list of EndpointSlices');
  }
  const next = metadata?.continue;
  return { items: items ?? [], version, next: typeof next === 'string' && next !== '' ? next : null };
}

function parse(text: string): ListObject {
  try {
    return (JSON.parse(text) ?? {}) as ListObject;
  } catch (cause) {
    throw new UnreadableError('the list that the API server sent is no JSON', { cause });
  }
}
