// Catches: what goes wrong only where nobody listens to events. The layers then tell each other without promises, within
// the turn of a socket or a timer, instead of waiting for each other: a later attempt or a redirect that has lost the async
// context of its caller, one that disturbs the connection which told of the first, an abort that is answered twice.
import { AsyncLocalStorage } from 'node:async_hooks';
import { channel } from 'node:diagnostics_channel';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { get, load, type Told, tally, until, worlds } from '../../test/world.js';

const world = worlds();

/** A client of `svc` that nobody listens to. */
function unheard(from: readonly string[], options: object = {}): Told {
  return world.client({ on: undefined, services: { svc: { from, ...options } } });
}

/** The async contexts in which undici is told to send something, while `work` is done in one of its own. */
async function contexts(work: (name: string) => Promise<unknown>, names: readonly string[]): Promise<string[]> {
  const storage = new AsyncLocalStorage<string>();
  const seen: string[] = [];
  const see = (): void => void seen.push(storage.getStore() ?? 'none');
  const created = channel('undici:request:create');
  created.subscribe(see);
  try {
    // One after the other: the connection that the second uses belongs to the context of the first.
    for (const name of names) await storage.run(name, () => work(name));
  } finally {
    created.unsubscribe(see);
  }
  return seen;
}

describe('a later attempt', () => {
  const flaky = (status: number, body: string) => {
    const seen = new Set<string>();
    return world.http((request, response) => {
      const first = !seen.has(request.url as string);
      seen.add(request.url as string);
      response.statusCode = first ? status : 200;
      response.end(first ? body : 'well');
    });
  };

  it('is made in the async context of its caller', async () => {
    const site = await flaky(503, 'no');
    const client = unheard([site.origin], { health: false });
    const seen = await contexts((name) => get(client.fetch, {}, `http://svc/${name}`), ['a', 'b', 'c']);
    expect(seen).toEqual(['a', 'a', 'b', 'b', 'c', 'c']);
  });

  it('follows a reply whose body is still coming, short, long and encoded', async () => {
    for (const body of ['', 'x', 'x'.repeat(1_000_000)]) {
      const site = await flaky(503, body);
      const client = unheard([site.origin], { health: false });
      const all = await Promise.all(
        Array.from({ length: 50 }, (_, i) => get(client.fetch, {}, `http://svc/${body.length}/${i}`)),
      );
      expect(tally(all)).toEqual({ 200: 50 });
    }
  });

  it('follows a connection that is reset, before and in the middle of the head', async () => {
    let n = 0;
    const site = await world.raw((socket) => {
      n++;
      if (n % 3 === 1) socket.resetAndDestroy();
      else if (n % 3 === 2) socket.write('HTTP/1.1 200 O', () => socket.resetAndDestroy());
      else socket.write('HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nwell');
    });
    const client = unheard([site.origin], { health: false, breaker: false, budget: false, attempts: 5 });
    for (let i = 0; i < 30; i++) expect(await get(client.fetch)).toMatchObject({ status: 200, text: 'well' });
  });

  it('follows one that ran out of time', async () => {
    let n = 0;
    const site = await world.http((_, response) => void (n++ % 2 === 1 && response.end('well')));
    const client = unheard([site.origin], { health: false, attemptTimeoutMs: 30 });
    for (let i = 0; i < 5; i++) expect(await get(client.fetch)).toMatchObject({ status: 200, text: 'well' });
    expect(n).toBe(10);
  });
});

describe('a redirect', () => {
  it('is followed in the async context of its caller, and gives its connection back', async () => {
    const site = await world.http((request, response) => {
      if (request.url === '/end') response.end('there');
      else response.writeHead(302, { location: '/end' }).end('x'.repeat(20_000));
    });
    const client = unheard([site.origin]);
    const seen = await contexts((name) => get(client.fetch, {}, `http://svc/${name}`), ['a', 'b', 'c']);
    expect(seen).toEqual(['a', 'a', 'b', 'b', 'c', 'c']);
    // A second one while the rest of the redirect is still coming.
    expect(site.accepted).toBeLessThan(3);
  });

  it('is not followed for a caller who has left meanwhile', async () => {
    const leaving = new AbortController();
    const site = await world.http((request, response) => {
      if (request.url !== '/end') response.writeHead(302, { location: '/end' });
      response.end();
    });
    const client = unheard([site.origin]);
    const pending = get(client.fetch, { signal: leaving.signal }, 'http://svc/start');
    const answered = channel('undici:request:headers');
    const leave = (): void => leaving.abort();
    answered.subscribe(leave);
    try {
      expect(await pending).toMatchObject({ error: { name: 'AbortError' } });
    } finally {
      answered.unsubscribe(leave);
    }
    expect(site.requests).toBe(1);
  });
});

describe('a caller who leaves', () => {
  it('is answered once, in whatever phase', async () => {
    const held = await world.http((_, response) => void response.flushHeaders());
    const silent = await world.http(() => {});
    for (const origin of [held.origin, silent.origin, await world.refusing()]) {
      const client = unheard([origin], { health: false });
      const leaving = new AbortController();
      const calls = Array.from({ length: 200 }, () => get(client.fetch, { signal: leaving.signal }));
      if (origin === held.origin) await until(() => held.requests > 100);
      if (origin === silent.origin) await until(() => silent.requests > 100);
      leaving.abort();
      for (const got of await Promise.all(calls)) expect(got).toHaveProperty('error');
    }
  });
});

describe('many at once', () => {
  it('are all answered, decoded and counted', async () => {
    const zipped = gzipSync('well');
    const site = await world.http((_, response) => response.writeHead(200, { 'content-encoding': 'gzip' }).end(zipped));
    const client = unheard([site.origin, site.origin.replace('127.0.0.1', 'localhost')]);
    expect(tally(await load(client.fetch, 2_000, 200))).toEqual({ 200: 2_000 });
  });
});
