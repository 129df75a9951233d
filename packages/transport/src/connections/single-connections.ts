/**
 * @module Connections to one destination that carry one request at a time, over one undici Client each. undici's own Pool
 * does the same and costs more: for each request it looks through its clients for a free one, tells itself by an event that
 * it is free again, and keeps what waits as an object of its own, even after it was canceled (measured: 3 % of a bare
 * request, 10 % where requests wait for connections, which is also where one that waits is written a turn of the event loop
 * sooner).
 */
import type { Connections, Passenger } from './passenger.js';
import type { PoolClient } from './pool-client.js';
import { WaitingRoom } from './waiting-room.js';

/** At most `max` connections; the rest waits. */
export class SingleConnections implements Connections {
  readonly #max: number;
  readonly #make: () => PoolClient;
  readonly #all: Set<PoolClient> = new Set();
  /** Free; the one used last is on top, so that those that are not needed grow old and end. Some have lost their socket. */
  readonly #idle: PoolClient[] = [];
  /** Free, and without a socket. */
  readonly #bare: PoolClient[] = [];
  readonly #room: WaitingRoom<Passenger> = new WaitingRoom();
  #closed: Promise<void> | null = null;
  #onClosed: () => void = () => {};

  constructor(max: number, make: () => PoolClient) {
    this.#max = max;
    this.#make = make;
  }

  dispatch(passenger: Passenger): void {
    const client = this.#room.empty ? this.#free() : null;
    if (client === null) this.#room.push(passenger);
    else send(client, passenger);
  }

  #free(): PoolClient | null {
    const idle = this.#idle;
    for (let client = idle.pop(); client !== undefined; client = idle.pop()) {
      if (client.connected) return client;
      this.#bare.push(client);
    }
    const bare = this.#bare.pop();
    if (bare !== undefined) return bare;
    if (this.#all.size >= this.#max) return null;
    const made = this.#make();
    this.#all.add(made);
    return made;
  }

  leave(passenger: Passenger, clean: boolean): void {
    const client = passenger.carrier;
    if (client === null) {
      this.#room.remove(passenger);
      return;
    }
    passenger.carrier = null;
    // undici takes the next from within what it tells at the end of a good answer, and sends it once it is done with this
    // one. What failed may be about to be cut off.
    if (clean) this.#next(client);
    else queueMicrotask(() => this.#next(client));
  }

  #next(client: PoolClient): void {
    if (client.destroyed) return;
    let next = this.#room.shift();
    while (next?.late()) next = this.#room.shift();
    if (next !== null) send(client, next);
    else if (this.#closed === null) this.#idle.push(client);
    else void this.#end(client);
  }

  close(): Promise<void> {
    this.#closed ??= new Promise((resolve) => {
      this.#onClosed = resolve;
      for (const client of this.#idle.splice(0)) void this.#end(client);
      for (const client of this.#bare.splice(0)) void this.#end(client);
      if (this.#all.size === 0) resolve();
    });
    return this.#closed;
  }

  async #end(client: PoolClient): Promise<void> {
    await client.close();
    this.#all.delete(client);
    if (this.#all.size === 0) this.#onClosed();
  }

  async destroy(): Promise<void> {
    void this.close();
    const all = [...this.#all];
    const ends = all.map((client) => client.destroy());
    // Whoever waits hears it from one that is no more. There is one: nobody waits but for those that are busy.
    for (let left = this.#room.shift(); left !== null; left = this.#room.shift()) send(all[0] as PoolClient, left);
    await Promise.all(ends);
    this.#all.clear();
    this.#onClosed();
  }
}

function send(client: PoolClient, passenger: Passenger): void {
  passenger.carrier = client;
  client.dispatch(passenger.request(), passenger);
}
