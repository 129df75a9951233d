// Catches: a client that drops what is under way when it is closed, that waits longer than its grace, hangs on a body that
// nobody reads, is closed twice in vain, or leaves calls that never end.
import { sleep, systemClock } from '@fairlead/core';
import { describe, expect, it } from 'vitest';
import { get, loads, tally, until, worlds } from '../../test/world.js';
import { createClient } from '../client.js';

const world = worlds();
/** The grace of a transport, and what a busy machine adds. */
const GRACE_MS = 5_000;

const closed = { code: 'ERR_CANCELED', message: 'svc: closed' };

async function timed(work: Promise<unknown>): Promise<number> {
  const at = systemClock.now();
  await work;
  return systemClock.now() - at;
}

describe('close()', () => {
  it('finishes 200 calls that are in flight, those that wait for a connection too, and refuses the next', async () => {
    const site = await world.http((_request, response) => void sleep(systemClock, 20).then(() => response.end('ok')));
    const client = world.service([site.origin], { transport: { connections: 40 } });
    const calls = Array.from({ length: 200 }, () => get(client.fetch));
    await until(() => site.requests >= 40, 'requests');
    const closing = timed(client.close());
    const after = await get(client.fetch);
    expect(tally(await Promise.all(calls))).toEqual({ 200: 200 });
    expect(await closing).toBeLessThan(2_000);
    expect(after).toMatchObject({ error: { name: 'TypeError', cause: closed } });
    expect(after.ms).toBeLessThan(100);
    expect(site.requests).toBe(200);
    await until(() => site.sockets.size === 0, 'no connection');
  });

  it('waits for bodies that nobody reads no longer than its grace, and a second close() ends with the first', async () => {
    const site = await world.http((_request, response) => response.end('x'.repeat(1_000_000)));
    const client = world.service([site.origin]);
    const replies = await Promise.all(Array.from({ length: 50 }, () => client.fetch('http://svc/')));
    const mute = await world.raw(() => {});
    const other = world.service([mute.origin], { attempts: 1 });
    const hanging = Array.from({ length: 20 }, () => get(other.fetch));
    await until(() => mute.requests === 20, 'requests');
    const ms = await Promise.all([client.close(), client.close(), other.close()].map(timed));
    for (const each of ms) {
      expect(each).toBeGreaterThan(GRACE_MS - 10);
      expect(each).toBeLessThan(GRACE_MS + 500);
    }
    expect(tally(await Promise.all(hanging))).toEqual({ 'ERR_TRANSPORT closed': 20 });
    for (const reply of replies) await expect(reply.text()).rejects.toThrow(TypeError);
    expect(loads(client)).toEqual([]);
    expect(await timed(client.close())).toBeLessThan(50);
  }, 15_000);

  it('ends calls that wait for discovery at once, and those that wait for another attempt when it would begin', async () => {
    const site = await world.http((_request, response) => void response.writeHead(503, { 'retry-after': '1' }).end());
    const client = world.client({
      services: {
        svc: { from: [site.origin], budget: false },
        pending: { from: { name: 'never', watch: () => {} }, timeoutMs: false, attemptTimeoutMs: false },
      },
    });
    const waiting = Array.from({ length: 50 }, () => get(client.fetch));
    const pending = Array.from({ length: 50 }, () => get(client.fetch, {}, 'http://pending/'));
    await until(() => client.events.filter(({ type }) => type === 'retry.scheduled').length === 50, 'retries');
    expect(await timed(client.close())).toBeLessThan(500);
    for (const got of await Promise.all(pending)) {
      expect(got).toMatchObject({ error: { cause: { code: 'ERR_CANCELED', message: 'pending: closed' } } });
      expect(got.ms).toBeLessThan(900);
    }
    for (const got of await Promise.all(waiting))
      expect(got).toMatchObject({ error: { cause: { ...closed, message: 'svc: closed (attempt 2 of 3)' } } });
    expect(site.requests).toBe(50);
  });

  it('before the first call has nothing to do', async () => {
    const client = createClient({ environment: false, services: { svc: 'http://127.0.0.1:1' } });
    expect(await timed(client.close())).toBeLessThan(50);
    expect(await get(client.fetch)).toMatchObject({ error: { name: 'TypeError', cause: closed } });
  });

  it('comes with `await using`', async () => {
    const site = await world.http((_request, response) => response.end('ok'));
    {
      await using client = createClient({ environment: false, services: { svc: site.origin } });
      expect(tally([await get(client.fetch)])).toEqual({ 200: 1 });
      expect(site.sockets.size).toBe(1);
    }
    await until(() => site.sockets.size === 0, 'no connection');
  });
});
