// Catches: an index that is not reset or is asked with in a loop, an answer that takes endpoints away although it is none
// (forbidden, filtered, leaderless, cut), a query that hangs for ever, and instances read in the wrong way.
import { ConfigError, createEndpoint, type Endpoint, type ResolverUpdate, Scope } from '@fairlead/core';
import { checkLeaks, VirtualClock } from '@fairlead/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Instance, instanceAt, ScriptedConsul } from '../../../test/scripted-consul.js';
import { type ConsulOptions, consul } from './consul.js';
import type { ConsulAccess } from './consul-access.js';

const one = 'http://10.0.0.1:8080';
const two = 'http://10.0.0.2:8080';

function setUp(options: Partial<ConsulOptions> = {}, access: Partial<ConsulAccess> = {}, seed = 1) {
  const clock = new VirtualClock({ seed });
  const server = new ScriptedConsul(clock);
  const scope = new Scope(clock);
  const told: ResolverUpdate[] = [];
  const own = { tls: null, namespace: null, partition: null, token: () => null };
  const resolver = consul({
    service: 'payments',
    handler: server.handler,
    access: { server: createEndpoint('http://127.0.0.1:8500'), ...own, ...access },
    ...options,
  });
  const start = async (): Promise<void> => {
    resolver.watch((update) => told.push(update), scope, { clock });
    await clock.advance(0);
  };
  const last = (): readonly Endpoint[] => {
    const snapshots = told.filter((update) => 'endpoints' in update);
    return snapshots.at(-1)?.endpoints ?? [];
  };
  const origins = (): string[] => last().map(({ origin }) => origin);
  const errors = (): string[] => told.flatMap((update) => ('error' in update ? [update.error.message] : []));
  return { clock, server, scope, told, start, last, origins, errors, resolver };
}

async function endpointsOf(instances: readonly Instance[], options: Partial<ConsulOptions> = {}) {
  const { server, start, last, errors } = setUp(options);
  server.set(...instances);
  await start();
  return { endpoints: last(), errors: errors() };
}

