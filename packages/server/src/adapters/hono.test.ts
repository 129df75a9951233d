/**
 * Would catch a guard that stops at the borders of Node: where there are only WHATWG requests and responses, an answer that
 * loses its headers or its body, a request that never counts as over, and a client that nobody can tell from another.
 */
import { type CanceledError, createReply, type Middleware, rejected } from '@fairlead/core';
import { VirtualClock } from '@fairlead/testing';
import { Hono } from 'hono';
import { describe, expect, it, vi } from 'vitest';
import { honoApp } from '../../tests/apps.js';
import { gateway, recorder } from '../../tests/harness.js';
import {
  callOf,
  clientAddress,
  createDrain,
  createGuard,
  type GuardOptions,
  healthRoutes,
  type Limiter,
  rateLimit,
  requestOf,
  signalOf,
} from '../index.js';

function setUp(layers: readonly Middleware[] = [], options: Partial<GuardOptions> = {}) {
  const clock = new VirtualClock();
  const seen = recorder();
  const errors: unknown[] = [];
  const guard = createGuard({
    layers: [seen.layer, ...layers],
    maxTimeoutMs: 1_000,
    runtime: { clock },
    onError: (error) => errors.push(error),
    ...options,
  });
  const more = gateway();
  const hanging = gateway<AbortSignal>();
  const hooks = { more: more.opened, hanging: (signal: AbortSignal) => hanging.open(signal), context: () => 'there' };
  return { ...seen, guard, clock, more, hanging, hooks, app: honoApp(guard, hooks), printed: errors };
}

const key = (): string => 'me';
const limiter: Limiter = {
  take: () => ({ allowed: true, limit: 10, remaining: 9, resetMs: 100, retryAfterMs: 0 }),
  perSecond: 1,
  burst: 10,
};
const url = 'https://shop.example';

