/**
 * Would catch: a field of a layer that gets lost in one of the ways in which a head can be written, that pushes out one of
 * the handler's, or is said twice; and a head that Node refuses or takes for another one because of them.
 */
import type { ServerResponse } from 'node:http';
import { afterEach, describe, expect, it } from 'vitest';
import { ask, recorder, start, stopServers } from '../../tests/harness.js';
import { createGuard, type Limiter, rateLimit } from '../index.js';

const limiter: Limiter = {
  take: () => ({ allowed: true, limit: 10, remaining: 9, resetMs: 100, retryAfterMs: 0 }),
  perSecond: 1,
  burst: 10,
};
const limitBy = (name: string) => rateLimit({ limiter, key: () => 'me', name });

afterEach(stopServers);

async function answerOf(write: (response: ServerResponse) => unknown, ...limits: string[]) {
  const { layer, replies } = recorder();
  const guard = createGuard({ layers: [layer, ...limits.map(limitBy)] });
  const { port } = await start('node', guard, (_request, response) => write(response));
  const { status, headers, body } = await ask(port);
  return { status, headers, body, seen: replies[0]?.headers as Record<string, unknown> };
}

describe('fields of layers', () => {
  it.each<[string, (response: ServerResponse) => unknown]>([
    ['nothing but a body', (r) => r.end('ok')],
    ['a status', (r) => r.writeHead(200).end('ok')],
    ['a status and nothing', (r) => (r.writeHead as (...args: unknown[]) => typeof r)(200, undefined).end('ok')],
    ['a status and a reason', (r) => r.writeHead(200, 'Fine').end('ok')],
    ['a reason and nothing', (r) => r.writeHead(200, 'Fine', undefined).end('ok')],
    ['an object', (r) => r.writeHead(200, { 'X-Own': 'a' }).end('ok')],
    ['a reason and an object', (r) => r.writeHead(200, 'Fine', { 'X-Own': 'a' }).end('ok')],
    [
      'an object in the third place',
      (r) => (r.writeHead as (...args: unknown[]) => typeof r)(200, undefined, { 'X-Own': 'a' }).end('ok'),
    ],
    ['a list', (r) => r.writeHead(200, ['X-Own', 'a']).end('ok')],
    ['a list of pairs', (r) => r.writeHead(200, [['X-Own', 'a']] as never).end('ok')],
    ['what was set before', (r) => r.setHeader('X-Own', 'a').end('ok')],
    [
      'what was set before, and an object',
      (r) => r.setHeader('X-Other', 'b').writeHead(200, { 'X-Own': 'a' }).end('ok'),
    ],
    ['what was set before, and a list', (r) => r.setHeader('X-Other', 'b').writeHead(200, ['X-Own', 'a']).end('ok')],
    [
      'what was flushed',
      (r) => {
        r.flushHeaders();
        r.end('ok');
      },
    ],
  ])('are added to %s', async (what, write) => {
    const { status, headers, body, seen } = await answerOf(write, 'one');
    expect([status, body]).toEqual([200, 'ok']);
    expect(headers).toMatchObject({ ratelimit: '"one";r=9;t=1', 'ratelimit-policy': '"one";q=10;w=10' });
    expect(seen).toMatchObject({ ratelimit: '"one";r=9;t=1', 'ratelimit-policy': '"one";q=10;w=10' });
    const own = /object|list|before$/.test(what) ? 'a' : undefined;
    expect([headers['x-own'], seen['x-own']]).toEqual([own, own]);
    if (what.includes('set before,')) expect(headers['x-other']).toBe('b');
  });

  it.each<[string, (response: ServerResponse) => unknown]>([
    ['an object', (r) => r.writeHead(200, { ratelimit: 'own' }).end()],
    ['a list', (r) => r.writeHead(200, ['RATELIMIT', 'own']).end()],
    ['a list of pairs', (r) => r.writeHead(200, [['RateLimit', 'own']] as never).end()],
    ['setHeader', (r) => r.setHeader('ratelimit', 'own').end()],
    ['setHeader and an object', (r) => r.setHeader('X-Other', 'b').writeHead(200, { ratelimit: 'own' }).end()],
  ])('leave the last word to the handler that says it by %s', async (_what, write) => {
    const { headers } = await answerOf(write, 'one');
    expect([headers.ratelimit, headers['ratelimit-policy']]).toEqual(['own', '"one";q=10;w=10']);
  });

  it('are lists to which each limit adds', async () => {
    const { headers } = await answerOf((response) => response.writeHead(200, { 'X-Own': 'a' }).end(), 'one', 'two');
    expect(headers).toMatchObject({
      ratelimit: '"one";r=9;t=1, "two";r=9;t=1',
      'ratelimit-policy': '"one";q=10;w=10, "two";q=10;w=10',
    });
  });

  it('are added to what somebody has set in front of the guard', async () => {
    const guard = createGuard({ layers: [limitBy('one')] });
    const inner = guard.node((_request, response) => response.writeHead(200, { 'X-Own': 'a' }).end());
    const { port } = await start('express', createGuard(), (request, response) => {
      response.setHeader('RateLimit', '"zero";r=1;t=1');
      inner(request, response);
    });
    expect((await ask(port)).headers).toMatchObject({ ratelimit: '"zero";r=1;t=1, "one";r=9;t=1', 'x-own': 'a' });
  });

  it('are those of all guards of a request', async () => {
    const inner = createGuard({ layers: [limitBy('inner')] });
    const outer = createGuard({ layers: [limitBy('outer')] });
    const handler = inner.node((_request, response) => response.writeHead(200, { 'X-Own': 'a' }).end());
    const { port } = await start('node', outer, handler);
    expect((await ask(port)).headers).toMatchObject({ ratelimit: '"outer";r=9;t=1, "inner";r=9;t=1', 'x-own': 'a' });
  });

  it('keep what comes several times, and an error of the handler is what it would be without them', async () => {
    const cookies = await answerOf(
      (response) => response.writeHead(200, { 'Set-Cookie': ['a=1', 'b=2'] }).end(),
      'one',
    );
    expect(cookies.headers['set-cookie']).toEqual(['a=1', 'b=2']);
    const errors: unknown[] = [];
    const guard = createGuard({ layers: [limitBy('one')], onError: (error) => errors.push(error) });
    const { port } = await start('node', guard, (_request, response) => response.writeHead(200, ['odd']).end());
    expect((await ask(port)).status).toBe(500);
    expect(errors).toMatchObject([{ code: 'ERR_INVALID_ARG_VALUE' }]);
  });
});
