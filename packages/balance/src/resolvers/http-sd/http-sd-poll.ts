/** @module One question to a server of target groups, and what it says when it does not answer it. */
import { readFile } from 'node:fs/promises';
import {
  createCall,
  discard,
  type Endpoint,
  type Handler,
  parseRetryAfter,
  type Reply,
  type Runtime,
  readBytes,
  readText,
  replyHeader,
  type Scope,
} from '@fairlead/core';

/** The server did not do what it was asked for. */
export class HttpSdError extends Error {
  override readonly name: string = 'HttpSdError';
  constructor(
    /** HTTP status. */
    readonly status: number,
    message: string,
    /** How long it wants to be left alone, in ms, where it said so. */
    readonly retryAfterMs: number | null = null,
  ) {
    super(message);
  }
}

/** @internal Whom to ask for what. */
export interface HttpSdQuestion {
  readonly server: Endpoint;
  readonly path: string;
  readonly handler: Handler;
  readonly refreshMs: number;
  readonly timeoutMs: number;
  readonly maxBytes: number;
  readonly authorization: string | null;
  readonly authorizationFile: string | null;
}

/** @internal A document, and the tag by which the server knows this state of it again. */
export interface HttpSdAnswer {
  readonly bytes: Uint8Array;
  readonly tag: string | null;
}

/** An error page is for reading. */
const maxErrorBytes = 65_536;

/**
 * @internal Asks once.
 * @param tag of the document that is known; null for none
 * @param parent ends the question when it is canceled
 * @returns null if the document is the one that is known
 * @throws HttpSdError; TimeoutError; RangeError if the answer is too long; whatever the handler throws
 */
export async function poll(
  question: HttpSdQuestion,
  tag: string | null,
  parent: Scope,
  runtime: Runtime,
): Promise<HttpSdAnswer | null> {
  const { handler, path, server, timeoutMs, maxBytes } = question;
  const scope = parent.child();
  scope.background = true;
  // Until the end of the body: a server that sends a byte now and then is as good as one that is down.
  scope.expireAt(runtime.clock.now() + timeoutMs, 'attempt', timeoutMs, 'http_sd');
  try {
    const headers = await headersOf(question, tag);
    scope.throwIfExpired();
    const call = createCall({ service: 'http_sd', runtime, path, headers, scope });
    const reply = await handler(call.with({ endpoint: server }));
    if (reply.status === 304 && tag !== null) {
      discard(reply);
      return null;
    }
    if (reply.status !== 200) throw await refusal(reply, runtime.clock.wall());
    const type = replyHeader(reply, 'content-type') ?? '';
    // A page of HTML with status 200 is what a portal or a wrong path answers with.
    if (!/^application\/json\s*(?:;|$)/i.test(type)) {
      discard(reply);
      throw new HttpSdError(200, `the content type of the answer is ${type || 'missing'}, not application/json`);
    }
    return { bytes: await readBytes(reply, maxBytes), tag: replyHeader(reply, 'etag') ?? null };
  } finally {
    scope.close();
  }
}

async function headersOf(question: HttpSdQuestion, tag: string | null): Promise<readonly string[]> {
  const { authorization, authorizationFile, refreshMs } = question;
  const headers = ['accept', 'application/json', 'x-prometheus-refresh-interval-seconds', String(refreshMs / 1_000)];
  if (tag !== null) headers.push('if-none-match', tag);
  const secret = authorizationFile === null ? authorization : await secretIn(authorizationFile);
  if (secret !== null) headers.push('authorization', secret);
  return headers;
}

/** Read for every question, since tokens expire. It is a secret: no message shows it. */
async function secretIn(path: string): Promise<string> {
  const text = (await readFile(path, 'utf8')).trim();
  if (!isAuthorization(text)) throw new Error(`there is nothing in ${path} that can be an Authorization header`);
  return text;
}

/** @internal Whether `text` can stand in an Authorization header. */
export function isAuthorization(text: string): boolean {
  return /^[\x21-\x7e]+(?: [\x20-\x7e]*)?$/.test(text);
}

async function refusal(reply: Reply, wallMs: number): Promise<HttpSdError> {
  const { status } = reply;
  const location = replyHeader(reply, 'location');
  if (status >= 300 && status < 400) {
    discard(reply);
    const to = location === undefined ? '' : ` to ${location.slice(0, 200)}`;
    return new HttpSdError(status, `the answer is ${status}, a redirect${to}, which is not followed`);
  }
  const said = (await readText(reply, maxErrorBytes).catch(() => '')).trim().slice(0, 300);
  const retryAfterMs = parseRetryAfter(replyHeader(reply, 'retry-after'), wallMs);
  return new HttpSdError(status, `the answer is ${status}${said && `: ${said}`}`, retryAfterMs);
}
