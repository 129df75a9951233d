/** @module Where a redirect leads and what is sent there: the Fetch standard's HTTP-redirect fetch. */
import { type HeaderPairs, isOnce, type Reply, type RequestBody, replyHeader } from '@fairlead/core';

/** What a request consists of, apart from where it goes. */
export interface Draft {
  readonly method: string;
  readonly headers: HeaderPairs;
  readonly body: RequestBody;
}

/** As many as fetch follows. */
export const maxRedirects = 20;

/** Whether a reply with `status` may point elsewhere. */
export function isRedirect(status: number): boolean {
  return status === 301 || status === 302 || status === 303 || status === 307 || status === 308;
}

/** The `location` of a reply that has one. Headers come as Latin-1, and what is beyond ASCII in them is UTF-8 in practice. */
export function locationOf(reply: Reply): string {
  return Buffer.from(replyHeader(reply, 'location') as string, 'latin1').toString();
}

const aboutBody: ReadonlySet<string> = new Set([
  'content-encoding',
  'content-language',
  'content-length',
  'content-location',
  'content-type',
]);
const aboutCaller: ReadonlySet<string> = new Set(['authorization', 'cookie', 'host', 'proxy-authorization']);

/**
 * The request that follows a redirect. A POST that was answered by 301 or 302, and anything but GET and HEAD by 303,
 * becomes a GET without body. What identifies the caller does not leave its origin.
 * @throws Error if the body would have to be sent again and cannot be
 */
export function redirectedDraft(draft: Draft, status: number, sameOrigin: boolean): Draft {
  const { method, body } = draft;
  const toGet =
    ((status === 301 || status === 302) && method === 'POST') ||
    (status === 303 && method !== 'GET' && method !== 'HEAD');
  if (status !== 303 && body !== null && isOnce(body)) {
    throw new Error('the request was redirected, and its body can be read only once');
  }
  const drop = (name: string): boolean => (toGet && aboutBody.has(name)) || (!sameOrigin && aboutCaller.has(name));
  const headers: string[] = [];
  for (let i = 0; i < draft.headers.length; i += 2) {
    const name = draft.headers[i] as string;
    if (!drop(name)) headers.push(name, draft.headers[i + 1] as string);
  }
  return { method: toGet ? 'GET' : method, headers, body: toGet ? null : body };
}
