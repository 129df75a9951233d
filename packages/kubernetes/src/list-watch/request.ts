/** @module One request to the API server, and what it says when it refuses. */
import {
  createCall,
  type Handler,
  parseRetryAfter,
  type Reply,
  type Runtime,
  readText,
  replyHeader,
  type Scope,
} from '@fairlead/core';
import type { Access } from '../access/access.js';

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

const accept: readonly string[] = Object.freeze(['accept', 'application/json']);

/** An error body is a Status object of a few hundred bytes, or less. */
const maxErrorBytes = 65_536;

/**
 * Sends a GET and lets `read` read the reply.
 * @param what for messages: LIST or WATCH
 * @param withinMs time until the end of the body, in ms; the server's own limits are not to be relied upon
 * @throws ApiServerError on any status but 200; TimeoutError; whatever the handler, the credentials or `read` throw
 */
export async function ask<T>(
  api: ApiServer,
  what: string,
  path: string,
  withinMs: number,
  read: (reply: Reply) => Promise<T>,
): Promise<T> {
  const { access, handler, runtime } = api;
  const scope = api.scope.child();
  scope.background = true;
  scope.expireAt(runtime.clock.now() + withinMs, 'attempt', withinMs);
  try {
    const token = await access.token();
    scope.throwIfExpired();
    const headers = token === null ? accept : [...accept, 'authorization', `Bearer ${token}`];
    const call = createCall({ service: 'kubernetes', runtime, path, headers, scope });
    const reply = await handler(call.with({ endpoint: access.server }));
    if (reply.status !== 200) throw await refusal(what, reply, runtime.clock.wall());
    return await read(reply);
  } finally {
    scope.close();
  }
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
