/**
 * @module The last good answers of a service, in a bounded memory, for the time when there are no new ones.
 *
 * Source: RFC 5861, stale-if-error, and RFC 9111 for what may not be kept, or not be used when it is stale. `Warning` is
 * obsolete (RFC 9111, 5.5); how old an answer is says `Age`.
 */
import {
  type BodySink,
  type Call,
  createReply,
  headerOf,
  type Reply,
  type ReplyBody,
  type ReplyHeaders,
  replyHeader,
} from '@fairlead/core';
import { withBody } from '../trials/inject-fault-body.js';

/** What {@link StaleReplies} keeps, and for how long. */
export interface StaleOptions {
  /** How long after it was given an answer may stand in, in ms. Less if its `stale-if-error` says so. Default 300 000. */
  readonly maxAgeMs: number;
  /** Answers kept, of all requests. Default 1 000. */
  readonly maxEntries: number;
  /** Bytes of all of them, with their headers. Default 16 MiB. */
  readonly maxBytes: number;
  /** Bytes of the body of one, as its `content-length` says; without one it is not kept. Default 65 536. */
  readonly maxBodyBytes: number;
  /**
   * Tells apart callers who get different answers to the same request; null for what must not be kept. Without it what
   * carries `Authorization` or `Cookie` is never kept nor answered. Default null.
   */
  readonly key: ((call: Call) => string | null) | null;
}

/** The defaults of {@link StaleOptions}. */
export const staleDefaults: Readonly<StaleOptions> = Object.freeze({
  maxAgeMs: 300_000,
  maxEntries: 1_000,
  maxBytes: 16 * 1_024 * 1_024,
  maxBodyBytes: 65_536,
  key: null,
});

interface Kept {
  readonly headers: ReplyHeaders;
  readonly body: Uint8Array;
  /** Monotonic ms. */
  readonly at: number;
  readonly until: number;
  /** Age that it had then, in s. */
  readonly age: number;
  /** Request headers that the answer depends on, and what they were. */
  readonly vary: readonly (readonly [string, string | undefined])[];
  readonly bytes: number;
}

/** Good answers to GET and HEAD: those whose body was read to its end. The longest unused go first. */
export class StaleReplies {
  readonly #options: Readonly<StaleOptions>;
  readonly #kept: Map<string, Kept> = new Map();
  /** Of all that is kept. */
  bytes = 0;

  constructor(options: Readonly<StaleOptions>) {
    this.#options = options;
  }

  get size(): number {
    return this.#kept.size;
  }

