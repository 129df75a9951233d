// Catches: a call that takes longer than it may in any of its phases, ends before its time, says something else than that
// its time is up, hides what it had tried, or begins although its time is up. Real time: early is always wrong; how late is
// too late depends on the machine, which others use as well.
import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { type Middleware, systemClock } from '@fairlead/core';
import { describe, expect, it } from 'vitest';
import { attempts, type Failure, get, type Replica, type Site, type Told, until, worlds } from '../../test/world.js';

const world = worlds();
const MS = 100;
const LATE_MS = 250;
const long = { attemptTimeoutMs: false, breaker: false, budget: false } as const;

interface Phase {
  readonly name: string;
  readonly make: (timeoutMs: number | false) => Promise<Told>;
}

const phases: readonly Phase[] = [
  {
    name: 'queueing behind the only connection',
    make: async (timeoutMs) => {
      const site = await world.raw(() => {});
      return world.service([site.origin], { ...long, timeoutMs, transport: { connections: 1 } });
    },
  },
  {
    name: 'connecting',
    make: async (timeoutMs) => {
      const site = await world.raw(() => {});
      return world.service([site.origin.replace('http:', 'https:')], { ...long, timeoutMs });
    },
  },
  {
    name: 'waiting for the head',
    make: async (timeoutMs) => {
      const site = await world.raw((socket) => socket.write('HTTP/1.1 200 OK\r\n'));
      return world.service([site.origin], { ...long, timeoutMs });
    },
  },
  {
    name: 'in the body',
    make: async (timeoutMs) => {
      const site = await world.http(
        (_request, response) => void response.writeHead(200, { 'content-length': '9' }).write('half'),
      );
      return world.service([site.origin], { ...long, timeoutMs });
    },
  },
];

function failure(got: Awaited<ReturnType<typeof get>>): Failure {
  if (!('error' in got)) throw new Error(`did not fail: ${JSON.stringify(got)}`);
  return got.error;
}

describe.each(phases)('a call that is $name', ({ name, make }) => {
  it.each(['of the service', 'of the call'])('ends when the time %s is up', async (whose) => {
    const own = whose === 'of the call';
    const client = await make(own ? false : MS);
    const calls = Array.from({ length: 20 }, () => get(client.fetch, own ? { fairlead: { timeoutMs: MS } } : {}));
    for (const got of await Promise.all(calls)) {
      const error = failure(got);
      expect(error).toBeInstanceOf(TypeError);
      expect(error.message).toBe(name === 'in the body' ? 'terminated' : 'fetch failed');
      expect(error.cause).toMatchObject({ code: 'ERR_TIMEOUT', of: 'call', ms: MS });
      expect(got.ms).toBeGreaterThanOrEqual(MS - 1);
      expect(got.ms).toBeLessThan(MS + LATE_MS);
    }
  });
});

describe('a call that is waiting for another attempt', () => {
  it('ends when its time is up, and says what it had tried', async () => {
    let n = 0;
    const site = await world.raw((socket) => {
      if (n++ === 0) socket.end('HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n');
    });
    const client = world.service([site.origin], { ...long, timeoutMs: 300, retry: { baseMs: 1 } });
    const got = await get(client.fetch);
    expect(got.ms).toBeGreaterThanOrEqual(299);
    expect(failure(got).cause).toMatchObject({
      code: 'ERR_TIMEOUT',
      of: 'call',
      service: 'svc',
      attempts: [{ attempt: 1, status: 503 }],
    });
    expect(failure(got).cause?.message).toContain('attempt 2 of 3');
  });

  it('does not begin a wait that would outlast it, and hands back what there is', async () => {
    const site = await world.http(
      (_request, response) => void response.writeHead(503, { 'retry-after': '1' }).end('busy'),
    );
    const client = world.service([site.origin], { ...long, timeoutMs: 500 });
    expect(await get(client.fetch)).toMatchObject({ status: 503, text: 'busy' });
    expect(attempts(client)).toBe(1);
  });
});

describe('a call whose time is up', () => {
  it('gets the fallback of its service', async () => {
    const site = await world.raw(() => {});
    const client = world.service([site.origin], {
      ...long,
      timeoutMs: 50,
      fallback: { to: { status: 203, body: 'stale' } },
    });
    expect(await get(client.fetch)).toMatchObject({ status: 203, text: 'stale' });
    expect(await get(client.fetch, { fairlead: { timeoutMs: 20 } })).toMatchObject({ status: 203, text: 'stale' });
  });

  it('ends also while a layer of the user does not listen', async () => {
    const site = await world.http((_request, response) => void response.end('ok'));
    const woken = Promise.withResolvers<void>();
    const late: Promise<unknown>[] = [];
    const deaf: Middleware = async (call, next) => {
      await woken.promise;
      late.push(next(call));
      return late.at(-1) as ReturnType<typeof next>;
    };
    for (const layers of [{ call: [deaf] }, { attempt: [deaf] }]) {
      const client = world.service([site.origin], { timeoutMs: 50, attemptTimeoutMs: false, layers });
      const got = await get(client.fetch);
      expect(failure(got).cause).toMatchObject({ code: 'ERR_TIMEOUT', of: 'call' });
      expect(got.ms).toBeLessThan(50 + LATE_MS);
    }
    woken.resolve();
    await until(() => late.length > 1, 'the layers awake');
    await Promise.allSettled(late);
    expect(site.requests).toBe(0);
  });

  it('is not sent, although no timer could fire while the event loop was blocked', async () => {
    const site = await world.http((_request, response) => void response.end('ok'));
    let blockMs = 0;
    const blocks: Middleware = (call, next) => {
      block(blockMs);
      return next(call);
    };
    for (const layers of [{ call: [blocks] }, { attempt: [blocks] }]) {
      const client = world.service([site.origin], { timeoutMs: 30, layers });
      blockMs = 0;
      // An idle connection waits for the next.
      while (!('status' in (await get(client.fetch))));
      const before = site.requests;
      blockMs = 60;
      expect(failure(await get(client.fetch)).cause).toMatchObject({ code: 'ERR_TIMEOUT' });
      await nothingBut(site, before);
    }
  });

  it('is not sent when a connection becomes free for it while the event loop is blocked', async () => {
    const replica = await world.replica({ DELAY: '30' });
    const client = world.service([replica.origin], { timeoutMs: 200, attempts: 1, transport: { connections: 1 } });
    await get(client.fetch);
    await until(() => replica.requests === 1, 'the first request');
    const calls = [get(client.fetch), get(client.fetch)];
    await until(() => replica.requests === 2, 'the second request');
    // Its answer comes meanwhile. When it is read, the third is out of time.
    block(250);
    const [, third] = await Promise.all(calls);
    expect(third).toMatchObject({ error: { cause: { code: 'ERR_TIMEOUT' } } });
    await nothingBut(replica, 2);
  });
});

/** Whatever was sent before has arrived before a request that is sent now. */
async function nothingBut(server: Replica | Site, requests: number): Promise<void> {
  const [reply] = (await once(request(server.origin, { agent: false }).end(), 'response')) as [IncomingMessage];
  reply.resume();
  await until(() => server.requests > requests, 'the last request');
  expect(server.requests).toBe(requests + 1);
}

function block(ms: number): void {
  const end = systemClock.now() + ms;
  while (systemClock.now() < end);
}