describe('consul asks', () => {
  it('at once, then for what comes after, and tells a change as soon as Consul knows it', async () => {
    const { server, start, clock, origins } = setUp();
    server.set(instanceAt(one));
    await start();
    expect(origins()).toEqual([one]);
    await clock.advance(30_000);
    server.set(instanceAt(one), instanceAt(two));
    await clock.advance(0);
    expect(origins()).toEqual([one, two]);
    expect(server.queries.map(({ index }) => index)).toEqual([0, 41, 42]);
    expect(server.queries[0]?.path).toBe('/v1/health/service/payments?passing=true');
    expect(server.queries[1]?.path).toMatch(/^\/v1\/health\/service\/payments\?passing=true&index=41&wait=\d+ms$/);
  });

  it('again when nothing changed, with a wait of 80 to 100 %, and says that all is as it was', async () => {
    const { server, start, clock, told } = setUp({ waitMs: 60_000 });
    server.set(instanceAt(one));
    await start();
    await clock.advance(600_000);
    const waits = server.queries.slice(1).map(({ waitMs }) => waitMs);
    expect(Math.min(...waits)).toBeGreaterThanOrEqual(48_000);
    expect(Math.max(...waits)).toBeLessThanOrEqual(60_000);
    expect(new Set(waits).size).toBeGreaterThan(3);
    expect(told).toHaveLength(server.queries.length - 1);
    expect(told.every((update) => 'endpoints' in update)).toBe(true);
  });

  it('for what was wanted: datacenter, namespace, partition, tags, filter, consistency', async () => {
    const { server, start, resolver } = setUp(
      {
        service: 'a b/c',
        datacenter: 'eu',
        tags: ['v2', 'canary'],
        filter: 'Service.Meta.x == "1"',
        passing: false,
        consistency: 'stale',
      },
      { namespace: 'team', partition: 'left' },
    );
    await start();
    const url = new URL(server.queries[0]?.path ?? '', 'http://consul');
    expect(url.pathname).toBe('/v1/health/service/a%20b%2Fc');
    expect([...url.searchParams]).toEqual([
      ['dc', 'eu'],
      ['ns', 'team'],
      ['partition', 'left'],
      ['tag', 'v2'],
      ['tag', 'canary'],
      ['filter', 'Service.Meta.x == "1"'],
      ['stale', ''],
    ]);
    expect(resolver.name).toContain('consul://127.0.0.1:8500/a b/c?dc=eu');
  });

  it('at once and without waiting when it is told to look again, and drops the query that waits', async () => {
    const { server, start, clock, resolver, scope, told } = setUp();
    server.set(instanceAt(one));
    await start();
    await clock.advance(10_000);
    expect([server.queries.length, server.held]).toEqual([2, 1]);
    resolver.refresh?.();
    await clock.advance(0);
    expect(server.queries.map(({ index }) => index)).toEqual([0, 41, 0, 41]);
    expect([server.held, told.length]).toEqual([1, 2]);
    expect(told.every((update) => 'endpoints' in update)).toBe(true);
    scope.cancel();
    resolver.refresh?.();
    await clock.advance(0);
    expect(server.held).toBe(0);
    checkLeaks({ clock, scopes: [scope] });
  });

  it('not out of turn while it is down', async () => {
    const { server, start, clock, resolver, scope } = setUp();
    server.stop();
    await start();
    await clock.advance(5_000);
    const before = server.queries.length;
    for (let n = 0; n < 20; n++) resolver.refresh?.();
    await clock.advance(0);
    expect(server.queries.length).toBe(before);
    scope.cancel();
  });

  it('with the token of the moment', async () => {
    let token = 'first';
    const { server, start, clock, errors, origins } = setUp({}, { token: () => token });
    server.token = 'first';
    server.set(instanceAt(one));
    await start();
    expect(origins()).toEqual([one]);
    server.token = 'second';
    server.touch();
    await clock.advance(60_000);
    expect(errors()[0]).toBe('Consul answered 403: ACL not found');
    expect(origins()).toEqual([one]);
    token = 'second';
    server.set(instanceAt(two));
    await clock.advance(60_000);
    expect(origins()).toEqual([two]);
    expect(server.queries.at(-1)?.token).toBe('second');
  });

  it('with the name and password that a proxy wants', async () => {
    const { server, start } = setUp({}, { authorization: 'Basic dXNlcjo=' });
    await start();
    expect(server.queries[0]?.authorization).toBe('Basic dXNlcjo=');
    const other = setUp();
    await other.start();
    expect(other.server.queries[0]?.authorization).toBeUndefined();
  });

  it('and tells when there is no token to be had', async () => {
    const token = (): never => {
      throw new Error('no such file');
    };
    const { server, start, errors } = setUp({}, { token });
    await start();
    expect([errors(), server.queries]).toEqual([['no such file'], []]);
  });
});

describe('an index', () => {
  it('that goes backwards is forgotten: the next query does not wait for a state that may never come', async () => {
    const { server, start, clock, origins } = setUp();
    server.index = 9_000;
    server.set(instanceAt(one));
    await start();
    server.restore(12, instanceAt(two));
    await clock.advance(65_000);
    expect(origins()).toEqual([two]);
    expect(server.queries.map(({ index }) => index).slice(0, 4)).toEqual([0, 9_001, 0, 12]);
    server.set(instanceAt(one));
    await clock.advance(0);
    expect(origins()).toEqual([one]);
  });

  it.each(['0', '00'])('of %s counts as 1', async (index) => {
    const { server, start, clock } = setUp();
    server.headers = { 'x-consul-index': index };
    server.index = 1;
    await start();
    await clock.advance(60_000);
    expect(server.queries[1]?.index).toBe(1);
    expect(server.queries.length).toBeLessThan(5);
  });

  it.each([undefined, 'abc', '-1', ''])('of %j cannot be waited with: asked again every ten seconds', async (index) => {
    const { server, start, clock, origins } = setUp();
    server.headers = { 'x-consul-index': index };
    server.set(instanceAt(one));
    await start();
    await clock.advance(100_000);
    expect(server.queries.every((query) => query.waitMs === 0)).toBe(true);
    expect(server.queries.length).toBeGreaterThanOrEqual(9);
    expect(server.queries.length).toBeLessThanOrEqual(12);
    expect(origins()).toEqual([one]);
  });

  it('that always moves turns the loop no faster than once in a second, on average', async () => {
    const { server, start, clock } = setUp();
    // As by a bug in the server, or by a service that flaps.
    server.headers = { 'x-consul-index': '7' };
    server.index = 1_000_000;
    await start();
    await clock.advance(60_000);
    expect(server.queries.slice(0, 3).every(({ at }) => at === 0)).toBe(true);
    expect(server.queries.length).toBeGreaterThan(45);
    expect(server.queries.length).toBeLessThanOrEqual(63);
  });
});

