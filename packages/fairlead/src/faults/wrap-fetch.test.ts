// Catches: policies that hold around our own transport but not around somebody else's fetch: retries, health, timeouts,
// bodies, aborts, errors, load that is given back; and a wrapped fetch that touches what it should not.
import { getEventListeners } from 'node:events';
import { describe, expect, it } from 'vitest';
import { get, load, loads, signalAfter, tally, until, type World, worlds } from '../../test/world.js';
import type { ClientInit } from '../client.js';
import { type WrappedFetch, wrapFetch } from '../wrap-fetch.js';

// The connections are those of the built-in fetch, which keeps them.
const world = worlds({ ownConnections: false });
const builtIn = globalThis.fetch;

/** A wrapped fetch for the service `svc`; the world sees to what it leaves behind. */
function wrapped(
  anyFetch: typeof fetch,
  from: readonly string[],
  options: ClientInit['defaults'] = {},
): WrappedFetch & { fetch: WrappedFetch } {
  const made = wrapFetch(anyFetch, { environment: false, services: { svc: { from, ...options } } });
  return Object.assign(made, { fetch: made });
}

const origins = async (...sites: Promise<{ origin: string } | string>[]): Promise<string[]> =>
  (await Promise.all(sites)).map((site) => (typeof site === 'string' ? site : site.origin));

const good = (w: World): Promise<{ origin: string }> => w.http((_request, response) => response.end('ok'));

describe('around the built-in fetch', () => {
  it.each<[string, (w: World) => Promise<{ origin: string } | string>]>([
    ['refuses connections', (w) => w.refusing()],
    ['resets before the head', (w) => w.raw((socket) => socket.resetAndDestroy())],
    ['never answers', (w) => w.raw(() => {})],
    ['talks something else', (w) => w.raw((socket) => socket.write('SSH-2.0-OpenSSH_9.6\r\n'))],
    ['answers 503', (w) => w.http((_request, response) => void response.writeHead(503).end('busy'))],
  ])('a GET does not see an endpoint that %s', async (_what, bad) => {
    const from = await origins(bad(world), good(world), good(world));
    const client = wrapped(builtIn, from, { attemptTimeoutMs: 250 });
    expect(tally(await load(client, 160))).toEqual({ 200: 160 });
    expect(client.describe().svc?.endpoints.map(({ health }) => health)).toEqual(['ejected', 'healthy', 'healthy']);
    expect(loads(client)).toEqual([0, 0, 0]);
    await client.close();
  });

  it('a POST is sent again only where nobody was connected to', async () => {
    const [refusing, resets, fine] = await origins(
      world.refusing(),
      world.raw((socket) => socket.resetAndDestroy()),
      good(world),
    );
    const post = { method: 'POST', body: 'once' };
    const unsent = wrapped(builtIn, [refusing as string, fine as string], { retry: { baseMs: 1 } });
    for (let i = 0; i < 10; i++) expect(await get(unsent, post)).toMatchObject({ status: 200 });
    const sent = wrapped(builtIn, [resets as string]);
    expect(await get(sent, post)).toMatchObject({
      error: { message: 'fetch failed', cause: { code: 'ERR_TRANSPORT', sent: 'maybe' } },
    });
    await Promise.all([unsent.close(), sent.close()]);
  });

  it('every kind of body arrives, and again where it can be sent twice', async () => {
    const seen: string[] = [];
    let n = 0;
    const site = await world.http((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk) => chunks.push(chunk));
      request.on('end', () => {
        seen.push(Buffer.concat(chunks).toString());
        response.writeHead(n++ % 2 === 0 ? 503 : 200).end('ok');
      });
    });
    const client = wrapped(builtIn, [site.origin], { retry: { baseMs: 1, maxMs: 1 }, breaker: false, health: false });
    const bodies: [unknown, string][] = [
      ['text', 'text'],
      [Buffer.from('bytes'), 'bytes'],
      [new URLSearchParams({ a: 'b c' }), 'a=b+c'],
      [new Blob(['blob']), 'blob'],
      [new Blob(['stream']).stream(), 'stream'],
    ];
    for (const [body, text] of bodies) {
      expect(await get(client, { method: 'PUT', body, duplex: 'half' } as RequestInit)).toMatchObject({ status: 200 });
      expect(seen.splice(0)).toEqual([text, text]);
    }
    const long = 'x'.repeat(65_537);
    const body = new Blob([long]).stream();
    expect(await get(client, { method: 'PUT', body, duplex: 'half' } as RequestInit)).toMatchObject({ status: 503 });
    expect(seen).toEqual([long]);
    await client.close();
  });

  it('an abort is told with its reason before and after the head, and leaves nothing', async () => {
    const mute = await world.raw(() => {});
    const half = await world.http((_request, response) => void response.writeHead(200).write('half'));
    for (const site of [mute, half]) {
      const client = wrapped(builtIn, [site.origin], { timeoutMs: false, attemptTimeoutMs: false });
      const controller = new AbortController();
      const { signal } = controller;
      const calls = Array.from({ length: 100 }, () => get(client, { signal }));
      await until(() => site.requests === 100, 'requests');
      controller.abort('enough');
      for (const got of await Promise.all(calls)) expect(got).toMatchObject({ error: 'enough' });
      expect(getEventListeners(signal, 'abort')).toEqual([]);
      expect(loads(client)).toEqual([0]);
      await until(() => site.sockets.size === 0, 'connections closed');
      await client.close();
    }
  });

  it('a timeout ends a call in its body, and a reset in the body is told', async () => {
    const half = await world.http((_request, response) => void response.writeHead(200).write('half'));
    const client = wrapped(builtIn, [half.origin], { timeoutMs: 100 });
    const got = await get(client);
    expect(got).toMatchObject({ error: { message: 'terminated', cause: { code: 'ERR_TIMEOUT', of: 'call' } } });
    expect(got.ms).toBeGreaterThanOrEqual(99);
    const cut = await world.raw((socket) => {
      socket.write('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf', () => socket.resetAndDestroy());
    });
    const other = wrapped(builtIn, [cut.origin]);
    expect(await get(other)).toMatchObject({
      error: { message: 'terminated', cause: { code: 'ERR_TRANSPORT', phase: 'body' } },
    });
    expect([loads(client), loads(other)]).toEqual([[0], [0]]);
    await Promise.all([client.close(), other.close()]);
  });

  it('a host that is no service goes to it untouched, and a closed client refuses its services only', async () => {
    const site = await good(world);
    const client = wrapped(builtIn, [await world.refusing()], { attempts: 1 });
    expect(await (await client(`${site.origin}/a`)).text()).toBe('ok');
    await client.close();
    expect(await get(client)).toMatchObject({ error: { cause: { code: 'ERR_CANCELED' } } });
    expect(await (await client(`${site.origin}/a`)).text()).toBe('ok');
  });
});

