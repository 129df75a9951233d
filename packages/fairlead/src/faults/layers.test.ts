// Catches: a layer of the user that misbehaves (throws at once, ignores a cancellation, calls next twice, forgets its reply)
// and takes load, connections or other calls with it; clients that share what they must not.
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { discard, type Middleware, type Reply, sleep, systemClock } from '@fairlead/core';
import { describe, expect, it } from 'vitest';
import { attempts, get, load, loads, signalAfter, tally, until, worlds } from '../../test/world.js';

const world = worlds();
const ok = (): ReturnType<typeof world.http> => world.http((_request, response) => void response.end('ok'));

const places = [['call'], ['attempt']] as const;
const at = (place: 'call' | 'attempt', layer: Middleware): { layers: { [place: string]: Middleware[] } } => ({
  layers: { [place]: [layer] },
});

describe.each(places)('a layer of the user, once per %s,', (place) => {
  it('that throws at once fails its own call, with what it threw', async () => {
    const site = await ok();
    const thrown = new RangeError('mine');
    let broken = true;
    const client = world.service(
      [site.origin],
      at(place, (call, next) => {
        if (broken) throw thrown;
        return next(call);
      }),
    );
    for (let i = 0; i < 10; i++) {
      const got = await get(client.fetch);
      expect(got).toMatchObject({ error: { cause: thrown } });
    }
    expect(loads(client)).toEqual(place === 'call' ? [] : [0]);
    broken = false;
    expect(tally(await load(client.fetch, 50))).toEqual({ 200: 50 });
  });

  it.each([
    ['undefined', () => undefined],
    ['a promise of undefined', async () => undefined],
    ['a reply instead of a promise', () => ({ status: 200 })],
    ['a promise of nonsense', async () => ({ status: 'ok' })],
  ])('that returns %s fails its own call and holds no load', async (_what, wrong) => {
    const site = await ok();
    const client = world.service([site.origin], at(place, wrong as never));
    for (let i = 0; i < 5; i++) expect(await get(client.fetch)).toHaveProperty('error');
    expect(loads(client).every((each) => each === 0)).toBe(true);
  });

  it('that ignores a cancellation holds up neither the caller nor the attempt timeout, and sends nothing later', async () => {
    const site = await ok();
    const woken = Promise.withResolvers<void>();
    let deaf = true;
    const late: Promise<unknown>[] = [];
    const client = world.service([site.origin], {
      attemptTimeoutMs: 30,
      retry: { baseMs: 1 },
      ...at(place, async (call, next) => {
        if (!deaf) return next(call);
        await woken.promise;
        late.push(next(call));
        return late.at(-1) as ReturnType<typeof next>;
      }),
    });
    const signal = signalAfter(30);
    const error = await client.fetch('http://svc/', { signal }).catch((reason) => reason);
    expect(error).toBe(signal.reason);
    if (place === 'attempt') {
      const got = await get(client.fetch);
      expect(got).toMatchObject({ error: { cause: { code: 'ERR_TIMEOUT', of: 'attempt', attempts: [{}, {}] } } });
    }
    expect(loads(client).every((each) => each === 0)).toBe(true);
    woken.resolve();
    await until(() => late.length === (place === 'call' ? 1 : 4), 'every layer awake');
    await Promise.allSettled(late);
    expect(site.requests).toBe(0);
    deaf = false;
    expect(tally(await load(client.fetch, 50))).toEqual({ 200: 50 });
  });

  it('that calls next twice, as a hedge does, and lets the slower reply go', async () => {
    let n = 0;
    const sites = await Promise.all(
      [0, 1, 2].map(() =>
        world.http((_request, response) => {
          const slow = n++ % 2 === 0 ? sleep(systemClock, 20) : Promise.resolve();
          void slow.then(() => response.end('ok'.repeat(10_000)));
        }),
      ),
    );
    const hedged: Middleware = (call, next) => {
      const both = [next(call), next(call)];
      const first = Promise.any(both);
      for (const each of both) {
        each.then(
          async (reply: Reply) => {
            if ((await first) !== reply) discard(reply);
          },
          () => {},
        );
      }
      return first;
    };
    const client = world.service(
      sites.map(({ origin }) => origin),
      at(place, hedged),
    );
    const all = await load(client.fetch, 200);
    expect(tally(all)).toEqual({ 200: 200 });
    await until(() => loads(client).every((each) => each === 0), `loads back to 0, but ${loads(client)}`);
    await until(() => attempts(client) >= 400, 'both attempts of each call');
    expect(attempts(client)).toBe(400);
  });
});

describe('two clients of one process', () => {
  it('share neither health, budgets, breakers nor connections', async () => {
    const bad = await world.raw((socket) => socket.resetAndDestroy());
    const good = await ok();
    const one = world.service([bad.origin]);
    const other = world.service([bad.origin, good.origin]);
    await load(one.fetch, 100);
    expect(one.events.some(({ type }) => type === 'breaker.opened')).toBe(true);
    expect(tally(await load(other.fetch, 100))).toEqual({ 200: 100 });
    expect(other.events.some(({ type }) => type === 'breaker.opened')).toBe(false);
    await one.close();
    expect(tally(await load(other.fetch, 100))).toEqual({ 200: 100 });
  });
});

describe.skipIf(!existsSync(new URL('../../dist/index.js', import.meta.url)))('a client in a worker thread', () => {
  it('works like any other, and does not keep its thread alive', async () => {
    const site = await ok();
    const refusing = await world.refusing();
    const worker = new Worker(new URL('../../test/worker.mjs', import.meta.url), {
      workerData: [refusing, site.origin],
    });
    const [message] = await once(worker, 'message');
    expect(message).toEqual({ ok: 50, health: ['ejected', 'healthy'] });
    const [code] = await once(worker, 'exit');
    expect(code).toBe(0);
    await until(() => site.sockets.size === 0, 'connections closed');
  });
});