  /** `reply`, of which a copy is kept when it has been read, if it may be. */
  keep(call: Call, reply: Reply): Reply {
    if (reply.status !== 200) return reply;
    const key = this.#keyOf(call);
    if (key === null) return reply;
    const length = lengthOf(call, reply, this.#options.maxBodyBytes);
    const forMs = lifetimeMs(reply, this.#options.maxAgeMs);
    if (length === null || forMs === null || noStore.test(headerOf(call.headers, 'cache-control') ?? '')) return reply;
    return withBody(reply, new Copying(reply.body, length, (body) => this.#add(key, call, reply, body, forMs)));
  }

  /** The answer that was given last to the same request; null if there is none, or none that may be used. */
  find(call: Call, now: number): Reply | null {
    const key = this.#keyOf(call);
    const kept = key === null ? undefined : this.#kept.get(key);
    if (key === null || kept === undefined) return null;
    if (now >= kept.until) {
      this.#remove(key, kept);
      return null;
    }
    if (kept.vary.some(([name, value]) => headerOf(call.headers, name) !== value)) return null;
    this.#kept.delete(key);
    this.#kept.set(key, kept);
    const age = String(kept.age + Math.floor((now - kept.at) / 1_000));
    // A copy: whoever reads it may write into it.
    return createReply({ status: 200, headers: { ...kept.headers, age }, body: kept.body.slice(), at: now });
  }

  #keyOf(call: Call): string | null {
    const { method, headers, body } = call;
    if ((method !== 'GET' && method !== 'HEAD') || body !== null) return null;
    const { key } = this.#options;
    if (key === null && (headerOf(headers, 'authorization') ?? headerOf(headers, 'cookie')) !== undefined) return null;
    const whose = key === null ? '' : key(call);
    return whose === null ? null : `${method} ${call.service} ${call.path} ${whose}`;
  }

  #add(key: string, call: Call, reply: Reply, body: Uint8Array, forMs: number): void {
    const before = this.#kept.get(key);
    if (before !== undefined) this.#remove(key, before);
    const { headers, at } = reply;
    const names = (replyHeader(reply, 'vary') ?? '').toLowerCase().split(',');
    const vary = names.flatMap((each) => {
      const name = each.trim();
      return name === '' ? [] : [[name, headerOf(call.headers, name)] as const];
    });
    let bytes = body.length + 2 * key.length;
    for (const name of Object.keys(headers)) bytes += name.length + String(headers[name]).length;
    if (bytes > this.#options.maxBytes) return;
    const age = Math.min(Number.parseInt(replyHeader(reply, 'age') ?? '0', 10) || 0, 2 ** 31);
    this.#kept.set(key, { headers, body, at, until: at + forMs, age, vary, bytes });
    this.bytes += bytes;
    for (const [oldest, entry] of this.#kept) {
      if (this.#kept.size <= this.#options.maxEntries && this.bytes <= this.#options.maxBytes) break;
      this.#remove(oldest, entry);
    }
  }

  #remove(key: string, kept: Kept): void {
    this.#kept.delete(key);
    this.bytes -= kept.bytes;
  }
}

/** Bytes that the body will have; null if that is unknown, or more than `most`. */
function lengthOf(call: Call, reply: Reply, most: number): number | null {
  if (call.method === 'HEAD') return 0;
  const text = replyHeader(reply, 'content-length');
  if (text === undefined || !/^\d{1,15}$/.test(text)) return null;
  return Number(text) <= most ? Number(text) : null;
}

/** For how long it may stand in, in ms; null if it may not at all. */
function lifetimeMs(reply: Reply, most: number): number | null {
  const control = replyHeader(reply, 'cache-control');
  if (control !== undefined && forbidding.test(control)) return null;
  if (reply.headers['set-cookie'] !== undefined || replyHeader(reply, 'vary')?.includes('*')) return null;
  const allowed = /(?:^|[\s,])stale-if-error\s*=\s*"?(\d{1,9})/i.exec(control ?? '')?.[1];
  if (allowed === undefined) return most;
  const fresh = /(?:^|[\s,])max-age\s*=\s*"?(\d{1,9})/i.exec(control ?? '')?.[1] ?? '0';
  return Math.min(most, (Number(fresh) + Number(allowed)) * 1_000);
}

/** What in the `Cache-Control` of an answer forbids to keep it, or to use it when it is stale. */
const forbidding = /(?:^|[\s,])(?:no-store|no-cache|private|must-revalidate|proxy-revalidate)(?:$|[\s,=])/i;
const noStore = /(?:^|[\s,])no-store(?:$|[\s,])/i;

/** A body that is copied on its way. */
class Copying implements ReplyBody, BodySink {
  readonly #body: ReplyBody;
  readonly #copy: Uint8Array;
  readonly #done: (body: Uint8Array) => void;
  #filled = 0;
  #sink: BodySink | null = null;

  constructor(body: ReplyBody, length: number, done: (body: Uint8Array) => void) {
    this.#body = body;
    this.#copy = new Uint8Array(length);
    this.#done = done;
  }

  attach(sink: BodySink): void {
    if (this.#sink !== null) throw new TypeError('the body of a reply flows once, to one sink');
    this.#sink = sink;
    this.#body.attach(this);
  }

  pause(): void {
    this.#body.pause();
  }

  resume(): void {
    this.#body.resume();
  }

  cancel(reason?: unknown): void {
    this.#body.cancel(reason);
  }

  onData(chunk: Uint8Array): void {
    const from = this.#filled;
    this.#filled += chunk.length;
    // More than was said: what is counted shows it.
    if (this.#filled <= this.#copy.length) this.#copy.set(chunk, from);
    this.#sink?.onData(chunk);
  }

  onEnd(trailers: ReplyHeaders): void {
    if (this.#filled === this.#copy.length) this.#done(this.#copy);
    this.#sink?.onEnd(trailers);
  }

  onError(error: unknown): void {
    this.#sink?.onError(error);
  }
}
