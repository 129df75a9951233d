/** @module Real servers, each wrong in one known way, clients around them, and a look at what is left behind. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import { type AddressInfo, createServer as createNetServer, type Server, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { type FairleadEvent, sleep, systemClock } from '@fairlead/core';
import { countResources, type ResourceCount } from '@fairlead/testing';
import { afterEach, beforeEach, expect } from 'vitest';
import { type Client, type ClientInit, createClient } from '../src/client.js';

/** A server of this process. */
export interface Site {
  readonly origin: string;
  /** Connections that are open now. */
  readonly sockets: ReadonlySet<Socket>;
  /** Connections that were ever accepted. */
  accepted: number;
  /** Requests whose head has arrived. */
  requests: number;
}

/** A server in another process. */
export interface Replica {
  readonly origin: string;
  readonly process: ChildProcess;
  /** Requests that have arrived. */
  requests: number;
}

/** A client, and everything that it has told. */
export interface Told extends Client {
  readonly events: FairleadEvent[];
}

/** Everything that one test has opened. */
export class World {
  readonly unhandled: unknown[] = [];
  /** Whether the connections are the clients', and have to go with them. */
  readonly ownConnections: boolean;
  readonly #closing: (() => Promise<void> | void)[] = [];
  readonly #clients: Told[] = [];
  readonly #sites: Site[] = [];
  #resources: ResourceCount = countResources();
  readonly #onUnhandled = (reason: unknown): void => void this.unhandled.push(reason);

  constructor(ownConnections: boolean) {
    this.ownConnections = ownConnections;
  }

  begin(): void {
    this.#resources = countResources();
    process.on('unhandledRejection', this.#onUnhandled);
  }

  /** Nothing may be in flight, and after the clients are closed neither a socket nor a timer may be left. */
  async end(): Promise<void> {
    try {
      for (const client of this.#clients.splice(0)) {
        await until(() => loads(client).every((load) => load === 0), `loads back to 0, but ${loads(client)}`);
        await client.close();
      }
      for (const { sockets } of this.#sites.splice(0)) {
        if (this.ownConnections) await until(() => sockets.size === 0, 'connections closed');
      }
    } finally {
      for (const close of this.#closing.splice(0).reverse()) await close();
      // A rejection is told as unhandled in the turn after.
      await sleep(systemClock, 1);
      process.off('unhandledRejection', this.#onUnhandled);
    }
    await this.#resources.check(3_000);
    expect(this.unhandled.splice(0)).toEqual([]);
  }

  client(init: ClientInit): Told {
    const events: FairleadEvent[] = [];
    const client = { ...createClient({ environment: false, on: (event) => events.push(event), ...init }), events };
    this.#clients.push(client);
    return client;
  }

  /** A client for one service, `svc`. */
  service(from: readonly string[], options: Omit<NonNullable<ClientInit['defaults']>, 'from'> = {}): Told {
    return this.client({ services: { svc: { from, ...options } } });
  }

  http(listener: RequestListener): Promise<Site> {
    const site = this.#site();
    return this.#listen(
      createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
        site.requests++;
        listener(request, response);
      }),
      site,
    );
  }

  /** A server that says to each request whatever `onRequest` writes. */
  raw(onRequest: (socket: Socket, n: number) => void): Promise<Site> {
    const site = this.#site();
    const server = createNetServer((socket) => {
      socket.on('data', (data) => {
        const heads = data.toString('latin1').split('\r\n\r\n').length - 1;
        for (let i = 0; i < heads; i++) onRequest(socket, ++site.requests);
      });
    });
    return this.#listen(server, site);
  }

  /** An origin where nobody listens. */
  async refusing(): Promise<string> {
    const server = createNetServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    server.close();
    await once(server, 'close');
    return `http://127.0.0.1:${port}`;
  }

