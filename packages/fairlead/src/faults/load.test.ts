// Catches: thousands of calls on few connections of which one is lost, starved or counted for ever, memory that does not come
// back, refusals of a breaker or limit that cost the caller time.
import { getEventListeners } from 'node:events';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { sleep, systemClock } from '@fairlead/core';
import { describe, expect, it } from 'vitest';
import { attempts, get, loads, tally, until, worlds } from '../../test/world.js';

const world = worlds();

setFlagsFromString('--expose-gc');
const gc = runInNewContext('gc') as () => void;

async function heapMb(): Promise<number> {
  // What was let go in this turn can be collected in the next.
  for (let i = 0; i < 3; i++) {
    await sleep(systemClock, 1);
    gc();
  }
  return process.memoryUsage().heapUsed / 1e6;
}

describe('10,000 calls in flight', () => {
  it('over five slow endpoints all get their answers, evenly, and leave nothing', async () => {
    const sites = await Promise.all(
      [0, 1, 2, 3, 4].map(() =>
        world.http((_request, response) => void sleep(systemClock, 10).then(() => response.end('ok'))),
      ),
    );
    const client = world.client({
      on: null,
      services: {
        svc: { from: sites.map(({ origin }) => origin), attemptTimeoutMs: false, transport: { connections: 64 } },
      },
    });
    const round = async (calls: number): Promise<void> => {
      const all = Array.from({ length: calls }, () => get(client.fetch));
      expect(loads(client).reduce((sum, each) => sum + each, 0)).toBe(calls);
      expect(tally(await Promise.all(all))).toEqual({ 200: calls });
    };
    await round(500);
    const before = await heapMb();
    await round(10_000);
    await until(() => loads(client).every((load) => load === 0), `loads back to 0, but ${loads(client)}`);
    expect((await heapMb()) - before).toBeLessThan(10);
    for (const site of sites) {
      expect(site.accepted).toBeLessThanOrEqual(64);
      expect(site.requests).toBeGreaterThan(10_500 / 5 - 300);
      expect(site.requests).toBeLessThan(10_500 / 5 + 300);
    }
  }, 20_000);

  it('to endpoints that hang all end at once when they are aborted, 10,000 others when their time is up, and leave nothing', async () => {
    const sites = await Promise.all([0, 1, 2, 3, 4].map(() => world.raw(() => {})));
    const client = world.client({
      on: null,
      services: {
        svc: {
          from: sites.map(({ origin }) => origin),
          timeoutMs: 1_200,
          attemptTimeoutMs: false,
          transport: { connections: 16 },
        },
      },
    });
    const before = await heapMb();
    // Not one for all: Node looks through all listeners of a signal for each that is added.
    const controllers = Array.from({ length: 100 }, () => new AbortController());
    const calls = Array.from({ length: 20_000 }, (_, i) => {
      const { signal } = controllers[i % 200] ?? {};
      return get(client.fetch, signal === undefined ? {} : { signal });
    });
    await until(() => sites.every(({ requests }) => requests > 0), 'requests');
    const at = systemClock.now();
    for (const controller of controllers) controller.abort(new RangeError('enough'));
    expect(systemClock.now() - at).toBeLessThan(1_000);
    const all = await Promise.all(calls);
    expect(tally(all)).toEqual({ RangeError: 10_000, 'ERR_TIMEOUT call': 10_000 });
    for (const got of all) {
      const early = 'error' in got && got.error instanceof RangeError;
      if ((got.ms < 1_199 && !early) || got.ms > 4_000) throw new Error(`ended after ${got.ms} ms`);
    }
    for (const { signal } of controllers) expect(getEventListeners(signal, 'abort')).toEqual([]);
    expect(loads(client)).toEqual([0, 0, 0, 0, 0]);
    calls.length = 0;
    all.length = 0;
    await client.close();
    expect((await heapMb()) - before).toBeLessThan(10);
  }, 20_000);
});

describe('refusals', () => {
  it('by an open breaker and by a limit come at once, however many', async () => {
    const site = await world.http((_request, response) => void response.writeHead(500).end());
    const client = world.client({
      services: {
        broken: { from: [site.origin], attempts: 1 },
        limited: { from: [site.origin], limit: { perSecond: 0.001, burst: 1 } },
      },
    });
    for (let i = 0; i < 20; i++) await get(client.fetch, {}, 'http://broken/');
    await get(client.fetch, {}, 'http://limited/');
    const sent = attempts(client);
    for (const [service, kind] of [
      ['broken', 'ERR_REJECTED breaker'],
      ['limited', 'ERR_REJECTED limit'],
    ] as const) {
      const at = systemClock.now();
      const all = await Promise.all(Array.from({ length: 5_000 }, () => get(client.fetch, {}, `http://${service}/`)));
      expect(tally(all)).toEqual({ [kind]: 5_000 });
      expect(systemClock.now() - at).toBeLessThan(2_000);
    }
    expect(attempts(client)).toBe(sent);
  });

  it('tell a stream that it will not be read, and a stream that minds fails nothing else', async () => {
    const site = await world.http((_request, response) => void response.end('ok'));
    const client = world.service([site.origin], { limit: { perSecond: 0.001, burst: 1 } });
    await get(client.fetch);
    let canceled = 0;
    const body = (minds: boolean): ReadableStream =>
      new ReadableStream({
        cancel() {
          canceled++;
          if (minds) throw new Error('I mind');
        },
      });
    for (const minds of [false, true]) {
      const got = await get(client.fetch, { method: 'POST', body: body(minds), duplex: 'half' } as RequestInit);
      expect(got).toMatchObject({ error: { cause: { code: 'ERR_REJECTED', by: 'limit' } } });
    }
    expect(canceled).toBe(2);
  });
});