describe('guard under hono without Node', () => {
  it.each([
    ['a handler', '/sync', 200, 'sync'],
    ['a stream', '/stream', 200, 'first last'],
    ['no route', '/nowhere', 404, '404 Not Found'],
    ['a handler that throws', '/throw', 500, 'failed'],
    ['a handler that is rejected', '/reject', 500, 'failed'],
  ])('%s', async (_what, path, status, body) => {
    const { app, more, clock, replies, ends } = setUp([rateLimit({ limiter, key })]);
    more.open();
    const response = await app.fetch(new Request(url + path));
    expect(response.status).toBe(status);
    expect(response.headers.get('ratelimit')).toBe('"default";r=9;t=1');
    expect(replies[0]).toMatchObject({ status, headers: { ratelimit: '"default";r=9;t=1' } });
    if (path === '/sync') expect(replies[0]?.headers['content-type']).toContain('text/plain');
    expect(await response.text()).toBe(body);
    expect(await ends[0]).toBeNull();
    expect(clock.pending).toBe(0);
  });

  it('a body, a request for the head only, and cookies', async () => {
    const { guard, hooks, ends } = setUp([rateLimit({ limiter, key })]);
    const app = honoApp(guard, hooks);
    app.get('/cookies', (c) => {
      c.header('set-cookie', 'a=1', { append: true });
      c.header('set-cookie', 'b=2', { append: true });
      return c.body(null, 204);
    });
    const echoed = await app.fetch(new Request(`${url}/echo`, { method: 'POST', body: 'hello' }));
    expect(await echoed.text()).toBe('HELLO there');
    const head = await app.fetch(new Request(`${url}/sync`, { method: 'HEAD' }));
    expect([head.status, head.body, head.headers.has('ratelimit')]).toEqual([200, null, true]);
    const cookies = await app.fetch(new Request(`${url}/cookies`));
    expect([cookies.status, cookies.headers.getSetCookie()]).toEqual([204, ['a=1', 'b=2']]);
    expect(await Promise.all(ends)).toEqual([null, null, null]);
  });

  it('is over when the client has read all, not before', async () => {
    const { app, more, ends, clock } = setUp();
    const response = await app.fetch(new Request(`${url}/stream`));
    const reader = (response.body as ReadableStream<Uint8Array>).getReader();
    expect(Buffer.from((await reader.read()).value as Uint8Array).toString()).toBe('first ');
    let over = false;
    void ends[0]?.then(() => {
      over = true;
    });
    await Promise.resolve();
    expect([over, clock.pending]).toEqual([false, 1]);
    more.open();
    await reader.read();
    expect((await reader.read()).done).toBe(true);
    expect(await ends[0]).toBeNull();
    expect(clock.pending).toBe(0);
  });

  it('an answer that nobody wants any more, or that breaks, counts as broken off', async () => {
    const { app, more, ends, clock } = setUp();
    const unwanted = await app.fetch(new Request(`${url}/stream`));
    await unwanted.body?.cancel();
    expect(await ends[0]).toMatchObject({ code: 'ERR_CANCELED' });
    more.open();
    const broken = await app.fetch(new Request(`${url}/broken`));
    await expect(broken.text()).rejects.toThrow('secret');
    expect(await ends[1]).toMatchObject({ code: 'ERR_CANCELED' });
    expect(clock.pending).toBe(0);
  });

  it('a client that goes away cancels the signal, and so does the deadline', async () => {
    const { app, hanging, clock, errors } = setUp();
    const client = new AbortController();
    void app.fetch(new Request(`${url}/hang`, { signal: client.signal }));
    const signal = await hanging.opened;
    client.abort();
    expect(signal.reason as CanceledError).toMatchObject({ code: 'ERR_CANCELED' });
    await vi.waitFor(() => expect(errors).toHaveLength(1));
    expect(clock.pending).toBe(0);
    const late = setUp();
    void late.app.fetch(new Request(`${url}/hang`));
    await late.hanging.opened;
    await late.clock.advance(1_000);
    expect((await late.hanging.opened).reason).toMatchObject({ code: 'ERR_TIMEOUT' });
  });

  it('refuses in the same words as with Node', async () => {
    const refuse: Middleware = (call) => Promise.reject(rejected('limit', call.service, 'no', 2_000));
    const { app, clock } = setUp([rateLimit({ limiter, key }), refuse]);
    const response = await app.fetch(new Request(`${url}/sync`));
    expect(response.status).toBe(429);
    expect(Object.fromEntries(response.headers)).toEqual({
      'content-type': 'application/problem+json',
      'content-length': '111',
      'ratelimit-policy': '"default";q=10;w=10',
      ratelimit: '"default";r=9;t=1',
      'retry-after': '2',
    });
    expect(await response.json()).toMatchObject({ title: 'Quota exceeded', status: 429 });
    expect((await app.fetch(new Request(url, { headers: { 'x-request-timeout-ms': '0' } }))).status).toBe(504);
    const head = await app.fetch(new Request(url, { method: 'HEAD' }));
    expect([head.status, head.body]).toEqual([429, null]);
    expect(clock.pending).toBe(0);
  });

  it('sends a reply that a layer has made itself', async () => {
    const layers: Middleware[] = [
      async () => createReply({ status: 203, headers: { 'x-from': 'layer', connection: 'close' }, body: 'cached' }),
    ];
    const { app, ends } = setUp(layers);
    const response = await app.fetch(new Request(`${url}/sync`));
    expect([response.status, response.headers.get('x-from'), response.headers.get('connection')]).toEqual([
      203,
      'layer',
      null,
    ]);
    expect(await response.text()).toBe('cached');
    expect(await Promise.all(ends)).toEqual([null]);
  });

  it('hands errors of layers to the application', async () => {
    const { app, printed } = setUp([() => Promise.reject(new Error('from a layer'))]);
    expect(await (await app.fetch(new Request(`${url}/sync`))).text()).toBe('failed');
    expect(printed).toEqual([]);
  });

  it('tells callers apart by the address that it is told', async () => {
    const asked: string[] = [];
    const counting: Limiter = {
      ...limiter,
      take: (caller) => {
        asked.push(caller);
        return { allowed: true, limit: 1, remaining: 1, resetMs: 0, retryAfterMs: 0 };
      },
    };
    const layers = [rateLimit({ limiter: counting, key: clientAddress({ trustedProxies: ['10.0.0.0/8'] }) })];
    const { guard, hooks } = setUp(layers);
    const addresses = ['192.0.2.1', '10.1.2.3'];
    const app = honoApp(guard, hooks, () => addresses.shift() as string);
    const headers = { 'x-forwarded-for': '203.0.113.9' };
    await app.fetch(new Request(`${url}/sync`, { headers }));
    await app.fetch(new Request(`${url}/sync`, { headers }));
    const anybody = setUp(layers);
    await anybody.app.fetch(new Request(`${url}/sync`, { headers }));
    expect(asked).toEqual(['192.0.2.1', '203.0.113.9', 'local']);
  });

  it('answers probes, and a drain waits for the requests that are open', async () => {
    const clock = new VirtualClock();
    const drain = createDrain({ signals: [], delayMs: 100, timeoutMs: 10_000, runtime: { clock } });
    const { app, more } = setUp([], { drain, health: healthRoutes() });
    expect(await (await app.fetch(new Request(`${url}/readyz?x=1`))).json()).toEqual({ status: 'ok' });
    const response = await app.fetch(new Request(`${url}/stream`));
    void drain.start();
    expect((await app.fetch(new Request(`${url}/readyz`))).status).toBe(503);
    let done = false;
    void drain.done.then(() => {
      done = true;
    });
    await clock.advance(5_000);
    expect(done).toBe(false);
    more.open();
    expect(await response.text()).toBe('first last');
    expect(await drain.done).toBe(0);
    expect(clock.pending).toBe(0);
  });

  it('cuts what is open at the end of a drain', async () => {
    const clock = new VirtualClock();
    const drain = createDrain({ signals: [], delayMs: 0, timeoutMs: 1_000, runtime: { clock } });
    const { app, hanging } = setUp([], { drain, maxTimeoutMs: null });
    void app.fetch(new Request(`${url}/hang`));
    const signal = await hanging.opened;
    void drain.start();
    await clock.advance(1_000);
    await drain.done;
    expect(signal.aborted).toBe(true);
  });

  it('gives layers and handlers what they know a request by', async () => {
    let seen: unknown[] = [];
    const layer: Middleware = (call, next) => {
      const request = requestOf(call);
      seen = [call.path, call.method, request.url, request.headers['x-thing'], request.method];
      return next(call);
    };
    const { guard } = setUp([layer]);
    const app = new Hono();
    app.use(guard.hono());
    app.get('/a/b', (c) => c.json([callOf(c.req)?.path, callOf(c.req.raw)?.path, signalOf(c.req.raw)?.aborted]));
    const request = new Request(`${url}/a/b?c=d#e`, { headers: { 'X-Thing': 'One' } });
    expect(await (await app.fetch(request)).json()).toEqual(['/a/b?c=d', '/a/b?c=d', false]);
    expect(seen).toEqual(['/a/b?c=d', 'GET', '/a/b?c=d', 'One', 'GET']);
  });
});