  async replica(env: { DELAY?: string; PORT?: string } = {}): Promise<Replica> {
    const script = fileURLToPath(new URL('replica.mjs', import.meta.url));
    const child = spawn(process.execPath, [script], { env, stdio: ['pipe', 'pipe', 'inherit'] });
    this.#closing.push(async () => {
      if (child.exitCode === null && child.signalCode === null) {
        const closed = once(child, 'close');
        child.kill('SIGKILL');
        await closed;
      }
    });
    const lines = createInterface(child.stdout);
    const [first] = (await once(lines, 'line')) as [string];
    const replica = { origin: `http://127.0.0.1:${first.split(' ')[1]}`, process: child, requests: 0 };
    lines.on('line', () => replica.requests++);
    return replica;
  }

  #site(): Site {
    const site: Site = { origin: '', sockets: new Set(), accepted: 0, requests: 0 };
    this.#sites.push(site);
    return site;
  }

  async #listen(server: Server, site: Site): Promise<Site> {
    const sockets = site.sockets as Set<Socket>;
    server.on('connection', (socket: Socket) => {
      site.accepted++;
      sockets.add(socket);
      socket.on('error', () => {}).once('close', () => sockets.delete(socket));
    });
    server.listen(0, '127.0.0.1', 4_096);
    await once(server, 'listening');
    this.#closing.push(async () => {
      const closed = once(server, 'close');
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    });
    return Object.assign(site, { origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}` });
  }
}

/** A world for each test of a file. */
export function worlds({ ownConnections = true } = {}): World {
  const world = new World(ownConnections);
  beforeEach(() => world.begin());
  afterEach(() => world.end());
  return world;
}

/** What a client has in flight at each endpoint of `svc`. */
export function loads(client: Pick<Client, 'describe'>): number[] {
  return Object.values(client.describe()).flatMap(({ endpoints }) => endpoints.map(({ inFlight }) => inFlight));
}

/** A signal of a caller who counts the time himself. */
export function signalAfter(ms: number): AbortSignal {
  return AbortSignal.timeout(ms);
}

/** Waits for something that nobody tells. */
export async function until(
  condition: () => boolean,
  what: string = condition.toString(),
  withinMs = 5_000,
): Promise<void> {
  const end = systemClock.now() + withinMs;
  while (!condition()) {
    if (systemClock.now() > end) throw new Error(`not within ${withinMs} ms: ${what}`);
    await sleep(systemClock, 2);
  }
}

/** What a call gave its caller. */
export type Got =
  | { readonly status: number; readonly text: string; readonly ms: number }
  | { readonly error: Failure; readonly ms: number };

/** An error of a door of fetch, and of ours beneath it. */
export interface Failure extends Error {
  readonly cause?: Error & {
    code?: string;
    of?: string;
    by?: string;
    phase?: string;
    state?: string;
    attempts?: unknown[];
  };
}

/** Makes one call and reads it to its end. */
export async function get(
  fetch: Client['fetch'],
  init?: Parameters<Client['fetch']>[1],
  url = 'http://svc/',
): Promise<Got> {
  const at = systemClock.now();
  try {
    const reply = await fetch(url, init);
    return { status: reply.status, text: await reply.text(), ms: systemClock.now() - at };
  } catch (error) {
    return { error: error as Failure, ms: systemClock.now() - at };
  }
}

/** Makes `count` calls, `concurrency` at a time. */
export async function load(fetch: Client['fetch'], count: number, concurrency = 32): Promise<Got[]> {
  const all: Got[] = [];
  let begun = 0;
  await Promise.all(
    Array.from({ length: concurrency }, async () => {
      while (begun++ < count) all.push(await get(fetch));
    }),
  );
  return all;
}

/** How calls ended, by kind: `200`, `ERR_TIMEOUT`, `terminated ERR_TRANSPORT`. */
export function tally(all: readonly Got[]): Record<string, number> {
  const kinds: Record<string, number> = {};
  for (const got of all) {
    const kind = 'status' in got ? String(got.status) : kindOf(got.error);
    kinds[kind] = (kinds[kind] ?? 0) + 1;
  }
  return kinds;
}

function kindOf({ message, name, cause }: Failure): string {
  if (cause?.code === undefined) return name;
  const kind = [cause.code, cause.of ?? cause.by ?? cause.phase ?? cause.state].filter(Boolean).join(' ');
  return message === 'terminated' ? `terminated: ${kind}` : kind;
}

/** How many attempts a client has made. */
export function attempts({ events }: Told): number {
  return events.filter(({ type }) => type === 'attempt.ended' || type === 'attempt.failed').length;
}
