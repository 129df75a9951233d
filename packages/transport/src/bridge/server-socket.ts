/** @module The socket on which our server within the process hears one client. */
import { AsyncLocalStorage } from 'node:async_hooks';
import type { Endpoint } from '@fairlead/core';
import type { Route } from '../fetch/fetch.js';
import { BridgeSocket } from './bridge-socket.js';

/** The service that a client has connected to. */
export interface ServiceAddress {
  /** The host, as in `URL.host`. */
  readonly host: string;
  readonly route: Route;
}

/** Runs a function in the asynchronous context of a caller. */
export type InContext = <R, A extends unknown[]>(run: (...args: A) => R, ...args: A) => R;

/** An exchange that wants to know when its client is gone. */
export interface Abandonable {
  abandon(): void;
}

/** The socket of a client, as its other end needs it. */
export interface Client extends BridgeSocket {
  /** Who answered last. */
  endpoint: Endpoint | null;
}

/** The other end of a client's socket. */
export class ServerSocket extends BridgeSocket {
  readonly client: Client;
  readonly address: ServiceAddress;
  /** What is being answered; null between requests. */
  exchange: Abandonable | null = null;
  /** Whether the client should not send another request here. */
  retired = false;
  /** Whether it speaks something else than HTTP by now, with an endpoint. It is then nobody's to end but its client's. */
  upgraded = false;
  #context: InContext | null = null;

  constructor(client: Client, address: ServiceAddress) {
    super({ allowHalfOpen: true });
    this.client = client;
    this.address = address;
    this.peer = client;
  }

  /**
   * The client is about to write. node:http writes the head of a request in the context of its caller, and that is the one
   * moment to catch it: what our server is told happens in the context of whoever made the connection.
   */
  writing(): void {
    if (this.exchange === null) this.#context = AsyncLocalStorage.snapshot() as InContext;
  }

  /** The context of the request that has just arrived. */
  get context(): InContext {
    return this.#context ?? here;
  }

  /** No further request is wanted: gone at once if none is being answered, else after it. */
  retire(): void {
    this.retired = true;
    if (this.exchange === null && !this.upgraded) this.client.destroy();
  }

  /** The answer is complete. */
  answered(): void {
    this.exchange = null;
    this.#context = null;
    if (this.retired) this.destroySoon();
  }

  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    const { exchange } = this;
    this.exchange = null;
    exchange?.abandon();
    super._destroy(error, callback);
  }
}

const here: InContext = (run, ...args) => run(...args);
