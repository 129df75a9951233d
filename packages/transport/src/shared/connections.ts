/**
 * @module The connections to one destination that speaks HTTP/2, and the requests that wait for one. node:http2 without
 * undici in between, for two reasons: a bare request costs about 0.7 of undici's, and it is known of each request whether the server has
 * looked at it. A destination that turns out to speak HTTP/1.1 only is left to connections for one request at a time.
 */
import type { Socket } from 'node:net';
import type { Clock } from '@fairlead/core';
import type { Connector } from '../connections/connector.js';
import type { Connections, Passenger } from '../connections/passenger.js';
import { parts } from '../door/parts.js';
import { SharedConnection, type SharedOwner, type SharedSettings } from './connection.js';
import { type Sender, StreamExchange } from './exchange.js';
import { publish } from './published.js';
import { requestHead } from './request-head.js';

/** What the connections of a destination have in common. */
export interface ConnectionsSettings extends Omit<SharedSettings, 'ageMs'> {
  readonly connections: number;
  /** How old the next connection may become, in ms; null for no limit. */
  drawAgeMs(): number | null;
}

/** Canceled requests among those that wait are looked for once there are more of them than this. */
const MANY = 64;

/** The connections to one destination. */
export class SharedConnections implements Connections, Sender, SharedOwner {
  readonly clock: Clock;
  readonly #url: string;
  readonly #scheme: string;
  readonly #authority: string;
  readonly #connector: Connector;
  readonly #settings: ConnectionsSettings;
  readonly #makeOther: () => Connections;
  /** For HTTP/1.1. */
  #other: Connections | null = null;
  /** Whether that is what the latest connection spoke. */
  #speaksOther = false;
  /** Those that take requests. */
  readonly #live: SharedConnection[] = [];
  /** Those that are not closed. */
  readonly #all: Set<SharedConnection> = new Set();
  #waiting: StreamExchange[] = [];
  #many = MANY;
  #isDialing = false;
  #isClosing = false;
  /** Why nothing is sent any more. */
  #destroyed: Error | null = null;
  readonly #closed: PromiseWithResolvers<void> = Promise.withResolvers<void>();

  /** @param makeOther makes those for HTTP/1.1 */
  constructor(
    url: string,
    connector: Connector,
    settings: ConnectionsSettings,
    clock: Clock,
    makeOther: () => Connections,
  ) {
    const { protocol, host } = new URL(url);
    this.#url = url;
    this.#scheme = protocol.slice(0, -1);
    this.#authority = host;
    this.#connector = connector;
    this.#settings = settings;
    this.clock = clock;
    this.#makeOther = makeOther;
  }

  /** Whoever waits when everything closes is still sent. */
  get closing(): boolean {
    return this.#isClosing && this.#waiting.length === 0;
  }

  dispatch(passenger: Passenger): void {
    if (this.#speaksOther && this.#live.length === 0) {
      this.#other?.dispatch(passenger);
      return;
    }
    const request = passenger.request();
    const published = publish(request, this.#url);
    const sent = published === null ? request : { ...request, headers: published.headers };
    let head: string[];
    try {
      head = requestHead(sent, this.#scheme, this.#authority);
    } catch (error) {
      published?.failed(error);
      passenger.onResponseError?.(null as never, error as Error);
      return;
    }
    const exchange = new StreamExchange(request, head, passenger, this, published);
    const connection = this.#room();
    if (connection === null) this.#wait(exchange);
    else exchange.send(connection);
  }

  /** Who waits or is under way here, is asked whether it is over. */
  leave(passenger: Passenger, clean: boolean): void {
    this.#other?.leave(passenger, clean);
  }

  /** The server has not looked at it. Others that wait have come later. */
  again(exchange: StreamExchange): void {
    if (this.#destroyed === null) {
      this.#waiting.unshift(exchange);
      this.freed();
    } else exchange.unconnected(this.#destroyed);
  }

  #room(): SharedConnection | null {
    for (let i = 0; i < this.#live.length; i++) {
      const connection = this.#live[i] as SharedConnection;
      if (connection.hasRoom) return connection;
    }
    return null;
  }

  #wait(exchange: StreamExchange): void {
    if (this.#waiting.length >= this.#many) {
      this.#waiting = this.#waiting.filter((each) => !each.isGivenUp());
      this.#many = Math.max(MANY, 2 * this.#waiting.length);
    }
    this.#waiting.push(exchange);
    this.#dial();
  }

  /** Sends what waits, as far as there is room. */
  freed(): void {
    while (this.#waiting.length > 0) {
      const connection = this.#room();
      if (connection === null) {
        this.#dial();
        break;
      }
      const exchange = this.#waiting.shift() as StreamExchange;
      if (!exchange.isGivenUp()) exchange.send(connection);
    }
    if (this.#isClosing) this.#finish();
  }

  /** Makes a connection, unless one is being made, or the room of those that there are is not known yet. */
  #dial(): void {
    if (this.#isDialing || this.#live.length >= this.#settings.connections) return;
    for (const connection of this.#live) if (!connection.isKnown) return;
    if (this.#waiting.every((each) => each.isGivenUp())) {
      this.#waiting = [];
      return;
    }
    this.#isDialing = true;
    try {
      this.#connector.connect({} as never, (error, socket) => {
        this.#isDialing = false;
        if (error !== null) this.#unconnected(error);
        else this.#connected(socket as Socket & { alpnProtocol?: unknown });
      });
    } catch (error) {
      // TLS does not begin with a certificate that is none.
      this.#isDialing = false;
      this.#unconnected(error as Error);
    }
  }

  #connected(socket: Socket & { alpnProtocol?: unknown }): void {
    this.#speaksOther = socket.alpnProtocol !== 'h2';
    if (this.#speaksOther) {
      this.#connector.keep(socket);
      this.#other ??= this.#makeOther();
      for (const each of this.#waiting.splice(0)) each.moveTo(this.#other);
    } else {
      const settings = { ...this.#settings, ageMs: this.#settings.drawAgeMs() };
      const connection = new SharedConnection(this.#url, socket, this, settings, this.clock);
      this.#all.add(connection);
      this.#live.push(connection);
    }
    this.freed();
  }

  /** All that wait share the failure, unless there are connections that they can wait for. */
  #unconnected(error: Error): void {
    if (this.#live.length === 0) for (const each of this.#waiting.splice(0)) each.unconnected(error);
    if (this.#isClosing) this.#finish();
  }

  /** Who waits for one of its streams would wait for the end of what is under way there. */
  retired(connection: SharedConnection): void {
    const at = this.#live.indexOf(connection);
    if (at >= 0) this.#live.splice(at, 1);
    this.freed();
  }

  closed(connection: SharedConnection): void {
    this.#all.delete(connection);
    this.freed();
  }

  close(): Promise<void> {
    this.#isClosing = true;
    this.#finish();
    return this.#closed.promise;
  }

  #finish(): void {
    if (this.#isDialing || this.#waiting.length > 0) return;
    for (const connection of [...this.#live]) if (connection.open === 0) connection.end();
    if (this.#all.size > 0) return;
    this.#closed.resolve(this.#other?.close());
  }

  destroy(): Promise<void> {
    const error = new parts.errors.ClientDestroyedError();
    this.#destroyed = error;
    for (const each of this.#waiting.splice(0)) each.unconnected(error);
    for (const connection of [...this.#all]) connection.destroy(error);
    const other = this.#other?.destroy();
    this.#other = null;
    return this.close().then(() => other);
  }
}
