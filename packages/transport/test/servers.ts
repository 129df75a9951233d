/** @module Real servers on a free port of 127.0.0.1, and calls to them, for the tests of this package. */
import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http';
import { type AddressInfo, createServer as createNetServer, type Server as NetServer, type Socket } from 'node:net';
import {
  type Call,
  type CallInit,
  createCall,
  createEndpoint,
  type Endpoint,
  Scope,
  systemClock,
} from '@fairlead/core';

export interface TestServer {
  readonly origin: string;
  readonly port: number;
  readonly endpoint: Endpoint;
  /** Connections that were ever accepted. */
  readonly accepted: number;
  /** Connections that are open now. */
  readonly sockets: ReadonlySet<Socket>;
  /** Resolves when no connection is open. */
  quiet(): Promise<void>;
  close(): Promise<void>;
}

/** Any server, on a free port. */
export async function serve(server: Server | NetServer, scheme: 'http' | 'https' = 'http'): Promise<TestServer> {
  const sockets = new Set<Socket>();
  const waiting: (() => void)[] = [];
  let accepted = 0;
  server.on('connection', (socket: Socket) => {
    accepted++;
    sockets.add(socket);
    socket.on('error', () => {});
    socket.once('close', () => {
      sockets.delete(socket);
      if (sockets.size === 0) for (const resolve of waiting.splice(0)) resolve();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const origin = `${scheme}://127.0.0.1:${port}`;
  return {
    origin,
    port,
    endpoint: createEndpoint(origin),
    get accepted() {
      return accepted;
    },
    sockets,
    quiet: () => (sockets.size === 0 ? Promise.resolve() : new Promise((resolve) => waiting.push(resolve))),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}

/** A node:http server. */
export function httpServer(listener: RequestListener): Promise<TestServer> {
  return serve(createServer({ keepAliveTimeout: 0 }, listener));
}

/** A server that speaks whatever `onRequest` writes; it is called once for every head that arrives. */
export function rawServer(onRequest: (socket: Socket, head: string, n: number) => void): Promise<TestServer> {
  let n = 0;
  return serve(
    createNetServer((socket) => {
      let text = '';
      socket.on('data', (data) => {
        text += data.toString('latin1');
        for (let end = text.indexOf('\r\n\r\n'); end >= 0; end = text.indexOf('\r\n\r\n')) {
          const head = text.slice(0, end);
          text = text.slice(end + 4);
          if (/^[A-Z]+ /.test(head)) onRequest(socket, head, ++n);
        }
      });
    }),
  );
}

/** A port on which nobody listens. */
export async function closedPort(): Promise<Endpoint> {
  const server = await rawServer(() => {});
  await server.close();
  return server.endpoint;
}

/** Begins a call to `server` on the real clock. */
export function call(to: { endpoint: Endpoint } | Endpoint, init: Partial<CallInit> = {}): Call {
  const endpoint = 'endpoint' in to ? to.endpoint : to;
  const runtime = init.runtime ?? { clock: systemClock };
  return createCall({ service: 'payments', ...init, runtime }).with({ endpoint });
}

/** A scope that expires as an attempt after `ms` of real time. */
export function expiring(ms: number): Scope {
  const scope = new Scope(systemClock);
  scope.expireAt(systemClock.now() + ms, 'attempt', ms);
  return scope;
}

/** The request's body as text. */
export async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}

/** What `promise` rejects with. */
// biome-ignore lint/suspicious/noExplicitAny: tests look at whatever an error has
export async function rejection(promise: Promise<unknown>): Promise<any> {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error('did not reject');
}

/** A promise, and what settles it. */
export function gate<T = void>(): { promise: Promise<T>; open(value: T): void } {
  const { promise, resolve } = Promise.withResolvers<T>();
  return { promise, open: resolve };
}

/** Lets the event loop turn until `condition` holds. */
export async function until(condition: () => boolean): Promise<void> {
  for (let turns = 0; !condition(); turns++) {
    if (turns > 100_000) throw new Error('never came true');
    await nextTurn();
  }
}

/** One turn of the event loop. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
