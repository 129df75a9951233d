/** @module One query to Consul, blocking or not, and what it says when it refuses. */
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
import type { ConsulAccess } from './consul-access.js';

/** Consul did not do what it was asked for, or what it said makes no sense. */
export class ConsulError extends Error {
  override readonly name: string = 'ConsulError';
  constructor(
    /** HTTP status; 200 if it is the answer that makes no sense. */
    readonly status: number,
    message: string,
    /** How long it wants to be left alone, in ms, where it said so. */
    readonly retryAfterMs: number | null = null,
  ) {
    super(message);
  }
}

/** @internal What queries need. */
export interface ConsulSource {
  readonly access: ConsulAccess;
  readonly handler: Handler;
  readonly runtime: Runtime;
  /** Ends every query when it is canceled. */
  readonly scope: Scope;
}

/** @internal What Consul said. */
export interface ConsulAnswer {
  /** The instances, as they came. */
  readonly entries: readonly unknown[];
  /** The state that this is, to wait for changes of; null where the source cannot be waited for. */
  readonly index: number | null;
  /** Why this is no answer that anything may be taken away by, although it came as one; else null. */
  readonly doubt: string | null;
}

/** Bytes of an answer at most: far beyond ten thousand instances, and still bounded. */
const maxAnswerBytes = 33_554_432;
const maxErrorBytes = 65_536;

/**
 * @internal Asks `path`.
 * @param withinMs time until the end of the answer, in ms; Consul's own limits are not to be relied upon
 * @throws ConsulError; TimeoutError; whatever the handler or the token throws
 */
export async function query(source: ConsulSource, path: string, withinMs: number): Promise<ConsulAnswer> {
  const { access, handler, runtime } = source;
  const scope = source.scope.child();
  scope.background = true;
  scope.expireAt(runtime.clock.now() + withinMs, 'attempt', withinMs);
  try {
    const token = await access.token();
    scope.throwIfExpired();
    const headers = ['accept', 'application/json'];
    if (token !== null) headers.push('x-consul-token', token);
    if (access.authorization) headers.push('authorization', access.authorization);
    const call = createCall({ service: 'consul', runtime, path, headers, scope });
    const reply = await handler(call.with({ endpoint: access.server }));
    if (reply.status !== 200) throw await refusal(reply, runtime.clock.wall());
    return answerOf(reply, await readText(reply, maxAnswerBytes));
  } finally {
    scope.close();
  }
}

function answerOf(reply: Reply, text: string): ConsulAnswer {
  let entries: unknown;
  try {
    entries = JSON.parse(text);
  } catch (cause) {
    throw Object.assign(new ConsulError(200, 'what Consul sent is no JSON'), { cause });
  }
  if (!Array.isArray(entries)) throw new ConsulError(200, 'what Consul sent is no list of instances');
  const index = replyHeader(reply, 'x-consul-index');
  return {
    entries,
    // An index below 1 would not be waited with but asked with again and again.
    index: index !== undefined && /^\d{1,20}$/.test(index) ? Math.max(1, Number(index)) : null,
    doubt: doubtOf(reply),
  };
}

function doubtOf(reply: Reply): string | null {
  if (replyHeader(reply, 'x-consul-results-filtered-by-acls') === 'true') {
    return 'the ACL token may not read all instances or their nodes';
  }
  // Only a stale read is answered without a leader, and by a server that has just started from nothing, too.
  if (replyHeader(reply, 'x-consul-knownleader') === 'false') return 'the Consul server that answered knows no leader';
  return null;
}

async function refusal(reply: Reply, wallMs: number): Promise<ConsulError> {
  const text = await readText(reply, maxErrorBytes).catch(() => '');
  const retryAfterMs = parseRetryAfter(replyHeader(reply, 'retry-after'), wallMs);
  const said = text.trim().slice(0, 300);
  return new ConsulError(reply.status, `Consul answered ${reply.status}${said && `: ${said}`}`, retryAfterMs);
}
