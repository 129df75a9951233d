/** @module One request to the API server, and what it says when it refuses. */
import {
  createCall,
  type Handler,
  type HeaderPairs,
  parseRetryAfter,
  type Reply,
  type Runtime,
  readText,
  replyHeader,
  type Scope,
} from '@fairlead/core';
import type { Access } from '../access/access.js';
import { orCanceled } from '../or-canceled.js';

/** The API server did not do what it was asked for. */
export class ApiServerError extends Error {
  override readonly name: string = 'ApiServerError';
  constructor(
    /** HTTP status, or the code of an ERROR event. */
    readonly status: number,
    message: string,
    /** How long it wants to be left alone, in ms, where it said so. */
    readonly retryAfterMs: number | null = null,
  ) {
    super(message);
  }
}

/** What the API server sent makes no sense; parts of it may be lost. */
export class UnreadableError extends Error {
  override readonly name: string = 'UnreadableError';
}

/** What requests need. */
export interface ApiServer {
  readonly access: Access;
  readonly handler: Handler;
  readonly runtime: Runtime;
  /** Ends every request when it is canceled. */
  readonly scope: Scope;
}

/** How long something may take from now on. */
export type Within = (ms: number) => void;

/** An error body is a Status object of a few hundred bytes, or less. */
const maxErrorBytes = 65_536;

/**
 * Sends a GET and lets `read` read the reply.
 * @param what for messages: LIST or WATCH
 * @param headMs time for credentials and for the head of the reply, in ms; the server's own limits are not to be relied
 *   upon, and it sends the head of a watch at once
 * @param read is given a function to say how long the body may take
 * @throws ApiServerError on any status but 200; TimeoutError; whatever the handler, the credentials or `read` throw
 */
export async function ask<T>(
  api: ApiServer,
  what: string,
  path: string,
  headMs: number,
  read: (reply: Reply, within: Within) => Promise<T>,
): Promise<T> {
  const { access, handler, runtime } = api;
  const scope = api.scope.child();
  scope.background = true;
  const within: Within = (ms) => {
    scope.dropTimeout();
    scope.expireAt(runtime.clock.now() + ms, 'attempt', ms);
  };
  try {
    within(headMs);
    const given = access.token(runtime.clock);
    const token = given instanceof Promise ? await orCanceled(given, scope) : given;
    scope.throwIfExpired();
    const headers = headersOf(access, token);
    const call = createCall({
      service: 'kubernetes',
      runtime,
      path: `${access.basePath ?? ''}${path}`,
      headers,
      scope,
    });
    const reply = await handler(call.with({ endpoint: access.server }));
    if (reply.status === 401) access.refused?.(token);
    if (reply.status !== 200) throw await refusal(what, reply, runtime.clock.wall());
    return await read(reply, within);
  } finally {
    scope.close();
  }
}

function headersOf(access: Access, token: string | null): HeaderPairs {
  const authorization = access.authorization?.() ?? (token === null ? null : `Bearer ${token}`);
  return [
    ...['accept', 'application/json'],
    ...(authorization === null ? [] : ['authorization', authorization]),
    ...(access.headers ?? []),
  ];
}

async function refusal(what: string, reply: Reply, wallMs: number): Promise<ApiServerError> {
  const text = await readText(reply, maxErrorBytes).catch(() => '');
  const retryAfterMs = parseRetryAfter(replyHeader(reply, 'retry-after'), wallMs);
  return new ApiServerError(reply.status, `${what} of EndpointSlices: ${reply.status} ${explain(text)}`, retryAfterMs);
}

/** The message of a Status object. Not every error body is one, nor JSON: 404, 429 and 503 come as plain text too. */
function explain(text: string): string {
  try {
    const { message } = JSON.parse(text) as { message?: unknown };
    if (typeof message === 'string') return message;
  } catch {
    // Plain text, then.
  }
  return text.trim().slice(0, 300);
}
