/** @module One connection that many requests share, from its first to its last. */
import { type ClientHttp2Session, type ClientHttp2Stream, connect, type Settings } from 'node:http2';
import type { Socket } from 'node:net';
import { type Clock, Timer } from '@fairlead/core';
import { parts } from '../door/parts.js';

/** Streams at a time at most, whatever more a server allows: beyond that another connection serves everybody better. */
const MAX_STREAMS = 100;
/** How long it may say nothing although it was asked, in ms: a packet that was lost once is sent again by then. */
const SILENCE_MS = 1_000;
/** After how long of silence a server that somebody waits for is asked whether it is there, in ms. */
const PING_MS = 60_000;
/** How long it may take to say so, in ms. */
const PONG_MS = 5_000;

/** What may be on its way to us, in bytes: of one stream, and of all. With what HTTP/2 begins with, a long way would be slow. */
const STREAM_WINDOW = 262_144;
const WINDOW = 524_288;

const bare = { endStream: true };
const withBody = { endStream: false };

/** What a connection needs to know. */
export interface SharedSettings {
  readonly keepAliveMs: number;
  readonly maxHeaderBytes: number;
  /** How old it may become, in ms; null for no limit. */
  readonly ageMs: number | null;
}

/** Told what becomes of a connection. */
export interface SharedOwner {
  /** Whether there will be no more requests. */
  readonly closing: boolean;
  /** There may be room for another stream. */
  freed(): void;
  /** It takes no more streams. */
  retired(connection: SharedConnection): void;
  closed(connection: SharedConnection): void;
}

/** One of the timers of a connection. */
class Alarm extends Timer {
  constructor(readonly ring: () => void) {
    super();
    this.background = true;
  }
  fire(): void {
    this.ring();
  }
}

/**
 * A connection. Two things tell that it has died without a word (a NAT or load balancer that forgot it, a host that is gone),
 * of which nobody would hear for a quarter of an hour. A request that is given up ends a stream and not, as over
 * HTTP/1.1, its connection; so if the connection has said nothing since it was asked, and that was long ago, it gets no
 * more of them. It is not closed: if it lives after all, those under way finish. And where somebody waits for long, for the
 * next event of a watch, the server is asked whether it is there; if it does not say so, the connection is broken off.
 */
export class SharedConnection {
  /** Streams that are not over. */
  open = 0;
  /** What the server said when it said farewell; null as long as it has not. */
  farewell: string | null = null;
  isClosed = false;
  readonly #socket: Socket;
  readonly #session: ClientHttp2Session;
  readonly #owner: SharedOwner;
  readonly #clock: Clock;
  readonly #settings: SharedSettings;
  readonly #idle: Alarm = new Alarm(() => this.end());
  readonly #age: Alarm = new Alarm(() => this.retire());
  readonly #silence: Alarm = new Alarm(() => this.#look());
  /** Streams that it takes at a time: one, until the server has said how many. */
  #limit = 1;
  #settled = false;
  #retired = false;
  /** Above it, no stream was looked at. */
  #lastSeen = Number.POSITIVE_INFINITY;
  /** Bytes that had come when it was asked first of those times since when it has said nothing, and when that was. */
  #heardBefore = -1;
  #askedAt = 0;
  /** Bytes that had come when its silence was last looked at, and whether a ping was sent then. */
  #heardLast = 0;
  #pinged = false;

