/** @module Real servers under each adapter, and clients that say exactly what a test wants to say. */
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  request,
  type Server,
  type ServerResponse,
} from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import type { CanceledError, EndListener, Middleware, Reply } from '@fairlead/core';
import { getRequestListener } from '@hono/node-server';
import express from 'express';
import fastify from 'fastify';
import { Hono } from 'hono';
import type { Guard } from '../src/index.js';

export type AdapterName = 'node' | 'express' | 'fastify' | 'hono' | 'fetch';
export const adapters: readonly AdapterName[] = ['node', 'express', 'fastify', 'hono', 'fetch'];

/** Works under all adapters: each of them lets a handler have Node's own request and response. */
export type TestHandler = (request: IncomingMessage, response: ServerResponse) => unknown;

const running = new Set<Server>();

/**
 * Says to @hono/node-server that Node's response is in use. Its own constant does not outlive hono's way with HEAD, which is a
 * copy of what a handler of GET returns: the copy is written out after Node's own answer, and the error of that is printed.
 */
function alreadySent(): Response {
  const response = new Response(null, { headers: { 'x-hono-already-sent': 'true' } });
  void response.body;
  return response;
}

/** Puts `guard` in front of `handler`; returns the listener. */
export async function adapt(adapter: AdapterName, guard: Guard, handler: TestHandler): Promise<TestHandler> {
  switch (adapter) {
    case 'node':
      return guard.node(handler);
    case 'express': {
      const app = express();
      // Keeps express from printing the errors of the tests.
      app.set('env', 'test');
      app.use(guard.express());
      app.use((req, res) => handler(req, res));
      return app;
    }
    case 'fastify': {
      const app = fastify();
      await app.register(guard.fastify());
      app.removeAllContentTypeParsers();
      app.addContentTypeParser('*', (_request, _payload, done) => done(null));
      app.all('*', (request, reply) => handler(request.raw, reply.raw));
      await app.ready();
      return app.routing;
    }
    case 'fetch':
    case 'hono': {
      const app = new Hono<{ Bindings: { incoming: IncomingMessage; outgoing: ServerResponse } }>();
      if (adapter === 'hono') app.use(guard.hono());
      // Hono prints errors otherwise; and so does its server, of a head for an answer of Node's that has begun.
      app.onError((_error, c) => {
        if (!c.env.outgoing.headersSent) return c.text('', 500);
        c.env.outgoing.destroy();
        return alreadySent();
      });
      app.all('*', async (c) => {
        await handler(c.env.incoming, c.env.outgoing);
        return alreadySent();
      });
      return getRequestListener(adapter === 'hono' ? app.fetch : guard.fetch(app.fetch));
    }
  }
}

export async function listen(server: Server): Promise<number> {
  running.add(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

/** Starts a server on a free port. */
export async function start(
  adapter: AdapterName,
  guard: Guard,
  handler: TestHandler,
): Promise<{ server: Server; port: number }> {
  const server = createServer(await adapt(adapter, guard, handler));
  return { server, port: await listen(server) };
}

/** Stops every server of a test; for `afterEach`. */
export async function stopServers(): Promise<void> {
  for (const server of running) {
    running.delete(server);
    await new Promise((resolve) => {
      server.close(resolve);
      server.closeAllConnections?.();
    });
  }
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** One request on a connection of its own, which it leaves to the server to end. */
export function ask(
  port: number,
  options: {
    method?: string;
    path?: string;
    headers?: Record<string, string | string[]>;
    body?: string;
    agent?: import('node:http').Agent;
  } = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const { body, headers, ...rest } = options;
    const outgoing = request(
      { host: '127.0.0.1', port, agent: false, headers: { connection: 'keep-alive', ...headers }, ...rest },
      (incoming) => {
        const chunks: Buffer[] = [];
        incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
        incoming.on('error', reject);
        incoming.on('end', () =>
          resolve({
            status: incoming.statusCode ?? 0,
            headers: incoming.headers,
            body: Buffer.concat(chunks).toString(),
          }),
        );
      },
    );
    outgoing.on('error', reject);
    outgoing.end(body);
  });
}

/** A connection on which anything can be said. */
export class Wire {
  received = '';
  readonly closed: Promise<void>;
  /** Set if the connection was reset rather than closed. */
  error: NodeJS.ErrnoException | null = null;
  readonly socket: Socket;
  #waiting: (() => void) | null = null;

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (chunk: Buffer) => {
      this.received += chunk.toString('latin1');
      this.#waiting?.();
    });
    socket.on('error', (error) => {
      this.error = error;
    });
    this.closed = new Promise((resolve) =>
      socket.on('close', () => {
        this.#waiting?.();
        resolve();
      }),
    );
  }

  static async open(port: number): Promise<Wire> {
    const socket = connect(port, '127.0.0.1');
    const wire = new Wire(socket);
    await new Promise<void>((resolve) => socket.once('connect', resolve));
    return wire;
  }

  say(text: string): void {
    this.socket.write(text);
  }

  get(path: string, headers = ''): void {
    this.say(`GET ${path} HTTP/1.1\r\nhost: x\r\n${headers}\r\n`);
  }

  /** Waits until what was received holds `text` `times` times; rejected if the connection closes before. */
  async hears(text: string, times = 1): Promise<string> {
    while (this.received.split(text).length <= times) {
      if (this.socket.destroyed) throw new Error(`closed without ${JSON.stringify(text)}; heard ${this.received}`);
      await new Promise<void>((resolve) => {
        this.#waiting = resolve;
      });
    }
    return this.received;
  }
}

/** A promise and its ends. */
export function gateway<T = void>(): { readonly opened: Promise<T>; open(value: T): void } {
  const { promise, resolve } = Promise.withResolvers<T>();
  return { opened: promise, open: resolve };
}

/** A layer that keeps what passed through it. */
export function recorder(): { layer: Middleware; replies: Reply[]; errors: unknown[]; ends: Promise<unknown>[] } {
  const seen = { replies: [] as Reply[], errors: [] as unknown[], ends: [] as Promise<unknown>[] };
  const layer: Middleware = async (call, next) => {
    try {
      const reply = await next(call);
      seen.replies.push(reply);
      seen.ends.push(new Promise((resolve) => reply.onEnd(resolve as EndListener)));
      return reply;
    } catch (error) {
      seen.errors.push(error as CanceledError);
      throw error;
    }
  };
  return { layer, ...seen };
}
