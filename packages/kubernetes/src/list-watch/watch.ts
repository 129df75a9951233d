/** @module WATCH: what changes from a version on, as long as the stream lasts. */
import type { BodySink, Reply, ReplyBody, Scope } from '@fairlead/core';
import type { SliceObject } from '../slices/objects.js';
import { LineSplitter } from './ndjson.js';
import { type ApiServer, ApiServerError, ask, UnreadableError } from './request.js';

/** Who is told what a watch brings. */
export interface WatchListener {
  /** The server has accepted the watch. */
  opened(): void;
  /** Everything that there is has been told; only where the watch was to begin with that. */
  complete(): void;
  /** A slice is there, in this state: it is new, or has changed. */
  put(object: SliceObject): void;
  /** A slice is gone. `object` is its state before that; only its name means something. */
  removed(object: SliceObject): void;
  /** Everything up to this version has been told; a watch can go on from here. */
  reached(version: string): void;
  /** One read is through, with however many events: the moment to act on them. */
  flush(): void;
}

/** How a watch is asked for. */
export interface WatchOptions {
  /** Where to begin; null to begin with everything that there is (KEP-3157), which not every server can. */
  readonly from: string | null;
  /**
   * How long the server may keep it open. A server that is frozen, or lost with its node, never ends anything, and an idle
   * watch brings nothing at all, no bookmark either: so 10 s later it is ended from this side.
   */
  readonly seconds: number;
  /** Time for the head, and again for everything that there is, in ms; 10 s of silence in the midst of that are enough. */
  readonly requestTimeoutMs: number;
}

/** So long may nothing come before everything was told, in ms: a server that knows no end mark falls silent there. */
const quietMs = 10_000;

/** How long the client waits beyond the time that the server was told, in ms. */
const graceMs = 10_000;

/** Marks the bookmark that follows the last of what there is. */
const endMark = 'k8s.io/initial-events-end';

interface WatchEvent {
  readonly type?: unknown;
  readonly object?: SliceObject & { readonly code?: unknown; readonly message?: unknown };
}

/**
 * Watches. Resolves when the server ends the stream, which says nothing about having seen everything.
 * @throws ApiServerError, also for an ERROR event; UnreadableError; whatever {@link ask} throws
 */
export function watch(api: ApiServer, path: string, options: WatchOptions, listener: WatchListener): Promise<void> {
  const { from, seconds, requestTimeoutMs } = options;
  // Without a version: the latest state. To name one would mean to trust that it is not ahead of the server.
  const begin =
    from === null
      ? 'sendInitialEvents=true&resourceVersionMatch=NotOlderThan'
      : `resourceVersion=${encodeURIComponent(from)}`;
  const url = `${path}&watch=true&allowWatchBookmarks=true&timeoutSeconds=${seconds}&${begin}`;
  const wholeMs = seconds * 1_000 + graceMs;
  return ask(api, 'WATCH', url, requestTimeoutMs, (reply, within) => {
    listener.opened();
    if (from !== null) {
      within(wholeMs);
      return follow(api, reply, listener, null);
    }
    const { clock } = api.runtime;
    const until = clock.now() + requestTimeoutMs;
    const progress = (): void => within(Math.max(0, Math.min(quietMs, until - clock.now())));
    progress();
    return follow(api, reply, listener, { progress, complete: () => within(wholeMs) });
  });
}

/** The stream has yet to say that everything was told. */
interface Initial {
  /** Something has come. */
  progress(): void;
  /** Everything has. */
  complete(): void;
}

function follow(api: ApiServer, reply: Reply, listener: WatchListener, initial: Initial | null): Promise<void> {
  return new Promise((resolve, reject) => {
    reply.body.attach(new Stream(api.scope, reply.body, listener, initial, resolve, reject));
  });
}

class Stream implements BodySink {
  readonly #scope: Scope;
  readonly #body: ReplyBody;
  readonly #listener: WatchListener;
  /** Null once everything that there is was told, and where it was not asked for. */
  #initial: Initial | null;
  readonly #resolve: () => void;
  readonly #reject: (error: unknown) => void;
  readonly #lines: LineSplitter = new LineSplitter((line) => this.#deliver(line));

  constructor(
    scope: Scope,
    body: ReplyBody,
    listener: WatchListener,
    initial: Initial | null,
    resolve: () => void,
    reject: (error: unknown) => void,
  ) {
    this.#scope = scope;
    this.#body = body;
    this.#listener = listener;
    this.#initial = initial;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  onData(chunk: Uint8Array): void {
    let failure: unknown = null;
    this.#initial?.progress();
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
    if (this.#initial === null) this.#resolve();
    else this.#reject(new UnreadableError('the watch ended before everything that there is was told'));
  }

  onError(error: unknown): void {
    this.#reject(error);
  }

  #deliver(line: string): void {
    // Whoever was told of a line may have ended the watch, and there may be more in the same read.
    if (this.#scope.canceled) return;
    const { type, object } = parse(line);
    switch (type) {
      case 'ADDED':
      case 'MODIFIED':
        this.#listener.put(object ?? {});
        break;
      case 'DELETED':
        this.#listener.removed(object ?? {});
        break;
      case 'BOOKMARK':
        // No slice, but looks like one: nothing in it but a version, and perhaps the mark.
        if (this.#initial !== null && object?.metadata?.annotations?.[endMark] === 'true')
          this.#complete(this.#initial);
        break;
      case 'ERROR':
        throw eventError(object);
      default:
        throw new UnreadableError(`an event of unknown type in a watch: ${String(type).slice(0, 50)}`);
    }
    const version = object?.metadata?.resourceVersion;
    if (typeof version !== 'string' || version === '') {
      throw new UnreadableError('an event without a version in a watch');
    }
    // Before that, versions are those of the objects, in no order.
    if (this.#initial === null && !this.#scope.canceled) this.#listener.reached(version);
  }

  #complete(initial: Initial): void {
    this.#initial = null;
    initial.complete();
    this.#listener.complete();
  }
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
