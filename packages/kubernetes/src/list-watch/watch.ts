/** @module WATCH: what changes from a version on, as long as the stream lasts. */
import type { BodySink, Reply, ReplyBody } from '@fairlead/core';
import type { SliceObject } from '../slices/slice.js';
import { LineSplitter } from './ndjson.js';
import { type ApiServer, ApiServerError, ask, UnreadableError } from './request.js';

/** Who is told what a watch brings. */
export interface WatchListener {
  /** The server has accepted the watch. */
  opened(): void;
  /** A slice is there, in this state: it is new, or has changed. */
  put(object: SliceObject): void;
  /** A slice is gone. `object` is its state before that; only its name means something. */
  removed(object: SliceObject): void;
  /** Everything up to this version has been told; a watch can go on from here. */
  reached(version: string): void;
  /** One read is through, with however many events: the moment to act on them. */
  flush(): void;
}

/** How long the client waits beyond the time that the server was told, in ms. */
const graceMs = 10_000;

interface WatchEvent {
  readonly type?: unknown;
  readonly object?: SliceObject & { readonly code?: unknown; readonly message?: unknown };
}

/**
 * Watches from `version` on. Resolves when the server ends the stream, which says nothing about having seen everything.
 * @param seconds how long the server may keep it open. A server that is frozen, or lost with its node, never ends
 *   anything, and an idle watch brings nothing at all, no bookmark either: so 10 s later it is ended from this side.
 * @throws ApiServerError, also for an ERROR event; UnreadableError; whatever {@link ask} throws
 */
export function watch(
  api: ApiServer,
  path: string,
  version: string,
  seconds: number,
  listener: WatchListener,
): Promise<void> {
  const query = `watch=true&allowWatchBookmarks=true&timeoutSeconds=${seconds}`;
  const url = `${path}&${query}&resourceVersion=${encodeURIComponent(version)}`;
  return ask(api, 'WATCH', url, seconds * 1_000 + graceMs, (reply) => {
    listener.opened();
    return follow(reply, listener);
  });
}

function follow(reply: Reply, listener: WatchListener): Promise<void> {
  return new Promise((resolve, reject) => {
    reply.body.attach(new Stream(reply.body, listener, resolve, reject));
  });
}

class Stream implements BodySink {
  readonly #body: ReplyBody;
  readonly #listener: WatchListener;
  readonly #resolve: () => void;
  readonly #reject: (error: unknown) => void;
  readonly #lines: LineSplitter = new LineSplitter((line) => deliver(line, this.#listener));

  constructor(body: ReplyBody, listener: WatchListener, resolve: () => void, reject: (error: unknown) => void) {
    this.#body = body;
    this.#listener = listener;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  onData(chunk: Uint8Array): void {
    let failure: unknown = null;
    try {
      this.#lines.push(chunk);
    } catch (error) {
      failure = error instanceof RangeError ? new UnreadableError(error.message) : error;
    }
    // What came before a bad line is as good as ever.
    this.#listener.flush();
    if (failure === null) return;
    this.#reject(failure);
    this.#body.cancel(failure);
  }

  onEnd(): void {
    // A last line without its end is half an event, to be had again by resuming.
    this.#resolve();
  }

  onError(error: unknown): void {
    this.#reject(error);
  }
}

function deliver(line: string, listener: WatchListener): void {
  const { type, object } = parse(line);
  switch (type) {
    case 'ADDED':
    case 'MODIFIED':
      listener.put(object ?? {});
      break;
    case 'DELETED':
      listener.removed(object ?? {});
      break;
    case 'BOOKMARK':
      // No slice, but looks like one: nothing in it but a version.
      break;
    case 'ERROR':
      throw eventError(object);
    default:
      throw new UnreadableError(`an event of unknown type in a watch: ${String(type).slice(0, 50)}`);
  }
  const version = object?.metadata?.resourceVersion;
  if (typeof version !== 'string' || version === '') throw new UnreadableError('an event without a version in a watch');
  listener.reached(version);
}

function eventError(object: WatchEvent['object']): ApiServerError {
  const status = typeof object?.code === 'number' ? object.code : 500;
  return new ApiServerError(status, `WATCH of EndpointSlices: ${status} ${String(object?.message ?? '')}`);
}

function parse(line: string): WatchEvent {
  let event: unknown;
  try {
    event = JSON.parse(line);
  } catch (cause) {
    throw new UnreadableError('a line in a watch is no JSON', { cause });
  }
  if (typeof event !== 'object' || event === null) throw new UnreadableError('a line in a watch is no event');
  return event as WatchEvent;
}