describe('nobody is lost', () => {
  it.each([
    [403, 'Permission denied'],
    [404, 'Invalid URL path: not a recognized HTTP API endpoint'],
    [429, 'rate limit reached'],
    [500, 'No cluster leader'],
    [503, ''],
    [301, ''],
    [200, ''],
    [200, '{}'],
    [200, 'null'],
    [200, '[{"Node":{}}]'],
    [200, '[null]'],
    [200, '[{"Node":{"Address":"10.0.0.9"},"Service":{"Port":1}}'],
  ])('when Consul says %d %j', async (status, body) => {
    const { server, start, clock, origins, errors } = setUp();
    server.set(instanceAt(one));
    await start();
    server.say(status, body, { 'x-consul-index': '99' });
    await clock.advance(300_000);
    expect(origins()).toEqual([one]);
    expect(errors().length).toBeGreaterThan(3);
    if (body && status !== 200) expect(errors()[0]).toBe(`Consul answered ${status}: ${body}`);
    server.set(instanceAt(two));
    await clock.advance(30_000);
    expect(origins()).toEqual([two]);
  });

  it('when the ACL filters everybody out; whoever is left counts, and so does an honest nobody', async () => {
    const { server, start, clock, origins, errors } = setUp();
    server.set(instanceAt(one));
    await start();
    server.blind = true;
    server.set(instanceAt(two));
    await clock.advance(5_000);
    expect(origins()).toEqual([one]);
    expect(errors()[0]).toContain('the ACL token may not read');
    server.blind = false;
    server.headers = { 'x-consul-results-filtered-by-acls': 'true' };
    server.touch();
    await clock.advance(30_000);
    expect(origins()).toEqual([two]);
    server.headers = {};
    server.set();
    await clock.advance(0);
    expect(origins()).toEqual([]);
  });

  it('when a server without a leader knows of nobody', async () => {
    const { server, start, clock, origins, errors } = setUp({ consistency: 'stale' });
    server.set(instanceAt(one));
    await start();
    server.headers = { 'x-consul-knownleader': 'false' };
    server.set();
    await clock.advance(5_000);
    expect(origins()).toEqual([one]);
    expect(errors()[0]).toContain('knows no leader');
  });

  it('when Consul freezes: the query is given up after its wait, a sixteenth and ten seconds', async () => {
    const { server, start, clock, origins, errors } = setUp();
    server.set(instanceAt(one));
    await start();
    server.freeze();
    await clock.advance(57_000);
    expect(errors()).toEqual([]);
    await clock.advance(17_000);
    expect(errors()[0]).toMatch(/within/);
    expect(server.queries.at(-1)?.index).toBe(0);
    // One that does not wait has ten seconds.
    await clock.advance(11_000);
    expect(errors().length).toBeGreaterThanOrEqual(2);
    expect(server.held).toBeLessThanOrEqual(1);
    expect(origins()).toEqual([one]);
    server.set(instanceAt(two));
    await clock.advance(60_000);
    expect(origins()).toEqual([two]);
  });

  it('with waits that are random and grow, and heed Retry-After', async () => {
    const { server, start, clock } = setUp({ maxBackoffMs: 8_000 });
    server.stop();
    await start();
    await clock.advance(600_000);
    const gaps = server.queries.slice(1).map(({ at }, i) => at - (server.queries[i]?.at ?? 0));
    expect(Math.min(...gaps)).toBeGreaterThanOrEqual(200);
    expect(gaps[0]).toBeLessThanOrEqual(800);
    expect(Math.max(...gaps)).toBeLessThanOrEqual(8_000);
    expect(Math.max(...gaps)).toBeGreaterThan(6_000);
    server.say(429, 'slow down', { 'retry-after': '5' });
    await clock.advance(100_000);
    const last = server.queries.at(-1)?.at ?? 0;
    expect(last - (server.queries.at(-2)?.at ?? 0)).toBeGreaterThanOrEqual(5_000);
  });
});

