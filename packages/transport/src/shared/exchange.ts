/**
 * @module One request on a stream of HTTP/2, or on two, if the server did not look at the first. It is undici's controller to
 * whoever sends it, and the watcher of its stream: one object, and hence longer than most files.
 */
import type { ClientHttp2Stream } from 'node:http2';
import { type Clock, later, type ReplyHeaders, type Timer } from '@fairlead/core';
import { noHeaders } from '../body-flow.js';
import type { Connections, Passenger } from '../connections/passenger.js';
import { parts } from '../door/parts.js';
import type { Dispatcher } from '../undici.js';
import { Upload } from '../upload.js';
import type { SharedConnection } from './connection.js';
import type { PublishedRequest } from './published.js';
import { joinedHead } from './request-head.js';
import { type Head, type StreamWatcher, unwatch, watch } from './stream-events.js';
import { markUnseen } from './unseen.js';
import { writeUpload } from './write-upload.js';

/** RFC 9113, 7. */
const NO_ERROR = 0;
const REFUSED_STREAM = 7;
const CANCEL = 8;

/** Whoever sends a request again that was not looked at. */
export interface Sender {
  readonly clock: Clock;
  again(exchange: StreamExchange): void;
}

/** One request. */
export class StreamExchange implements Dispatcher.DispatchController, StreamWatcher {
  paused = false;
  aborted = false;
  reason: Error | null = null;
  rawHeaders = null;
  rawTrailers = null;
  readonly handler: Passenger;
  readonly #request: Dispatcher.DispatchOptions;
  #head: string[];
  readonly #sender: Sender;
  readonly #published: PublishedRequest | null;
  #connection: SharedConnection | null = null;
  #stream: ClientHttp2Stream | null = null;
  #answered = false;
  #over = false;
  /** Whether it is on its second stream. */
  #repeated = false;
  /** Whether names that came more than once have been joined. */
  #joined = false;
  /** Whether its head never left. */
  #held = false;
  /** Whether that is because no connection would take it. */
  #isTooLong = false;
  /** What has come of the body before the head was told: node:http2 tells that in a turn of its own. */
  #early: Buffer[] | null = null;
  #received = 0;
  #length: string | undefined = undefined;
  #error: Error | null = null;
  #trailers: ReplyHeaders = noHeaders;
  #timer: Timer | null = null;

  constructor(
    request: Dispatcher.DispatchOptions,
    head: string[],
    handler: Passenger,
    sender: Sender,
    published: PublishedRequest | null,
  ) {
    this.#request = request;
    this.#head = head;
    this.handler = handler;
    this.#sender = sender;
    this.#published = published;
  }

  /** Whether nobody waits for its answer any more. It is over then, if it was not. */
  isGivenUp(): boolean {
    if (!this.#over && this.handler.isOver) this.abort(new parts.errors.RequestAbortedError());
    return this.#over;
  }

  get #hasBody(): boolean {
    const { body } = this.#request;
    return body instanceof Upload || (body as string | Uint8Array | null)?.length !== 0;
  }

