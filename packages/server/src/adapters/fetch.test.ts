/**
 * Would catch: a guard around a fetch handler that keeps something from it, or makes a promise of an answer that was none;
 * errors that come to another end than without it; callers that nobody can tell from each other where there is no Node.
 */
import { createServer } from 'node:http';
import type { Middleware } from '@fairlead/core';
import { VirtualClock } from '@fairlead/testing';
import { getRequestListener } from '@hono/node-server';
import { afterEach, describe, expect, it } from 'vitest';
import { ask, gateway, listen, recorder, stopServers } from '../../tests/harness.js';
import { callOf, clientAddress, createGuard, type FetchHandler, type Limiter, rateLimit, signalOf } from '../index.js';

const limiter: Limiter = {
  take: (key) => ({ allowed: key !== '192.0.2.9', limit: 10, remaining: 9, resetMs: 100, retryAfterMs: 0 }),
  perSecond: 1,
  burst: 10,
};
const limit = rateLimit({ limiter, key: clientAddress() });
const ok: FetchHandler = () => new Response('ok');

afterEach(stopServers);

/** What becomes of a request of Node's, and what the guarded handler has given for it. */
async function onNode(handler: FetchHandler, layers: readonly Middleware[] = []) {
  const { layer, ends } = recorder();
  const errors: unknown[] = [];
  const clock = new VirtualClock();
  const guard = createGuard({ runtime: { clock }, layers, onError: (error) => errors.push(error) });
  const seen = createGuard({ runtime: { clock }, layers: [layer] });
  const given: unknown[] = [];
  const guarded = guard.fetch(handler);
  const listener = getRequestListener((request, env) => {
    const result = guarded(request, env);
    given.push(result);
    return result;
  });
  const port = await listen(createServer(seen.node(listener)));
  return { answer: await ask(port), given, ends, errors, clock };
}

describe('a guard around a fetch handler, on Node', () => {
  it('gives an answer as the handler gives it: at once, or later', async () => {
    const sync = await onNode(ok, [limit]);
    expect([sync.answer.status, sync.answer.body]).toEqual([200, 'ok']);
    expect(sync.answer.headers.ratelimit).toBe('"default";r=9;t=1');
    expect(sync.given[0]).not.toBeInstanceOf(Promise);
    const later = await onNode(async () => new Response('later'), [limit]);
    expect(later.answer.body).toBe('later');
    expect(later.given[0]).toBeInstanceOf(Promise);
    expect(await Promise.all([...sync.ends, ...later.ends])).toEqual([null, null]);
    expect(sync.clock.pending).toBe(0);
  });

  it('waits for layers that take their time, and then for the handler', async () => {
    const slow: Middleware = async (call, next) => {
      await null;
      return next(call);
    };
    const { answer, given } = await onNode(ok, [slow]);
    expect([answer.body, given[0]]).toEqual(['ok', expect.any(Promise)]);
  });

  it.each<[string, FetchHandler]>([
    [
      'throws',
      () => {
        throw new Error('secret');
      },
    ],
    ['is rejected', () => Promise.reject(new Error('secret'))],
  ])('leaves it to the server to answer for a handler that %s', async (_what, handler) => {
    const { answer, given, errors, ends } = await onNode(handler);
    expect([answer.status, answer.body]).toEqual([500, '']);
    await expect(given[0]).rejects.toThrow('secret');
    expect(errors).toEqual([]);
    expect(await ends[0]).toBeNull();
  });

  it('answers for a layer that fails, and tells', async () => {
    const failing: Middleware = () => Promise.reject(new Error('secret'));
    const { answer, errors, ends } = await onNode(ok, [failing]);
    expect([answer.status, JSON.parse(answer.body)]).toEqual([500, { title: 'Internal server error', status: 500 }]);
    expect(errors).toMatchObject([{ message: 'secret' }]);
    expect(await ends[0]).toBeNull();
  });

  it('does not run the handler for what is refused', async () => {
    let ran = 0;
    const refusing = rateLimit({ limiter, key: () => '192.0.2.9' });
    const { answer, errors } = await onNode(() => new Response(String(ran++)), [refusing]);
    expect([answer.status, answer.headers['content-type'], ran]).toEqual([429, 'application/problem+json', 0]);
    expect(errors).toEqual([]);
  });

  it('makes the request known by what the handler has of it', async () => {
    const { answer } = await onNode((request, env) =>
      Response.json([callOf(request)?.path, callOf(env.incoming)?.path, signalOf(request)?.aborted]),
    );
    expect(JSON.parse(answer.body)).toEqual(['/', '/', false]);
  });
});

describe('a guard around a fetch handler, elsewhere', () => {
  it('hands everything on, and tells callers apart by the address that it is told', async () => {
    const clock = new VirtualClock();
    const guard = createGuard({ runtime: { clock }, layers: [limit], maxTimeoutMs: 1_000 });
    const got: unknown[] = [];
    const handler: FetchHandler = (request, env, context) => {
      got.push(request.url, env, context, callOf(request)?.path);
      return new Response('ok');
    };
    const address = (_request: Request, env: { ip: string }): string => env.ip;
    const guarded = guard.fetch(handler, { address });
    const response = await guarded(new Request('https://a.example/b?c'), { ip: '192.0.2.1' }, 'context');
    expect([response.status, await response.text(), response.headers.get('ratelimit')]).toEqual([
      200,
      'ok',
      '"default";r=9;t=1',
    ]);
    expect(got).toEqual(['https://a.example/b?c', { ip: '192.0.2.1' }, 'context', '/b?c']);
    expect((await guarded(new Request('https://a.example/'), { ip: '192.0.2.9' })).status).toBe(429);
    expect(got).toHaveLength(4);
    expect(clock.pending).toBe(0);
  });

  it.each<[string, FetchHandler]>([
    [
      'throws',
      () => {
        throw new Error('secret');
      },
    ],
    ['is rejected', () => Promise.reject(new Error('secret'))],
  ])('is rejected when the handler %s', async (_what, handler) => {
    const guarded = createGuard().fetch(handler);
    await expect(guarded(new Request('https://a.example/'))).rejects.toThrow('secret');
  });

  it('answers for a layer that fails, and tells', async () => {
    const errors: unknown[] = [];
    const failing: Middleware = () => Promise.reject(new Error('secret'));
    const guarded = createGuard({ layers: [failing], onError: (error) => errors.push(error) }).fetch(ok);
    const response = await guarded(new Request('https://a.example/'));
    expect([response.status, await response.json()]).toEqual([500, { title: 'Internal server error', status: 500 }]);
    expect(errors).toMatchObject([{ message: 'secret' }]);
  });

  it('cancels what a client has gone away from', async () => {
    const hanging = gateway<AbortSignal>();
    const guarded = createGuard().fetch((request) => {
      hanging.open(signalOf(request) as AbortSignal);
      return new Promise(() => {});
    });
    const client = new AbortController();
    void guarded(new Request('https://a.example/', { signal: client.signal }));
    const signal = await hanging.opened;
    client.abort();
    expect(signal.reason).toMatchObject({ code: 'ERR_CANCELED' });
  });
});