  constructor(url: string, socket: Socket, owner: SharedOwner, settings: SharedSettings, clock: Clock) {
    this.#socket = socket;
    this.#owner = owner;
    this.#clock = clock;
    this.#settings = settings;
    this.#session = connect(url, {
      createConnection: () => socket,
      settings: { enablePush: false, initialWindowSize: STREAM_WINDOW, maxHeaderListSize: settings.maxHeaderBytes },
    });
    this.#session
      .once('connect', (session) => session.setLocalWindowSize(WINDOW))
      .on('remoteSettings', (told) => this.#agree(told))
      .on('goaway', (code, lastSeen) => this.#bidFarewell(code, lastSeen))
      .on('error', () => this.retire())
      .on('close', () => this.#close());
    if (settings.ageMs !== null) clock.arm(this.#age, clock.now() + settings.ageMs);
    this.#rest();
  }

  get socket(): Socket {
    return this.#socket;
  }

  /** Whether the server has said how many streams it takes, and takes any. */
  get isKnown(): boolean {
    return this.#settled && this.#limit > 0;
  }

  /** Whether another stream may begin. */
  get hasRoom(): boolean {
    return this.open < this.#limit && !this.#retired;
  }

  /** Whether the server has said that it never looked at stream `id`. */
  hasRejected(id: number): boolean {
    return id > this.#lastSeen;
  }

  /**
   * Begins a stream. {@link ended} ends it.
   * @throws what node:http2 says is wrong with the head, or that this connection takes no more
   */
  begin(head: string[], isBare: boolean): ClientHttp2Stream {
    if (this.open++ === 0) {
      if (this.#idle.armed) this.#clock.disarm(this.#idle);
      this.#session.ref();
      this.#lookLater();
    }
    this.#listen();
    return this.#session.request(head as never, isBare ? bare : withBody);
  }

  /** A stream is over. */
  ended(): void {
    if (--this.open === 0) this.#rest();
    this.#owner.freed();
  }

  #rest(): void {
    const { closing } = this.#owner;
    this.#clock.disarm(this.#silence);
    if (this.isClosed) return;
    this.#session.unref();
    if (this.#retired || closing) this.end();
    else this.#clock.arm(this.#idle, this.#clock.now() + this.#settings.keepAliveMs);
  }

  /** No more streams; those that there are finish. */
  retire(): void {
    if (this.#retired) return;
    this.#retired = true;
    this.#owner.retired(this);
    if (this.open === 0) this.end();
  }

  /** Says farewell, and closes when the last stream is over. */
  end(): void {
    this.retire();
    if (!this.#session.closed) this.#session.close();
  }

  /** Closes at once, with what is under way. */
  destroy(error: Error): void {
    this.retire();
    this.#session.destroy(error);
  }

  /** Whether anything has come since it was asked last. */
  #listen(): boolean {
    const { bytesRead } = this.#socket;
    if (bytesRead === this.#heardBefore) return false;
    this.#heardBefore = bytesRead;
    this.#askedAt = this.#clock.now();
    return true;
  }

  /** A stream was given up. */
  givenUp(): void {
    if (!this.#listen() && this.#clock.now() - this.#askedAt >= SILENCE_MS) this.retire();
  }

  #lookLater(): void {
    this.#heardLast = this.#socket.bytesRead;
    this.#pinged = false;
    this.#clock.arm(this.#silence, this.#clock.now() + PING_MS);
  }

  #look(): void {
    if (this.#socket.bytesRead !== this.#heardLast) this.#lookLater();
    else if (this.#pinged) this.destroy(new parts.errors.SocketError('the server has fallen silent'));
    else {
      this.#pinged = true;
      // That it has been answered is seen like everything else that comes.
      this.#session.ping(() => {});
      this.#clock.arm(this.#silence, this.#clock.now() + PONG_MS);
    }
  }

  #agree({ maxConcurrentStreams }: Settings): void {
    this.#settled = true;
    this.#limit = Math.min(MAX_STREAMS, maxConcurrentStreams ?? MAX_STREAMS);
    this.#owner.freed();
  }

  #bidFarewell(code: number, lastSeen: number | undefined): void {
    this.farewell = `"GOAWAY" frame received with code ${code}`;
    this.#lastSeen = lastSeen ?? this.#lastSeen;
    this.retire();
  }

  #close(): void {
    this.isClosed = true;
    for (const alarm of [this.#idle, this.#age, this.#silence]) this.#clock.disarm(alarm);
    this.retire();
    this.#owner.closed(this);
  }
}
