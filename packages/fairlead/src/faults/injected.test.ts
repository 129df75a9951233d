// Catches: an injected fault that looks to the caller like none that a network has, that outlives the call's time, or costs
// a connection; a body that is slowed down and comes wrong; a mirror that slows down, breaks or shows through.
import { injectFault, mirror } from '@fairlead/policies';
import { describe, expect, it } from 'vitest';
import { until, worlds } from '../../test/world.js';

const world = worlds();

const big = Buffer.alloc(300_000, 'abcdefghij');

async function faulty(fault: Parameters<typeof injectFault>[0], options: object = {}) {
  const site = await world.http((_request, response) => void response.end(big));
  const layers = { attempt: [injectFault({ ratio: 1, ...fault })] };
  const client = world.client({ services: { svc: { from: [site.origin], attempts: 1, layers, ...options } } });
  return { site, client, failed: () => client.fetch('http://svc/').catch((error: unknown) => error) };
}

describe('faults that are injected', () => {
  it('reset: fetch fails as it does when a connection is reset, and nothing was sent', async () => {
    const { site, failed } = await faulty({ reset: true });
    const error = (await failed()) as Error & { cause: { code: string; cause: { code: string } } };
    expect(error).toBeInstanceOf(TypeError);
    expect([error.cause.code, error.cause.cause.code, site.requests]).toEqual(['ERR_TRANSPORT', 'ECONNRESET', 0]);
  });

  it('reset: is retried as one, at most as often as attempts say, and opens breakers', async () => {
    const { client, failed } = await faulty({ reset: true }, { attempts: 3, breaker: { minCalls: 3 } });
    for (let i = 0; i < 4; i++) await failed();
    expect(client.events.filter(({ type }) => type === 'retry.scheduled').length).toBeGreaterThan(0);
    expect(client.events.some(({ type }) => type === 'breaker.opened')).toBe(true);
  });

  it('abort: the status is an answer like any other', async () => {
    const { site, client } = await faulty({ abortStatus: 503 });
    const answer = await client.fetch('http://svc/');
    expect([answer.status, await answer.text(), site.requests]).toEqual([503, '', 0]);
  });

  it('latency: the time of an attempt runs out, and so does that of the call', async () => {
    for (const options of [{ attemptTimeoutMs: 50 }, { timeoutMs: 50 }]) {
      const { site, failed } = await faulty({ latencyMs: 60_000 }, options);
      const error = (await failed()) as Error & { cause: { code: string } };
      expect([error.cause.code, site.requests]).toEqual(['ERR_TIMEOUT', 0]);
    }
  });

  it('slow body: every byte comes, later, and the connection is used again', async () => {
    const { site, client } = await faulty({ slowBodyMs: 3 });
    for (let i = 0; i < 6; i++) {
      const answer = await client.fetch('http://svc/');
      expect(Buffer.from(await answer.arrayBuffer()).equals(big)).toBe(true);
    }
    // One may not be free yet when the next call begins.
    expect(site.accepted).toBeLessThanOrEqual(2);
    expect(client.events.filter((event) => event.type === 'fault.injected').length).toBe(6);
  });

  it('slow body: ends with the time of the call, with the caller, and with a reader who has had enough', async () => {
    const late = await faulty({ slowBodyMs: 60_000 }, { timeoutMs: 150 });
    const answer = await late.client.fetch('http://svc/');
    await expect(answer.text()).rejects.toMatchObject({ cause: { code: 'ERR_TIMEOUT' } });

    const { client } = await faulty({ slowBodyMs: 60_000 });
    const gone = new AbortController();
    const text = (await client.fetch('http://svc/', { signal: gone.signal })).text();
    gone.abort();
    await expect(text).rejects.toMatchObject({ name: 'AbortError' });

    await (await client.fetch('http://svc/')).body?.cancel();
  });

  it('is refused in production', async () => {
    const { NODE_ENV } = process.env;
    process.env.NODE_ENV = 'production';
    try {
      await expect(faulty({ reset: true })).rejects.toThrow('NODE_ENV is production');
      await (await (await faulty({ abortStatus: 500, force: true })).client.fetch('http://svc/')).text();
    } finally {
      process.env.NODE_ENV = NODE_ENV;
    }
  });
});

describe('a mirror', () => {
  it.each<[string, 'answers' | 'resets' | 'hangs', number | null]>([
    ['answers', 'answers', 201],
    ['resets the connection', 'resets', null],
    ['never answers', 'hangs', null],
  ])('is not waited for, nor heard of, when the other service %s', async (_, how, status) => {
    const copies: string[] = [];
    const other = await world.http((request, response) => {
      request.setEncoding('utf8').on('data', (body: string) => {
        copies.push(`${request.method} ${request.url} ${body} ${request.headers['x-fairlead-mirrored']}`);
        if (how === 'answers') response.writeHead(201).end('copy');
        if (how === 'resets') request.socket.resetAndDestroy();
      });
    });
    const next = world.client({ services: { next: { from: [other.origin], attempts: 1 } } });
    const site = await world.http((_request, response) => void response.end('ok'));
    const layer = mirror({ to: next.handler('next'), service: 'next', ratio: 1, timeoutMs: 200 });
    const client = world.client({ services: { svc: { from: [site.origin], layers: { call: [layer] } } } });
    const answer = await client.fetch('http://svc/a?b=1', { method: 'PUT', body: 'x' });
    expect(await answer.text()).toBe('ok');
    await until(() => client.events.some(({ type }) => type === 'mirror.ended'), 'the copy ended');
    expect(copies).toEqual(['PUT /a?b=1 x 1']);
    expect(client.events.filter(({ type }) => type === 'mirror.ended')).toMatchObject([{ to: 'next', status }]);
    expect(site.requests).toBe(1);
  });
});
