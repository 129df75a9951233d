/** @module The socket that a client of node:http gets for a service. */
import { isIP } from 'node:net';
import type { Clock, Endpoint } from '@fairlead/core';
import { BridgeSocket } from './bridge-socket.js';
import { IdleTimer } from './idle-timer.js';
import { ServerSocket, type ServiceAddress } from './server-socket.js';

/** A socket to a service. It has what node:net's have and clients are known to ask for. */
export class ClientSocket extends BridgeSocket {
  /** Where our server reads what is written here. */
  readonly server: ServerSocket;
  /** True until the client has had time to listen for `connect`: not every one asks whether that has been. */
  connecting = true;
  /** Ms without traffic until `timeout`; undefined if that was never set. */
  timeout: number | undefined = undefined;
  /** Who answered last. */
  endpoint: Endpoint | null = null;
  readonly #clock: Clock;
  #idle: IdleTimer | null = null;

  constructor(address: ServiceAddress) {
    // The end of what the server says ends both directions, as with every client's socket.
    super({ allowHalfOpen: false });
    this.#clock = address.route.runtime.clock;
    this.server = new ServerSocket(this, address);
    this.peer = this.server;
    // Twice: it is in the next tick that a request hands its socket to those who asked for it.
    process.nextTick(() => process.nextTick(() => this.#connected()));
  }

  #connected(): void {
    this.connecting = false;
    if (this.destroyed) return;
    // Some time how long that takes. No name was looked up, so there is no address to tell.
    this.emit('lookup', null, null, null, this.server.address.host);
    this.emit('connect');
    this.emit('ready');
    if (this instanceof SecureClientSocket) this.emit('secureConnect');
  }

  override _write(chunk: Uint8Array, encoding: string, callback: () => void): void {
    this.#idle?.touch();
    this.server.writing();
    super._write(chunk, encoding, callback);
  }

  override receive(chunk: Uint8Array, written: () => void): void {
    this.#idle?.touch();
    super.receive(chunk, written);
  }

  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    this.#idle?.set(0);
    super._destroy(error, callback);
    // Not as after a FIN: nobody is left to be answered. Except where both sides have ended, and what was said last is on
    // its way to an endpoint.
    const done = this.server.upgraded && this.readableEnded && this.writableFinished;
    if (!done) this.server.destroy();
  }

  setTimeout(ms: number, listener?: () => void): this {
    this.timeout = ms;
    this.#idle ??= ms > 0 ? new IdleTimer(this.#clock, () => this.emit('timeout')) : null;
    this.#idle?.set(this.destroyed ? 0 : ms);
    if (listener !== undefined) {
      if (ms > 0) this.once('timeout', listener);
      else this.removeListener('timeout', listener);
    }
    return this;
  }

  // What the system would do for a connection is done for those below the stack.

  setNoDelay(): this {
    return this;
  }
  setKeepAlive(): this {
    return this;
  }
  ref(): this {
    return this;
  }
  unref(): this {
    return this;
  }

  /** That of this side: none, as of a socket that is not connected. */
  address(): object {
    return {};
  }

  /** The address of the endpoint that answered last; undefined before that, and if it has only a name. */
  get remoteAddress(): string | undefined {
    const host = this.#url?.hostname.replace(/^\[|\]$/g, '');
    return host !== undefined && isIP(host) !== 0 ? host : undefined;
  }
  get remoteFamily(): 'IPv4' | 'IPv6' | undefined {
    const address = this.remoteAddress;
    return address === undefined ? undefined : isIP(address) === 4 ? 'IPv4' : 'IPv6';
  }
  /** The port of the endpoint that answered last. */
  get remotePort(): number | undefined {
    const url = this.#url;
    return url === null ? undefined : Number(url.port || (url.protocol === 'https:' ? 443 : 80));
  }

  get #url(): URL | null {
    return this.endpoint === null ? null : URL.parse(this.endpoint.origin);
  }
}

/**
 * The socket that a client of node:https gets. There is nothing to be encrypted within a process, and whether the way from
 * here to an endpoint is encrypted, and whose certificate is trusted there, is a setting of the service.
 */
export class SecureClientSocket extends ClientSocket {
  readonly encrypted = true;
  readonly authorized = true;
  readonly authorizationError = null;
  readonly alpnProtocol = false;

  /** Nobody's: a client that pins certificates fails, as it should, since it would not see whom it talks to. */
  getPeerCertificate(): object {
    return {};
  }
}