  /** Sends it on `connection`, which has room. */
  send(connection: SharedConnection): void {
    const { handler } = this;
    handler.onRequestStart?.(this, null);
    if (this.#over) return;
    const { body, headersTimeout } = this.#request;
    const bare = body === null || !this.#hasBody;
    this.#connection = connection;
    let stream: ClientHttp2Stream;
    try {
      stream = connection.begin(this.#head, bare);
    } catch (error) {
      this.#unsent(error as Error, connection);
      return;
    }
    this.#stream = stream;
    watch(stream, this, handler.hearsInterim);
    if (headersTimeout) this.#arm(headersTimeout, parts.errors.HeadersTimeoutError);
    this.#published?.sending(connection.socket);
    if (body instanceof Upload) void this.#upload(body, stream);
    else {
      if (!bare) {
        stream.end(body as string | Uint8Array);
        handler.onBodySent?.(body as never);
      }
      this.#sent();
    }
  }

  /** Nothing of it has left. */
  #unsent(error: Error & { code?: string }, connection: SharedConnection): void {
    const { code } = error;
    const isLate = code === 'ERR_HTTP2_GOAWAY_SESSION' || code === 'ERR_HTTP2_INVALID_SESSION';
    // First, or the end of this one would be room for the next there.
    if (isLate) connection.retire();
    this.#release();
    if (isLate) {
      this.#again(error);
      return;
    }
    if (code === 'ERR_HTTP2_HEADER_SINGLE_VALUE' && !this.#joined) {
      this.#joined = true;
      this.#head = joinedHead(this.#head);
      this.send(connection);
      return;
    }
    this.#over = true;
    this.#told(new parts.errors.InvalidArgumentError(error.message, { cause: error }), null);
  }

  async #upload(body: Upload, stream: ClientHttp2Stream): Promise<void> {
    const length = this.#head.at(-2) === 'content-length' ? Number(this.#head.at(-1)) : Number.NaN;
    try {
      const whole = await writeUpload(body, stream, length, (piece) => this.handler.onBodySent?.(piece as never));
      if (whole && this.#stream === stream) this.#sent();
    } catch (error) {
      if (this.#stream === stream) this.fail(error as Error);
    }
  }

  #sent(): void {
    this.#published?.sent();
    this.handler.onRequestSent?.();
  }

  #arm(ms: number, Reason: new () => Error): void {
    const { clock } = this.#sender;
    this.#disarm();
    this.#timer = later(clock, ms, () => this.fail(new Reason()), true);
  }

  #disarm(): void {
    if (this.#timer !== null) this.#sender.clock.disarm(this.#timer);
    this.#timer = null;
  }

  // What the stream says.