describe('around a mock', () => {
  const from = ['http://a.test', 'http://b.test'];

  it('that throws, rejects, or answers with an error is retried elsewhere', async () => {
    const ways: (() => Promise<Response>)[] = [
      () => {
        throw new TypeError('mine');
      },
      () =>
        Promise.reject(new TypeError('fetch failed', { cause: Object.assign(new Error(), { code: 'ECONNRESET' }) })),
      async () => new Response('busy', { status: 503 }),
    ];
    for (const bad of ways) {
      const urls: string[] = [];
      const client = wrapped(
        async (input) => {
          urls.push(String(input));
          return String(input).startsWith('http://a.test') ? bad() : new Response('ok');
        },
        from,
        { retry: { baseMs: 1 } },
      );
      expect(tally(await load(client, 60))).toEqual({ 200: 60 });
      expect(urls).toContain('http://a.test/');
      expect(loads(client)).toEqual([0, 0]);
      await client.close();
    }
  });

  it('that ignores its signal does not hold the caller, and its late answer is let go', async () => {
    let canceled = 0;
    const answer = Promise.withResolvers<void>();
    const late = async (): Promise<Response> => {
      await answer.promise;
      return new Response(new ReadableStream({ cancel: () => void canceled++ }));
    };
    const client = wrapped(late, ['http://a.test'], { attemptTimeoutMs: 30, attempts: 1, timeoutMs: 60_000 });
    const timed = await get(client);
    expect(timed).toMatchObject({ error: { cause: { code: 'ERR_TIMEOUT', of: 'attempt' } } });
    const signal = signalAfter(20);
    const aborted = await get(client, { signal });
    expect(aborted).toMatchObject({ error: signal.reason });
    expect(loads(client)).toEqual([0]);
    answer.resolve();
    await until(() => canceled === 2, 'late answers let go');
    await client.close();
  });

  it('that gives back no Response fails the call, and holds no load', async () => {
    for (const wrong of [undefined, null, {}, 'ok']) {
      const client = wrapped((async () => wrong) as never, ['http://a.test'], { attempts: 1, attemptTimeoutMs: 300 });
      const got = await get(client);
      expect(got).toHaveProperty('error');
      expect(got.ms).toBeLessThan(250);
      expect(loads(client)).toEqual([0]);
      await client.close();
    }
  });

  it('that returns its Response at once, without a promise, works all the same or fails clearly', async () => {
    const client = wrapped((() => new Response('ok')) as never, ['http://a.test'], { attempts: 1 });
    const got = await get(client);
    if ('error' in got) expect(got.error).toBeInstanceOf(TypeError);
    expect(loads(client)).toEqual([0]);
    await client.close();
  });

  it('ends a reply that nobody reads when its caller gives up', async () => {
    const client = wrapped(async () => new Response(new ReadableStream({})), ['http://a.test']);
    const controller = new AbortController();
    const reply = await client('http://svc/', { signal: controller.signal });
    expect(loads(client)).toEqual([1]);
    controller.abort('enough');
    expect(loads(client)).toEqual([0]);
    await expect(reply.text()).rejects.toBe('enough');
    await client.close();
  });
});
