/**
 * @module The events of a stream of HTTP/2, told to an object that is there anyway. Listeners are shared by all streams and
 * find it on the stream, so that a request costs no function.
 */
import type { ClientHttp2Stream, IncomingHttpHeaders } from 'node:http2';
import type { ReplyHeaders } from '@fairlead/core';

/** A head as it comes: its status is one of its fields. */
export type Head = IncomingHttpHeaders & { ':status'?: number };

/** Told what a stream says. */
export interface StreamWatcher {
  /** The head of an answer, or of an interim one. */
  responded(headers: Head): void;
  arrived(chunk: Buffer): void;
  trailed(trailers: ReplyHeaders): void;
  /** Nothing more will come. Whether it is all there, is not said. */
  ended(): void;
  /** Why it is about to close. */
  broke(error: Error): void;
  /** The head could not leave: it is too long, or the other side has said farewell before it. */
  held(isTooLong: boolean): void;
  closed(): void;
}

/** RFC 9113, 7. What node:http2 says of a head that is too long to be sent. */
const FRAME_SIZE_ERROR = 6;

const key: unique symbol = Symbol('fairlead.streamWatcher') as never;
type Watched = ClientHttp2Stream & { [key]: StreamWatcher | null };

/**
 * Tells `watcher` what `stream` says, until {@link unwatch}.
 * @param interim whether to tell of 1xx answers
 */
export function watch(stream: ClientHttp2Stream, watcher: StreamWatcher, interim: boolean): void {
  (stream as Watched)[key] = watcher;
  stream
    .on('response', onResponse)
    .on('data', onData)
    .on('end', onEnd)
    .on('trailers', onTrailers)
    .on('error', onError)
    .on('frameError', onFrameError)
    .on('close', onClose);
  if (interim) stream.on('headers', onInterim);
}

/**
 * Lets go of the watcher; the listeners stay, since a stream may fail at any time. To V8 what a stream refers to is alive until
 * the next full collection, however young it is: a call and all that belongs to it would be moved to the old generation,
 * which costs more than the rest of this file.
 */
export function unwatch(stream: ClientHttp2Stream): void {
  (stream as Watched)[key] = null;
}

function onResponse(this: ClientHttp2Stream, headers: Head): void {
  (this as Watched)[key]?.responded(headers);
}
function onInterim(this: ClientHttp2Stream, headers: Head): void {
  if (headers[':status'] !== undefined) (this as Watched)[key]?.responded(headers);
}
function onData(this: ClientHttp2Stream, chunk: Buffer): void {
  (this as Watched)[key]?.arrived(chunk);
}
function onTrailers(this: ClientHttp2Stream, trailers: IncomingHttpHeaders): void {
  (this as Watched)[key]?.trailed(trailers as ReplyHeaders);
}
function onEnd(this: ClientHttp2Stream): void {
  (this as Watched)[key]?.ended();
}
function onError(this: ClientHttp2Stream, error: Error): void {
  (this as Watched)[key]?.broke(error);
}
function onFrameError(this: ClientHttp2Stream, _: number, code: number): void {
  (this as Watched)[key]?.held(code === FRAME_SIZE_ERROR);
}
function onClose(this: ClientHttp2Stream): void {
  (this as Watched)[key]?.closed();
}
