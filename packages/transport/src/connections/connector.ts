/**
 * @module Makes the sockets of one destination for undici, and keeps what undici forgets about them: TLS sessions, which
 * it holds so weakly that a collection of garbage ends them; whether any of them ever brought an answer; and sockets
 * that were opened before anybody asked.
 */
import type { Socket } from 'node:net';
import type { ConnectionOptions } from 'node:tls';
import { type Clock, later } from '@fairlead/core';
import { buildConnector } from '../undici.js';
import type { Destination } from './destination.js';
import { type Callback, Spare } from './spare.js';

/** How sockets are made. */
export interface ConnectorSettings {
  readonly connectTimeoutMs: number;
  readonly keepAliveMs: number;
  readonly http2: boolean;
  readonly tls: ConnectionOptions | null;
}

/** How undici wants a socket to be made. */
export type Connect = ReturnType<typeof buildConnector>;
type Options = Parameters<Connect>[0];

/** Makes and counts the sockets to one destination. */
export class Connector {
  readonly #destination: Destination;
  readonly #settings: ConnectorSettings;
  readonly #clock: Clock;
  readonly #dial: Connect;
  /** For HTTP/1.1 alone, once it is known that nothing else is spoken. */
  #dialOther: Connect | null = null;
  /** Sockets that were made for something else, and turned out to speak HTTP/1.1. */
  readonly #kept: Socket[] = [];
  /** Sockets that are not connections yet. undici does not know them before they are. */
  readonly #connecting: Set<Socket> = new Set();
  readonly #open: Set<Socket> = new Set();
  readonly #spare: Set<Spare> = new Set();
  /** The latest TLS session. undici's cache refers to it, too, but would not keep it. */
  // biome-ignore lint/correctness/noUnusedPrivateClassMembers: being held is all that it is for
  #session: unknown = null;
  #served = false;
  #multiplexed = false;

  constructor(destination: Destination, settings: ConnectorSettings, clock: Clock) {
    this.#destination = destination;
    this.#settings = settings;
    this.#clock = clock;
    this.#dial = this.#dialer(settings.http2);
  }

  #dialer(http2: boolean): Connect {
    const { port, address } = this.#destination;
    return buildConnector({
      ...(this.#settings.tls as object | null),
      ...(port === null ? { socketPath: address } : null),
      allowH2: http2,
      preferH2: http2,
      // Without TLS there is nothing to negotiate: the other side must know beforehand.
      useH2c: http2,
      // undici's own is up to a second late.
      timeout: 0,
    } as Parameters<typeof buildConnector>[0]);
  }

  /** Whether it speaks TLS. */
  get secure(): boolean {
    return this.#destination.secure;
  }

  /** Connections that are open, spare ones included. */
  get connected(): number {
    return this.#open.size;
  }

  /** Whether a connection to this destination has ever brought a byte of an answer. */
  get served(): boolean {
    if (!this.#served) for (const socket of this.#open) this.#served ||= socket.bytesRead > 0;
    return this.#served;
  }

  /** Whether any connection has spoken HTTP/2. */
  get multiplexed(): boolean {
    return this.#multiplexed;
  }

  /** A spare socket if there is one, else a new one. */
  readonly connect: Connect = (options, callback) => {
    for (const spare of this.#spare) {
      this.#spare.delete(spare);
      spare.take(callback, () => this.#make(this.#dial, options, callback));
      return;
    }
    this.#make(this.#dial, options, callback);
  };

  /** The same for HTTP/1.1, whatever else may be spoken. */
  readonly connectOther: Connect = (options, callback) => {
    if (!this.#settings.http2) return this.connect(options, callback);
    const kept = this.#kept.pop();
    this.#dialOther ??= this.#dialer(false);
    if (kept === undefined || kept.destroyed) this.#make(this.#dialOther, options, callback);
    // undici expects no answer while it still asks.
    else queueMicrotask(() => callback(null, kept));
  };

  /** Keeps a socket that turned out to speak HTTP/1.1 for {@link connectOther}. */
  keep(socket: Socket): void {
    this.#kept.push(socket);
  }

  /**
   * Opens `count` sockets that wait for undici to ask. They wait as long as any idle connection may: whoever accepted
   * them will not wait forever for a first request.
   */
  warm(count: number): void {
    while (this.#spare.size < count) {
      const spare = new Spare(this.#clock, this.#settings.keepAliveMs, (gone) => this.#spare.delete(gone));
      this.#spare.add(spare);
      this.#make(this.#dial, {} as Options, spare.made);
    }
  }

  /** Gives up what is not a connection yet, and what nobody has asked for. */
  abandon(): void {
    for (const spare of this.#spare) spare.fire();
    for (const socket of this.#connecting) socket.destroy(new Error('closed while it was connecting'));
  }

  /** Closes what undici does not know any more: after a GOAWAY it forgets the connection. */
  destroy(): void {
    for (const socket of this.#open) socket.destroy();
  }

  #make(dial: Connect, options: Options, callback: Callback): void {
    const { address, port, secure, serverName } = this.#destination;
    const to = {
      ...options,
      protocol: secure ? 'https:' : 'http:',
      hostname: address,
      host: address,
      port: port ?? '80',
      servername: serverName,
    };
    // undici does not declare what its own connector returns.
    const connecting = dial(to as unknown as Options, (...result) => {
      this.#connecting.delete(connecting);
      this.#clock.disarm(timeout);
      const socket = result[1];
      if (socket !== null && socket !== undefined) this.#opened(socket);
      callback(...result);
    }) as unknown as Socket;
    connecting.on('session', this.#keepSession);
    this.#connecting.add(connecting);
    const { connectTimeoutMs } = this.#settings;
    const timeout = later(this.#clock, connectTimeoutMs, () => connecting.destroy(timedOut(connectTimeoutMs)), true);
  }

  #opened(socket: Socket): void {
    this.#open.add(socket);
    const isMultiplexed = (socket as { alpnProtocol?: unknown }).alpnProtocol === 'h2';
    this.#multiplexed ||= isMultiplexed;
    // After a GOAWAY, node:http2 ends its half of the connection with the last stream and waits for the other side, which
    // may have forgotten. Nothing that could still come is of any interest.
    if (isMultiplexed) socket.once('finish', () => socket.destroy());
    socket.on('error', rememberServed).once('close', () => {
      this.#open.delete(socket);
      this.#served ||= socket.bytesRead > 0;
    });
  }

  readonly #keepSession = (session: unknown): void => {
    this.#session = session;
  };
}

function timedOut(ms: number): Error {
  // The code that undici would give it.
  return Object.assign(new Error(`no connection within ${ms} ms`), { code: 'UND_ERR_CONNECT_TIMEOUT' });
}

/** Errors of connections that had already carried an answer. */
const afterAnAnswer = new WeakSet<object>();

function rememberServed(this: Socket, error: Error): void {
  if (this.bytesRead > 0) afterAnAnswer.add(error);
}

/**
 * Whether `error` broke a connection that had brought an answer before. If nothing of the present answer had arrived,
 * the request died on a kept-alive connection that the other side was just closing. undici says nothing about that, so
 * the socket is asked how much it has ever read.
 */
export function hadServed(error: object): boolean {
  if (afterAnAnswer.has(error)) return true;
  const info = (error as { socket?: { bytesRead?: unknown } }).socket;
  return typeof info?.bytesRead === 'number' && info.bytesRead > 0;
}
