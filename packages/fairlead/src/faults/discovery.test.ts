// Catches: calls that are lost while the answer of discovery changes, an error of discovery that is taken for an empty
// answer, a call that waits for discovery longer than it may and does not say that it did.
import type { ServerResponse } from 'node:http';
import { type DnsAsk, dns } from '@fairlead/balance';
import { createEndpoint, type Resolver, type ResolverUpdate } from '@fairlead/core';
import { describe, expect, it } from 'vitest';
import { CountingClock } from '../../test/counting-clock.js';
import { get, load, loads, type Site, tally, until, worlds } from '../../test/world.js';

const world = worlds();
const prompt = (): Promise<Site> => world.http((_request, response) => void response.end('ok'));

/** A resolver that tells what the test wants it to. */
class Told implements Resolver {
  readonly name = 'told';
  stopped = 0;
  #tell: (update: ResolverUpdate) => void = () => {};
  watch(tell: (update: ResolverUpdate) => void, scope: { watch(watcher: { onCancel(): void }): void }): void {
    this.#tell = tell;
    scope.watch({ onCancel: () => this.stopped++ });
  }
  tell(...sites: readonly Site[]): void {
    this.#tell({ endpoints: sites.map(({ origin }) => createEndpoint(origin)) });
  }
  fail(): void {
    this.#tell({ error: new Error('no answer') });
  }
}

describe('a service whose endpoints change while calls run', () => {
  it('loses no call when all of them are replaced, again and again, and lets the old ones finish', async () => {
    const CALLERS = 64;
    // Whoever is asked while things change answers after the next change: all callers are under way during each.
    const held: ServerResponse[] = [];
    let changing = true;
    const hold = (): Promise<Site> =>
      world.http((_request, response) => void (changing ? held.push(response) : response.end('ok')));
    const sites = await Promise.all(Array.from({ length: 6 }, hold));
    const from = new Told();
    const client = world.client({ services: { svc: { from, transport: { connections: CALLERS } } } });
    const calls = load(client.fetch, 1_500, CALLERS);
    for (let i = 0; i < 20; i++) {
      const present = sites.filter((_, n) => (n + i) % 3 === 0);
      from.tell(...present);
      const before = present.reduce((sum, { requests }) => sum + requests, 0);
      for (const response of held.splice(0)) response.end('ok');
      await until(() => held.length === CALLERS, 'everybody asking the new ones');
      expect(present.reduce((sum, { requests }) => sum + requests, 0) - before).toBe(CALLERS);
      expect(client.describe().svc?.endpoints.map(({ origin }) => origin)).toEqual(present.map(({ origin }) => origin));
    }
    changing = false;
    for (const response of held) response.end('ok');
    expect(tally(await calls)).toEqual({ 200: 1_500 });
    for (const { requests } of sites) expect(requests).toBeGreaterThan(0);
    // Whoever has left keeps no connection.
    from.tell(sites[0] as Site);
    await until(
      () => sites.slice(1).every(({ sockets }) => sockets.size === 0),
      'the connections to those that left closed',
    );
    await client.close();
    expect(from.stopped).toBe(1);
  });

  it('goes on with the last good answer when discovery fails, and refuses when it says that there is nobody', async () => {
    const site = await prompt();
    const from = new Told();
    const client = world.client({ services: { svc: { from, retry: { baseMs: 1 } } } });
    const first = load(client.fetch, 50);
    from.tell(site);
    expect(tally(await first)).toEqual({ 200: 50 });
    for (let i = 0; i < 3; i++) from.fail();
    expect(client.describe().svc).toMatchObject({ state: 'ready', error: 'no answer' });
    expect(client.events.filter(({ type }) => type === 'resolver.failed')).toHaveLength(3);
    expect(tally(await load(client.fetch, 50))).toEqual({ 200: 50 });
    from.tell();
    expect(await get(client.fetch)).toMatchObject({ error: { cause: { code: 'ERR_NO_ENDPOINT', state: 'empty' } } });
    from.tell(site);
    expect(tally(await load(client.fetch, 50))).toEqual({ 200: 50 });
  });

  it('keeps what a retry needs: a call whose endpoint has gone is sent to a new one', async () => {
    const from = new Told();
    const [dead, alive] = [await world.raw(() => {}), await prompt()];
    const client = world.client({ services: { svc: { from, attemptTimeoutMs: 100 } } });
    const calls = load(client.fetch, 20, 20);
    from.tell(dead);
    await until(() => dead.requests === 20, 'requests');
    from.tell(alive);
    expect(tally(await calls)).toEqual({ 200: 20 });
  });
});

