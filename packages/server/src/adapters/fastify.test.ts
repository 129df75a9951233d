/**
 * Would catch a plugin that guards other routes than its instance has, that loses sight of a reply which fastify has been
 * told to leave alone, or that cannot be registered, or tested, in the ways that fastify has for that.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { createServer } from 'node:http';
import { type Call, type Middleware, rejected } from '@fairlead/core';
import { VirtualClock } from '@fairlead/testing';
import fastify, { type FastifyInstance } from 'fastify';
import { afterEach, describe, expect, it } from 'vitest';
import { ask, listen, recorder, stopServers } from '../../tests/harness.js';
import { callOf, createGuard, signalOf } from '../index.js';

const apps: FastifyInstance[] = [];

afterEach(async () => {
  for (const app of apps.splice(0)) await app.close();
  await stopServers();
});

function setUp(layers: readonly Middleware[] = []) {
  const clock = new VirtualClock();
  const seen = recorder();
  const context = new AsyncLocalStorage<Call>();
  const guard = createGuard({
    layers: [seen.layer, ...layers],
    maxTimeoutMs: 1_000,
    runtime: { clock },
    run: (call, work) => context.run(call, work),
  });
  const app = fastify();
  apps.push(app);
  return { ...seen, app, clock, context, guard };
}

async function serve(app: FastifyInstance): Promise<number> {
  await app.ready();
  return listen(createServer(app.routing));
}

const refusing: Middleware = () => Promise.reject(rejected('limit', null, 'no', 1_000));

describe('guard under fastify', () => {
  it('sees the end of a reply that was hijacked', async () => {
    const { app, guard, replies, ends } = setUp();
    await app.register(guard.fastify());
    app.get('/', (_request, reply) => {
      reply.hijack();
      reply.raw.writeHead(201, ['x-own', '1']);
      reply.raw.end('by hand');
    });
    expect(await ask(await serve(app))).toMatchObject({ status: 201, body: 'by hand' });
    expect(replies[0]?.status).toBe(201);
    expect(replies[0]?.headers['x-own']).toBe('1');
    expect(await ends[0]).toBeNull();
  });

  it('refuses before anything of the body is read, and before other hooks', async () => {
    const { app, guard } = setUp([refusing]);
    await app.register(guard.fastify());
    let ran = 0;
    app.addHook('onRequest', async () => {
      ran++;
    });
    app.addHook('preParsing', async () => {
      ran++;
    });
    app.post('/', async () => ran++);
    const { status } = await ask(await serve(app), { method: 'POST', body: '{"a":1}' });
    expect([status, ran]).toEqual([429, 0]);
  });

  it('registered inside, it guards what is inside', async () => {
    const { app, guard, replies } = setUp();
    app.get('/outside', async () => 'free');
    await app.register(async (inside) => {
      await inside.register(guard.fastify());
      inside.get('/inside', async () => 'guarded');
    });
    const port = await serve(app);
    expect((await ask(port, { path: '/outside' })).body).toBe('free');
    expect(replies).toHaveLength(0);
    expect((await ask(port, { path: '/inside' })).body).toBe('guarded');
    expect(replies).toHaveLength(1);
  });

  it('hands errors of layers to the error handler of the application', async () => {
    const { app, guard } = setUp([() => Promise.reject(new Error('from a layer'))]);
    await app.register(guard.fastify());
    app.setErrorHandler((error: Error, _request, reply) => reply.code(418).send(error.message));
    app.get('/', async () => 'never');
    expect(await ask(await serve(app))).toMatchObject({ status: 418, body: 'from a layer' });
  });

  it('keeps the context after a body, whatever parsed it', async () => {
    const { app, guard, context } = setUp();
    await app.register(guard.fastify());
    app.addContentTypeParser('text/odd', (_request, payload, done) => {
      payload.on('data', () => {});
      payload.on('end', () => done(null, 'odd'));
    });
    app.post('/', async (request) => `${String(request.body)} ${context.getStore() === callOf(request)}`);
    const headers = { 'content-type': 'text/odd' };
    expect((await ask(await serve(app), { method: 'POST', headers, body: 'x' })).body).toBe('odd true');
  });

  it('answers requests that are injected, and forgets them', async () => {
    const { app, guard, clock, ends } = setUp();
    await app.register(guard.fastify());
    app.post('/', async (request) => ({ got: request.body, aborted: signalOf(request)?.aborted }));
    const answer = await app.inject({ method: 'POST', url: '/', payload: { a: 1 } });
    expect(answer.json()).toEqual({ got: { a: 1 }, aborted: false });
    expect(await ends[0]).toBeNull();
    expect(clock.pending).toBe(0);
  });

  it('refuses requests that are injected', async () => {
    const { app, guard } = setUp([refusing]);
    await app.register(guard.fastify());
    app.get('/', async () => 'never');
    expect((await app.inject('/')).statusCode).toBe(429);
  });

  it('tells its name, and which fastify it is for', async () => {
    const { app, guard } = setUp();
    await app.register(guard.fastify());
    await app.ready();
    expect(app.printPlugins()).toContain('fairlead');
  });
});