  responded(headers: Head): void {
    if (this.#over) return;
    const status = headers[':status'] as number;
    delete headers[':status'];
    if (status >= 200) {
      this.#answered = true;
      if (status !== 304 && this.#request.method !== 'HEAD') this.#length = headers['content-length'];
      const { bodyTimeout } = this.#request;
      if (bodyTimeout) this.#arm(bodyTimeout, parts.errors.BodyTimeoutError);
      else if (this.#timer !== null) this.#disarm();
    }
    this.handler.onResponseStarted?.();
    this.#published?.answered(status, headers as ReplyHeaders);
    try {
      this.handler.onResponseStart?.(this, status, headers as never, '');
    } catch (error) {
      this.fail(error as Error);
    }
    const early = this.#early;
    if (early === null || !this.#answered) return;
    this.#early = null;
    for (let i = 0; i < early.length; i++) this.arrived(early[i] as Buffer);
  }

  arrived(chunk: Buffer): void {
    if (this.#over) return;
    if (!this.#answered) {
      if (this.#early === null) this.#early = [chunk];
      else this.#early.push(chunk);
      return;
    }
    this.#received += chunk.length;
    if (this.#timer !== null) this.#arm(this.#request.bodyTimeout as number, parts.errors.BodyTimeoutError);
    try {
      this.handler.onResponseData?.(this, chunk);
    } catch (error) {
      this.fail(error as Error);
    }
  }

  trailed(trailers: ReplyHeaders): void {
    this.#trailers = trailers;
  }

  /** That it broke off is said by its close. */
  ended(): void {
    const stream = this.#stream as ClientHttp2Stream;
    if (this.#over || !this.#answered || stream.rstCode !== NO_ERROR) return;
    if (this.#length !== undefined && Number(this.#length) !== this.#received) {
      this.fail(new parts.errors.ResponseContentLengthMismatchError());
      return;
    }
    this.#over = true;
    const trailers = this.#trailers;
    // Nobody has a use for the rest of a request that has been answered. As over HTTP/1.1.
    const rest = this.#request.body !== null && !stream.writableFinished;
    this.#release();
    if (rest) this.#abandon(stream);
    this.#published?.ended(trailers);
    try {
      this.handler.onResponseEnd?.(this, trailers as never);
    } catch (error) {
      this.handler.onResponseError?.(this, error as Error);
    }
  }

  broke(error: Error): void {
    this.#error = error;
  }

  /** A stream that was never begun must not be reset, which would be an error of the protocol: its close follows. */
  held(isTooLong: boolean): void {
    this.#held = true;
    this.#isTooLong = isTooLong;
  }

  closed(): void {
    if (this.#over) return;
    const connection = this.#connection as SharedConnection;
    const { id, rstCode } = this.#stream as ClientHttp2Stream;
    const unseen = this.#held || rstCode === REFUSED_STREAM || id === undefined || connection.hasRejected(id);
    const error = this.#error ?? new parts.errors.SocketError('other side closed');
    // There was none left, or it was a moment too late.
    if (id === undefined) connection.retire();
    this.#release();
    if (this.#isTooLong) {
      this.#over = true;
      this.#told(new parts.errors.InvalidArgumentError('a shorter head', { cause: error }), this);
    } else if (unseen && !this.#answered) {
      const why = connection.farewell ?? 'the server refused the stream';
      this.#again(Object.assign(new Error(why, { cause: error }), { code: 'ERR_HTTP2_STREAM_ERROR' }));
    } else {
      this.#over = true;
      this.#told(rstCode === CANCEL && !connection.isClosed ? canceledByServer() : error, this);
    }
  }

  // How it ends.

  /** Sends it once more, if it was not already and can be. */
  #again(error: Error): void {
    const repeatable = !this.#repeated && !(this.#request.body instanceof Upload);
    if (repeatable) {
      this.#repeated = true;
      this.#error = null;
      this.#held = false;
      this.#sender.again(this);
      return;
    }
    this.#over = true;
    this.#told(markUnseen(error), this);
  }

  /** It turns out to be sent by somebody else. */
  moveTo(connections: Connections): void {
    if (this.isGivenUp()) return;
    this.#over = true;
    // undici publishes it once more.
    this.#published?.ended(noHeaders);
    connections.dispatch(this.handler);
  }

  /** There will be no connection for it. */
  unconnected(error: Error): void {
    if (this.#over) return;
    this.#over = true;
    this.#told(this.#repeated ? markUnseen(error) : error, this);
  }

  /** Ends it with an error of ours. */
  fail(error: Error): void {
    if (this.#over) return;
    this.abort(error);
    this.handler.onResponseError?.(this, error);
  }

  #told(error: Error, controller: this | null): void {
    this.#published?.failed(error);
    this.handler.onResponseError?.(controller as this, error);
  }

  /** Lets go of stream and connection. */
  #release(): void {
    const connection = this.#connection;
    if (this.#stream !== null) unwatch(this.#stream);
    this.#stream = null;
    this.#connection = null;
    if (this.#timer !== null) this.#disarm();
    connection?.ended();
  }

  #abandon(stream: ClientHttp2Stream): void {
    const { body } = this.#request;
    stream.close(CANCEL);
    // To close alone waits for what may never come.
    stream.destroy();
    if (body instanceof Upload) body.stop();
  }

  // What the caller says.

  pause(): void {
    this.paused = true;
    this.#stream?.pause();
    if (this.#timer !== null) this.#disarm();
  }

  resume(): void {
    if (!this.paused) return;
    this.paused = false;
    const { bodyTimeout } = this.#request;
    if (this.#answered && bodyTimeout) this.#arm(bodyTimeout, parts.errors.BodyTimeoutError);
    this.#stream?.resume();
  }

  abort(reason: Error): void {
    if (this.#over) return;
    this.#over = true;
    this.aborted = true;
    this.reason = reason;
    const stream = this.#stream;
    this.#connection?.givenUp();
    this.#release();
    if (stream !== null) this.#abandon(stream);
    this.#published?.failed(reason);
  }
}

function canceledByServer(): Error {
  const message = 'the server canceled the stream';
  return Object.assign(new Error(message), { code: 'ERR_HTTP2_STREAM_ERROR', http2ErrorCode: CANCEL });
}