describe('discovery', () => {
  it('that never answers: the call ends when its time is up, and says why', async () => {
    const client = world.client({ services: { svc: { from: new Told(), timeoutMs: 60, attemptTimeoutMs: false } } });
    for (const got of await load(client.fetch, 32)) {
      expect(got).toMatchObject({ error: { cause: { code: 'ERR_NO_ENDPOINT', state: 'pending', service: 'svc' } } });
      expect(got.ms).toBeGreaterThanOrEqual(59);
      expect(got.ms).toBeLessThan(60 + 250);
    }
  });

  it('that fails before it has ever answered says why, and lets the next call try', async () => {
    const from = new Told();
    const client = world.client({ services: { svc: { from, retry: { baseMs: 1, maxMs: 1 } } } });
    const waiting = get(client.fetch);
    from.fail();
    expect(await waiting).toMatchObject({
      error: { cause: { code: 'ERR_NO_ENDPOINT', state: 'failed', cause: { message: 'no answer' } } },
    });
    from.tell(await prompt());
    expect(tally([await get(client.fetch)])).toEqual({ 200: 1 });
  });

  it('that throws, or tells nonsense, fails the call and nothing else', async () => {
    const broken: Resolver = {
      name: 'broken',
      watch() {
        throw new RangeError('mine');
      },
    };
    const client = world.client({ services: { svc: { from: broken, timeoutMs: 100 } } });
    for (let i = 0; i < 3; i++) expect(await get(client.fetch)).toHaveProperty('error');
    expect(loads(client)).toEqual([]);
  });

  it('by DNS follows the answers: names, addresses, and a server that stops answering', async () => {
    const one = await prompt();
    const port = Number(new URL(one.origin).port);
    let answer: () => Promise<readonly { address: string; ttl: number }[]> = async () => [
      { address: '127.0.0.1', ttl: 0 },
    ];
    let asked = 0;
    const ask: DnsAsk = {
      a: () => {
        asked++;
        return answer();
      },
      aaaa: async () => [],
      srv: async () => [],
      cancel: () => {},
    };
    const from = dns({ host: 'svc.test', port, ask, minRefreshMs: 5, refreshMs: 5 });
    const clock = new CountingClock();
    const client = world.client({ clock, services: { svc: { from } } });
    expect(tally(await load(client.fetch, 50))).toEqual({ 200: 50 });
    const addresses = (): readonly string[] =>
      client.describe().svc?.endpoints.map(({ origin }) => new URL(origin).hostname) ?? [];
    // The second address is nobody's: it is refused once, tried elsewhere and left alone.
    answer = async () => ['127.0.0.1', '127.0.0.9'].map((address) => ({ address, ttl: 0 }));
    await until(() => addresses().length === 2, 'two addresses');
    expect(tally(await load(client.fetch, 100))).toEqual({ 200: 100 });
    answer = () => Promise.reject(Object.assign(new Error('timed out'), { code: 'ETIMEOUT' }));
    await until(() => client.describe().svc?.error !== null, 'an error');
    expect(addresses()).toEqual(['127.0.0.1', '127.0.0.9']);
    expect(tally(await load(client.fetch, 100))).toEqual({ 200: 100 });
    answer = () => Promise.reject(Object.assign(new Error('no such name'), { code: 'ENOTFOUND' }));
    await until(() => addresses().length === 0, 'nobody');
    answer = async () => [{ address: '127.0.0.1', ttl: 0 }];
    await until(() => addresses().length === 1, 'one address');
    expect(tally(await load(client.fetch, 50))).toEqual({ 200: 50 });
    await client.close();
    // Nobody is left who could ask again.
    expect(clock.armed).toEqual([]);
    expect(asked).toBeGreaterThan(4);
  });

  it('takes localhost as it is', async () => {
    const site = await prompt();
    const client = world.client({ services: { svc: site.origin.replace('http://127.0.0.1', 'dns://localhost') } });
    expect(tally(await load(client.fetch, 20))).toEqual({ 200: 20 });
  });
});
