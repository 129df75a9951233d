// Catches: a whole service that goes down and is stormed with retries, callers that wait for a service known to be down, a
// breaker that does not open or does not close again, errors that are not those of docs/errors.md.
import { sleep, systemClock } from '@fairlead/core';
import { describe, expect, it } from 'vitest';
import { attempts, get, load, tally, worlds } from '../../test/world.js';

const world = worlds();

describe('a service of which every replica is killed', () => {
  it('fails fast with documented errors, costs few retries, and is used again soon after it is back', async () => {
    const replicas = await Promise.all([0, 1, 2].map(() => world.replica()));
    const client = world.service(
      replicas.map((replica) => replica.origin),
      {
        attemptTimeoutMs: 500,
        breaker: { openMs: 200, maxOpenMs: 400 },
        health: { baseEjectMs: 100, maxEjectMs: 200 },
        budget: { minPerSecond: 1 },
      },
    );
    expect(tally(await load(client.fetch, 100))).toEqual({ 200: 100 });
    const before = attempts(client);
    for (const replica of replicas) replica.process.kill('SIGKILL');
    await Promise.all(
      replicas.map(({ process }) => process.exitCode ?? new Promise((resolve) => process.once('close', resolve))),
    );

    const all = await load(client.fetch, 400);
    const kinds = Object.keys(tally(all)).sort();
    expect(kinds).toEqual(['ERR_REJECTED breaker', 'ERR_TRANSPORT connect']);
    expect(client.events.some(({ type }) => type === 'breaker.opened')).toBe(true);
    // At most a tenth more, or the floor of one per second over ten seconds; the calls from before have paid in, too.
    expect(attempts(client) - before).toBeLessThanOrEqual((100 + 400) * 0.1 + 10 + 400);
    const sorted = all.map(({ ms }) => ms).sort((a, b) => a - b);
    expect(sorted[200]).toBeLessThan(50);
    for (const got of all) expect(got.ms).toBeLessThan(1_500);

    await Promise.all(replicas.map(({ origin }) => world.replica({ PORT: new URL(origin).port })));
    const back = systemClock.now();
    let got = await get(client.fetch);
    for (; !('status' in got); got = await get(client.fetch)) {
      // The breaker's own time, its doubling, the ejections, and what a busy machine adds.
      expect(systemClock.now() - back).toBeLessThan(3_000);
      await sleep(systemClock, 10);
    }
    expect(client.events.some(({ type }) => type === 'breaker.closed')).toBe(true);
    expect(tally(await load(client.fetch, 200))).toEqual({ 200: 200 });
  });

  it('is not stormed by retries: at most a tenth more, or the floor', async () => {
    const down = await Promise.all([0, 1, 2].map(() => world.raw((socket) => socket.resetAndDestroy())));
    const client = world.service(
      down.map(({ origin }) => origin),
      { breaker: false, budget: { minPerSecond: 1 }, retry: { baseMs: 1, maxMs: 2 } },
    );
    const all = await load(client.fetch, 500);
    expect(tally(all)).toEqual({ 'ERR_TRANSPORT wait': 500 });
    const sent = down.reduce((sum, { requests }) => sum + requests, 0);
    expect(sent).toBe(attempts(client));
    expect(sent).toBeGreaterThan(540);
    expect(sent).toBeLessThanOrEqual(500 * 1.1 + 10);
  });

  it('says who was tried and why it was not tried again', async () => {
    const refusing = await world.refusing();
    const client = world.service([refusing], { retry: { baseMs: 1 } });
    const got = await get(client.fetch);
    expect(got).toMatchObject({
      error: { message: 'fetch failed', cause: { code: 'ERR_TRANSPORT', sent: 'no', phase: 'connect' } },
    });
    if (!('error' in got)) throw new Error('did not fail');
    expect(got.error.cause?.message).toContain('svc');
    expect(got.error.cause?.message).toContain('attempt 3 of 3');
    expect(got.error.cause?.attempts).toMatchObject([{ endpoint: refusing }, { endpoint: refusing }]);
  });
});

describe('a service that has no time', () => {
  it('answers 503 with Retry-After beyond our patience: handed back at once, and nobody is blamed', async () => {
    const site = await world.http(
      (_request, response) => void response.writeHead(503, { 'retry-after': '60' }).end('later'),
    );
    const client = world.service([site.origin]);
    expect(tally(await load(client.fetch, 50))).toEqual({ 503: 50 });
    expect(site.requests).toBe(50);
  });
});
