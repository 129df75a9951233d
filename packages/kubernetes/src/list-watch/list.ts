/** @module LIST: everything there is, page by page. */
import { type Reply, readText } from '@fairlead/core';
import type { SliceObject } from '../slices/slice.js';
import { type ApiServer, ask, UnreadableError } from './request.js';

interface ListObject {
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

/**
 * Reads every page of a consistent list (no `resourceVersion`: the server's latest). Each object goes to `each`; they
 * belong together only once the last page is there.
 * @param path with a query, to be added to
 * @returns the resourceVersion of the list, to watch from
 * @throws ApiServerError, with status 410 if the list has expired between two pages and has to be begun anew;
 *   UnreadableError; whatever {@link ask} throws
 */
export async function list(
  api: ApiServer,
  path: string,
  options: ListOptions,
  each: (object: SliceObject) => void,
): Promise<string> {
  const first = `${path}&limit=${options.pageSize}`;
  for (let url = first; ; ) {
    const page = await ask(api, 'LIST', url, options.requestTimeoutMs, readPage);
    for (const object of page.items) each(object);
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
  const { metadata, items } = parse(await readText(reply, maxPageBytes));
  const version = metadata?.resourceVersion;
  if (typeof version !== 'string' || version === '' || (items != null && !Array.isArray(items))) {
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
