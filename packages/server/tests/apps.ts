/** @module The same small application in the own way of each framework, for the conformance suite. */
import { Readable } from 'node:stream';
import { getRequestListener } from '@hono/node-server';
import express from 'express';
import fastify from 'fastify';
import { Hono } from 'hono';
import { type Guard, type GuardedRequest, signalOf } from '../src/index.js';
import type { AdapterName, TestHandler } from './harness.js';

/** What a test may want to decide or to know. */
export interface AppHooks {
  /** Makes `/stream` go on after its first piece. */
  readonly more: Promise<unknown>;
  /** Is told that `/hang` was entered, with the signal of its request. */
  hanging(signal: AbortSignal): void;
  /** What `/echo` finds in its context, once it has read its body. */
  context(): string;
}

const never = new Promise<never>(() => {});

/** `first `, then `last`; or, if it breaks, an error in the place of that. */
async function* pieces(more: Promise<unknown>, breaks: boolean): AsyncGenerator<string> {
  yield 'first ';
  await more;
  if (breaks) throw new Error('secret');
  yield 'last';
}

function hang(request: GuardedRequest, hooks: AppHooks): Promise<never> {
  hooks.hanging(signalOf(request) as AbortSignal);
  return never;
}

function onNode(guard: Guard, hooks: AppHooks): TestHandler {
  return guard.node((req, res): unknown => {
    switch (req.url) {
      case '/sync':
        return res.end('sync');
      case '/async':
        return Promise.resolve().then(() => res.end('async'));
      case '/stream':
      case '/broken': {
        const body = Readable.from(pieces(hooks.more, req.url === '/broken'));
        body.on('error', () => res.destroy());
        return body.pipe(res);
      }
      case '/throw':
        throw new Error('secret');
      case '/reject':
        return Promise.resolve().then(() => Promise.reject(new Error('secret')));
      case '/hang':
        return hang(req, hooks);
      case '/echo':
        return Readable.prototype.toArray
          .call(req)
          .then((chunks) => res.end(`${Buffer.concat(chunks).toString().toUpperCase()} ${hooks.context()}`));
      default:
        res.statusCode = 404;
        return res.end();
    }
  });
}

function onExpress(guard: Guard, hooks: AppHooks): TestHandler {
  const app = express();
  // Keeps express from printing the errors of the tests.
  app.set('env', 'test');
  app.use(guard.express());
  app.get('/sync', (_req, res) => {
    res.end('sync');
  });
  app.get('/async', async (_req, res) => {
    await null;
    res.end('async');
  });
  for (const path of ['/stream', '/broken']) {
    app.get(path, (_req, res) => {
      const body = Readable.from(pieces(hooks.more, path === '/broken'));
      body.on('error', () => res.destroy());
      body.pipe(res);
    });
  }
  app.get('/throw', () => {
    throw new Error('secret');
  });
  app.get('/reject', async () => {
    await null;
    throw new Error('secret');
  });
  app.all('/hang', (req) => hang(req, hooks));
  app.post('/echo', express.text(), (req, res) => {
    res.end(`${(req.body as string).toUpperCase()} ${hooks.context()}`);
  });
  return app;
}

async function onFastify(guard: Guard, hooks: AppHooks): Promise<TestHandler> {
  const app = fastify();
  await app.register(guard.fastify());
  app.get('/sync', (_request, reply) => {
    reply.send('sync');
  });
  app.get('/async', async () => {
    await null;
    return 'async';
  });
  app.get('/stream', () => Readable.from(pieces(hooks.more, false)));
  app.get('/broken', () => Readable.from(pieces(hooks.more, true)));
  app.get('/throw', () => {
    throw new Error('secret');
  });
  app.get('/reject', async () => {
    await null;
    throw new Error('secret');
  });
  app.get('/hang', (request) => hang(request, hooks));
  app.post('/hang', () => never);
  app.addContentTypeParser('application/upload', (request, _payload, done) => {
    hooks.hanging(signalOf(request) as AbortSignal);
    void done;
  });
  app.post('/echo', (request) => `${(request.body as string).toUpperCase()} ${hooks.context()}`);
  await app.ready();
  return app.routing;
}

function onHono(guard: Guard, hooks: AppHooks): TestHandler {
  return getRequestListener(honoApp(guard, hooks).fetch);
}

function onFetch(guard: Guard, hooks: AppHooks): TestHandler {
  return getRequestListener(guard.fetch(honoRoutes(new Hono(), hooks).fetch));
}

/** The one with hono, which also runs without any server. */
export function honoApp(guard: Guard, hooks: AppHooks, address?: () => string): Hono {
  return honoRoutes(new Hono().use(guard.hono({ address })), hooks);
}

/** The same with the guard around it. */
export function honoRoutes(app: Hono, hooks: AppHooks): Hono {
  app.get('/sync', (c) => c.text('sync'));
  app.get('/async', async (c) => {
    await null;
    return c.text('async');
  });
  app.get('/stream', (c) =>
    c.body(Readable.toWeb(Readable.from(pieces(hooks.more, false)).map(bytes)) as ReadableStream),
  );
  app.get('/broken', (c) =>
    c.body(Readable.toWeb(Readable.from(pieces(hooks.more, true)).map(bytes)) as ReadableStream),
  );
  app.get('/throw', () => {
    throw new Error('secret');
  });
  app.get('/reject', async () => {
    await null;
    throw new Error('secret');
  });
  app.all('/hang', (c) => hang(c.req, hooks));
  app.post('/echo', async (c) => c.text(`${(await c.req.text()).toUpperCase()} ${hooks.context()}`));
  app.onError((_error, c) => c.text('failed', 500));
  return app;
}

const bytes = (text: string): Uint8Array => Buffer.from(text);

/** The listener of the application behind `guard`. */
export async function application(adapter: AdapterName, guard: Guard, hooks: AppHooks): Promise<TestHandler> {
  return { node: onNode, express: onExpress, fastify: onFastify, hono: onHono, fetch: onFetch }[adapter](guard, hooks);
}
