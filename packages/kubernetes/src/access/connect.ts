/**
 * @module The connections to one API server, replaced when what they were made with is: certificates that rotate, and
 * connections on which a server has fallen silent, which HTTP/2 would otherwise use again and again.
 */
import { type Call, type Clock, errorCode, type Handler, type Reply, TransportError } from '@fairlead/core';
import { orCanceled } from '../or-canceled.js';
import type { Access, AccessTls } from './access.js';

/** Sends requests, and owns the sockets for it. The transport of Fairlead is one. */
export interface Connection {
  readonly handler: Handler;
  /** Refuses new requests, waits up to `graceMs` for those under way, cuts the rest. */
  close(graceMs?: number): Promise<void>;
}

/** The TLS settings that one connection was opened with. */
interface Opened {
  readonly tls: AccessTls;
  readonly connection: Connection;
}

/**
 * Sends requests to the API server of `access` over connections that `open` makes: one for as long as its TLS settings
 * stay the same and it brings answers in time. One that is replaced finishes what is under way.
 *
 * What `access.tls` throws fails the request.
 */
export function connectTo(access: Access, open: (tls: AccessTls) => Connection): Connection {
  let current: Opened | null = null;
  const replaced = new Set<Promise<void>>();
  let closed = false;

  function retire(): void {
    if (current === null) return;
    const ended = current.connection.close(Number.POSITIVE_INFINITY);
    current = null;
    replaced.add(ended);
    void ended.then(() => replaced.delete(ended));
  }
  function at(tls: AccessTls): Opened {
    if (closed) throw new TransportError({ phase: 'closed', sent: 'no', service: 'kubernetes' });
    if (current !== null && !same(current.tls, tls)) retire();
    current ??= { tls, connection: open(tls) };
    return current;
  }
  /** No answer in time: whether the server is frozen or the way to it is gone, another connection cannot be worse. */
  function judge(used: Opened, error: unknown): void {
    if (errorCode(error) === 'ERR_TIMEOUT' && current === used && !closed) retire();
  }
  async function send(call: Call): Promise<Reply> {
    const settings = tlsOf(access, call.runtime.clock);
    const used = at(settings instanceof Promise ? await orCanceled(settings, call.scope) : settings);
    try {
      const reply = await used.connection.handler(call);
      reply.onEnd((error) => judge(used, error));
      return reply;
    } catch (error) {
      judge(used, error);
      throw error;
    }
  }
  return {
    handler: send,
    async close(graceMs) {
      closed = true;
      await Promise.all([current?.connection.close(graceMs), ...replaced]);
    },
  };
}

function tlsOf(access: Access, clock: Clock): AccessTls | Promise<AccessTls> {
  if (access.tls !== undefined) return access.tls(clock);
  return access.ca === null ? {} : { ca: access.ca };
}

function same(a: AccessTls, b: AccessTls): boolean {
  return (
    a === b ||
    (a.ca === b.ca &&
      a.cert === b.cert &&
      a.key === b.key &&
      a.servername === b.servername &&
      a.rejectUnauthorized === b.rejectUnauthorized)
  );
}
