// Catches: requests that are lost on a kept-alive connection which the server is just closing, uploads that are sent twice
// although they must not be or not again although they could be, answers that come before the request is through, replies
// that nobody reads and that keep an endpoint busy, restarts that callers notice.
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { gzipSync } from 'node:zlib';
import { sleep, systemClock } from '@fairlead/core';
import { describe, expect, it } from 'vitest';
import { attempts, get, load, loads, type Replica, tally, until, worlds } from '../../test/world.js';

const world = worlds();
const MEGABYTE = Buffer.alloc(1_000_000, 'x');
const put = { method: 'PUT', body: MEGABYTE } as RequestInit;
const post = { method: 'POST', body: MEGABYTE } as RequestInit;

describe('a server that closes idle connections without a word', () => {
  it('costs no GET, also without a second attempt: it is replayed on a fresh connection', async () => {
    let n = 0;
    // Every third answer is the last of its connection, which is closed a moment later.
    const site = await world.raw((socket) => {
      socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok');
      if (++n % 3 === 0) void sleep(systemClock, n % 5).then(() => socket.destroy());
    });
    const client = world.service([site.origin], { attempts: 1 });
    for (let i = 0; i < 40; i++) {
      expect(tally(await load(client.fetch, 32, 8))).toEqual({ 200: 32 });
      await sleep(systemClock, i % 6);
    }
    expect(client.events.some(({ type }) => type === 'socket.replayed')).toBe(true);
  });
});

describe('an upload', () => {
  const resets = (): Promise<{ origin: string }> => world.raw((socket) => socket.resetAndDestroy());
  const reads = (): Promise<{ origin: string }> =>
    world.http((request, response) => {
      let size = 0;
      request.on('data', (chunk) => (size += chunk.length)).on('end', () => response.end(String(size)));
    });

  it('that can be repeated is sent elsewhere in full when the first endpoint resets in the middle of it', async () => {
    const client = world.service([(await resets()).origin, (await reads()).origin]);
    for (let i = 0; i < 20; i++) expect(await get(client.fetch, put)).toMatchObject({ status: 200, text: '1000000' });
    expect(attempts(client)).toBeGreaterThan(20);
  });

  it('that must not be repeated is told as it is, once', async () => {
    const site = await resets();
    const client = world.service([site.origin], { health: false, breaker: false });
    for (let i = 0; i < 10; i++) {
      expect(await get(client.fetch, post)).toMatchObject({
        error: { cause: { code: 'ERR_TRANSPORT', sent: 'maybe', attempts: [] } },
      });
    }
    expect(attempts(client)).toBe(10);
    const keyed = { ...post, headers: { 'idempotency-key': 'k' } };
    const other = world.service([site.origin, (await reads()).origin]);
    for (let i = 0; i < 10; i++) expect(await get(other.fetch, keyed)).toMatchObject({ status: 200, text: '1000000' });
  });

  it('that is refused while it is being sent gets the answer', async () => {
    const refuse = (socket: Socket): void =>
      void socket.write('HTTP/1.1 413 Too Large\r\ncontent-length: 3\r\nconnection: close\r\n\r\nbig', () =>
        socket.end(),
      );
    const site = await world.raw(refuse);
    const client = world.service([site.origin], { attempts: 1 });
    for (let i = 0; i < 10; i++) {
      const got = await get(client.fetch, post);
      // The answer may be lost with the connection: TCP resets what is sent to a closed socket.
      if ('status' in got) expect(got).toMatchObject({ status: 413, text: 'big' });
      else expect(got.error.cause).toMatchObject({ code: 'ERR_TRANSPORT' });
    }
  });

  it('of which the caller fails to give the rest ends with the error of the caller, and blames nobody', async () => {
    const client = world.service([(await reads()).origin]);
    const mine = new RangeError('mine');
    async function* broken(): AsyncGenerator<Uint8Array> {
      yield MEGABYTE;
      throw mine;
    }
    const got = await get(client.fetch, { method: 'PUT', body: broken(), duplex: 'half' } as never);
    expect(got).toMatchObject({ error: { cause: { cause: mine } } });
    expect(attempts(client)).toBe(1);
    expect(client.describe().svc?.endpoints[0]?.health).toBe('healthy');
  });
});

describe('a reply', () => {
  it('that nobody reads does not stay in flight if it is small', async () => {
    const site = await world.http((_request, response) => void response.end('x'.repeat(10_000)));
    const client = world.service([site.origin], { transport: { connections: 4 } });
    for (let i = 0; i < 100; i++) expect((await client.fetch('http://svc/')).status).toBe(200);
    await until(() => loads(client)[0] === 0, 'nothing in flight');
  });

  it('that nobody reads and that is long gives its connection back in time', async () => {
    const site = await world.http((_request, response) => void response.end(MEGABYTE));
    const client = world.service([site.origin], { transport: { connections: 2, unreadBodyMs: 50 } });
    const replies = [];
    for (let i = 0; i < 6; i++) replies.push(await client.fetch('http://svc/'));
    await until(() => loads(client)[0] === 0, 'nothing in flight');
    await expect(replies[0]?.text()).rejects.toThrow(TypeError);
  });

  it.each([
    ['cut off', gzipSync('{"a":1}').subarray(0, 12)],
    ['no gzip at all', Buffer.from('{"a":1} and then some')],
  ])('whose coding is %s is an error of the reader, not of the process', async (_what, body) => {
    const site = await world.http((_request, response) => {
      response.writeHead(200, { 'content-encoding': 'gzip', 'content-length': body.length }).end(body);
    });
    const client = world.service([site.origin]);
    for (let i = 0; i < 5; i++) {
      const reply = await client.fetch('http://svc/');
      await expect(reply.json()).rejects.toBeInstanceOf(Error);
    }
    expect(loads(client)).toEqual([0]);
  });
});

describe('a service that is restarted one replica after another, without any grace', () => {
  it('answers every GET', async () => {
    const replicas: Replica[] = await Promise.all([0, 1, 2].map(() => world.replica({ DELAY: '5' })));
    const client = world.service(
      replicas.map(({ origin }) => origin),
      { health: { baseEjectMs: 50, maxEjectMs: 100 } },
    );
    let over = false;
    const running = Promise.all(
      Array.from({ length: 16 }, async () => {
        const all = [];
        while (!over) all.push(await get(client.fetch));
        return tally(all);
      }),
    );
    for (const replica of replicas) {
      const index = replicas.indexOf(replica);
      const gone = once(replica.process, 'close');
      const failed = (): number => client.events.filter(({ type }) => type === 'attempt.failed').length;
      const before = failed();
      replica.process.kill('SIGKILL');
      await gone;
      await until(() => failed() > before, 'somebody who has noticed');
      const fresh = await world.replica({ DELAY: '5', PORT: new URL(replica.origin).port });
      await until(() => fresh.requests > 5, 'requests at the new one');
      await until(() => client.describe().svc?.endpoints[index]?.health === 'healthy', 'the new one in use');
    }
    over = true;
    for (const kinds of await running) expect(Object.keys(kinds)).toEqual(['200']);
    expect(client.events.filter(({ type }) => type === 'breaker.opened')).toEqual([]);
  });
});