describe('the loop', () => {
  it('begins its backoff anew after an answer', async () => {
    const { server, start, clock } = setUp();
    server.stop();
    await start();
    await clock.advance(300_000);
    server.set(instanceAt(one));
    await clock.advance(40_000);
    server.stop();
    const failedAt = clock.now();
    await clock.advance(800);
    expect(server.queries.at(-1)?.at).toBeGreaterThan(failedAt);
  });

  it('leaves nothing of a query behind that has its answer', async () => {
    const { server, start, clock } = setUp();
    server.set(instanceAt(one));
    await start();
    for (let i = 0; i < 100; i++) {
      await clock.advance(2_500);
      // That of the server, which holds a query back, and the deadline of that query.
      expect(clock.pending).toBe(2);
    }
  });

  it('says nothing of an answer that comes as it ends', async () => {
    const { server, start, clock, scope, told } = setUp();
    server.set(instanceAt(one));
    await start();
    server.set(instanceAt(two));
    scope.cancel();
    await clock.advance(1_000);
    expect(told).toHaveLength(1);
    checkLeaks({ clock, scopes: [scope] });
  });
});

describe('an instance', () => {
  it('is at its own address, or else at that of its node', async () => {
    const { endpoints } = await endpointsOf([
      instanceAt(one),
      instanceAt(two, { Address: '' }),
      instanceAt(two, { Address: 'fd00::1' }),
      instanceAt(two, { Address: 'payments.example' }),
    ]);
    expect(endpoints.map(({ origin }) => origin)).toEqual([
      one,
      'http://192.0.2.1:8080',
      'http://[fd00::1]:8080',
      'http://payments.example:8080',
    ]);
  });

  it('can have other addresses for those who come from elsewhere', async () => {
    const wan = { wan: { Address: '198.51.100.1', Port: 9_000 } };
    const node = { ...instanceAt(two).Node, TaggedAddresses: { wan: '198.51.100.2' } };
    const { endpoints } = await endpointsOf(
      [instanceAt(one, { TaggedAddresses: wan }), { ...instanceAt(two), Node: node }, instanceAt('http://10.0.0.3:81')],
      { address: 'wan', protocol: 'https' },
    );
    expect(endpoints.map(({ origin }) => origin)).toEqual([
      'https://198.51.100.1:9000',
      'https://198.51.100.2:8080',
      'https://10.0.0.3:81',
    ]);
  });

  it('has weight, zone, node, tags and metadata', async () => {
    const meta = { zone: 'a', version: '2' };
    const weights = { Passing: 10, Warning: 1 };
    const inZone = { ...instanceAt(two), Node: { ...instanceAt(two).Node, Meta: { zone: 'b' } } };
    const placed = instanceAt('http://10.0.0.3:81', { Locality: { Region: 'eu', Zone: 'c' }, Tags: null });
    const { endpoints } = await endpointsOf([
      { ...instanceAt(one, { Meta: meta, Weights: weights, Tags: ['v2'] }), Node: inZone.Node },
      inZone,
      placed,
    ]);
    expect(endpoints.map(({ zone, weight }) => [zone, weight])).toEqual([
      ['a', 10],
      ['b', 1],
      ['c', 1],
    ]);
    expect(endpoints[0]?.attributes).toEqual({
      node: 'node-10.0.0.2',
      instance: 'payments-10.0.0.1-8080',
      tags: ['v2'],
      meta,
    });
    expect(endpoints[0]?.id).toBe(one);
  });

  it('of weight 0 gets next to nothing, and an equal share among its like', async () => {
    const none = { Weights: { Passing: 0, Warning: 0 } };
    const some = await endpointsOf([instanceAt(one, none), instanceAt(two)]);
    expect(some.endpoints.map(({ weight }) => weight)).toEqual([0.01, 1]);
    const all = await endpointsOf([instanceAt(one, none), instanceAt(two, none)]);
    expect(all.endpoints.map(({ weight }) => weight)).toEqual([1, 1]);
  });

  it('with a warning counts only if wanted, by its own weight; a critical one never', async () => {
    const weights = { Weights: { Passing: 10, Warning: 2 } };
    const withChecks = (origin: string, ...statuses: string[]): Instance => ({
      ...instanceAt(origin, weights),
      Checks: statuses.map((Status) => ({ Status })),
    });
    const instances = [
      withChecks(one, 'passing', 'warning'),
      withChecks(two, 'warning', 'critical'),
      withChecks('http://10.0.0.3:1', 'passing', 'maintenance'),
      { ...withChecks('http://10.0.0.4:1'), Checks: null },
    ];
    const wanted = await endpointsOf(instances, { passing: false });
    expect(wanted.endpoints.map(({ origin, weight }) => [origin, weight])).toEqual([
      [one, 2],
      ['http://10.0.0.4:1', 10],
    ]);
    const strict = await endpointsOf(instances);
    expect(strict.endpoints.map(({ origin }) => origin)).toEqual(['http://10.0.0.4:1']);
  });

  it.each([
    ['a port of 0', { Port: 0 }],
    ['no port', { Port: undefined }],
    ['a port beyond all', { Port: 70_000 }],
    ['an address that is none', { Address: 'not an address' }],
    ['a path for an address', { Address: 'a/b' }],
  ])('with %s is left out; if nobody is left, an error says why', async (_, service) => {
    const some = await endpointsOf([instanceAt(one, service), instanceAt(two)]);
    expect([some.endpoints.map(({ origin }) => origin), some.errors]).toEqual([[two], []]);
    const none = await endpointsOf([instanceAt(one, service)]);
    expect(none.endpoints).toEqual([]);
    expect(none.errors[0]).toContain('payments-10.0.0.1-8080 is at');
  });

  it('of any shape makes an endpoint or an error, and nothing else', async () => {
    const wild = fc.anything({ maxDepth: 3 });
    const part = fc.oneof(wild, fc.dictionary(fc.constantFrom('Address', 'Port', 'Meta', 'Weights', 'Tags'), wild));
    const entry = fc.oneof(wild, fc.record({ Node: part, Service: part, Checks: wild }));
    await fc.assert(
      fc.asyncProperty(fc.array(entry, { maxLength: 4 }), async (entries) => {
        const { server, start, told, last } = setUp();
        server.say(200, JSON.stringify(entries) ?? '', { 'x-consul-index': '5' });
        await start();
        expect(told.length).toBeGreaterThan(0);
        for (const endpoint of last()) expect(createEndpoint(endpoint.origin, endpoint)).toEqual(endpoint);
      }),
      { numRuns: 200 },
    );
  });
});

describe('the resolver', () => {
  it('stops midway, in a wait and in a backoff, and leaves nothing behind', async () => {
    for (const prepare of [(s: ScriptedConsul) => s.set(instanceAt(one)), (s: ScriptedConsul) => s.stop(), () => {}]) {
      const { server, start, clock, scope, told } = setUp();
      prepare(server);
      await start();
      scope.cancel();
      const before = told.length;
      server.set(instanceAt(two));
      await clock.advance(100_000);
      expect([told.length, server.held]).toEqual([before, 0]);
      checkLeaks({ clock, scopes: [scope] });
    }
  });

  it('lists every wrong option', () => {
    const wrong = { service: '', handler: 7, access: {}, waitMs: 700_000, tags: 'a', consistency: 'none', passing: 1 };
    try {
      consul({ ...wrong, datacentre: 'eu' } as never);
      expect.unreachable();
    } catch (error) {
      expect(error).toBeInstanceOf(ConfigError);
      expect((error as ConfigError).problems.map(({ name }) => name)).toHaveLength(8);
    }
    expect(() => consul({} as never)).toThrow(/consul\.service[\s\S]*consul\.handler/);
  });
});
