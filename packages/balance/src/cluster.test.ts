// Catches: endpoints lost, doubled or kept by mistake between snapshots; state that a snapshot erases; leavers cut off or
// never told gone; an error taken for "nobody"; waiting calls that leave watchers behind or are forgotten.
import {
  CanceledError,
  createEndpoint,
  type Endpoint,
  type FairleadEvent,
  type Resolver,
  type ResolverUpdate,
  Scope,
} from '@fairlead/core';
import { callTo, checkLeaks, VirtualClock } from '@fairlead/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Cluster, type ClusterOptions } from './cluster.js';
import type { Node } from './node.js';

class Told implements Resolver {
  readonly name = 'told://';
  watches = 0;
  scope: Scope | null = null;
  #tell: (update: ResolverUpdate) => void = () => {};
  watch(tell: (update: ResolverUpdate) => void, scope: Scope): void {
    this.watches++;
    this.scope = scope;
    this.#tell = tell;
  }
  tell(...endpoints: Endpoint[]): void {
    this.#tell({ endpoints });
  }
  remember(ageMs: number, ...endpoints: Endpoint[]): void {
    this.#tell({ endpoints, ageMs });
  }
  fail(message = 'SERVFAIL'): void {
    this.#tell({ error: new Error(message) });
  }
}

const at = (port: number, rest = {}): Endpoint =>
  createEndpoint(`http://10.0.0.1:${port}`, { id: `e${port}`, ...rest });

function make(options: Partial<ClusterOptions> = {}, startMs = 0) {
  const clock = new VirtualClock({ startMs });
  const events: FairleadEvent[] = [];
  const gone: string[] = [];
  const told = new Told();
  const runtime = { clock, on: (event: FairleadEvent) => events.push(event) };
  const cluster = new Cluster({
    service: 'payments',
    resolver: told,
    runtime,
    onGone: (endpoint) => gone.push(endpoint.origin),
    idleMs: false,
    ...options,
  });
  return { clock, events, gone, told, cluster, runtime };
}

const ids = (cluster: Cluster): string[] => cluster.members.map((node) => node.endpoint.id);
const first = (cluster: Cluster): Node => cluster.members[0] as Node;

describe('Cluster', () => {
  it('knows that what it was told is only remembered, and how old that is, until the source answers', () => {
    const { cluster, told, clock } = make({}, 10_000);
    cluster.start();
    told.remember(4_000, at(1));
    expect([cluster.state, cluster.remembered, cluster.lastUpdateAt]).toEqual(['ready', true, 6_000]);
    told.fail();
    expect([ids(cluster), cluster.remembered]).toEqual([['e1'], true]);
    told.tell(at(1));
    expect([cluster.remembered, cluster.lastUpdateAt]).toEqual([false, clock.now()]);
  });

  it('watches only when it is first used, and once', () => {
    const { cluster, told } = make();
    expect([told.watches, cluster.state, cluster.lastUpdateAt]).toEqual([0, 'pending', null]);
    cluster.start();
    cluster.start();
    expect(told.watches).toBe(1);
  });

  it('goes from pending to ready, to empty when told so, and back', async () => {
    const { cluster, told, clock, events } = make();
    cluster.start();
    await clock.advance(5);
    told.tell(at(1), at(2));
    expect([cluster.state, cluster.lastUpdateAt, ids(cluster)]).toEqual(['ready', 5, ['e1', 'e2']]);
    told.tell();
    expect([cluster.state, ids(cluster)]).toEqual(['empty', []]);
    told.tell(at(2));
    expect(cluster.state).toBe('ready');
    expect(events).toEqual([
      { type: 'endpoints.changed', service: 'payments', added: ['e1', 'e2'], removed: [], total: 2 },
      { type: 'endpoints.changed', service: 'payments', added: [], removed: ['e1', 'e2'], total: 0 },
      { type: 'endpoints.changed', service: 'payments', added: ['e2'], removed: [], total: 1 },
    ]);
  });

  it('keeps the last good set through an error, and has failed only if there never was one', async () => {
    const { cluster, told, clock, events } = make();
    cluster.start();
    told.fail();
    expect([cluster.state, cluster.lastError?.message]).toEqual(['failed', 'SERVFAIL']);
    told.tell(at(1));
    await clock.advance(50);
    told.fail('timeout');
    expect([cluster.state, ids(cluster), cluster.lastUpdateAt]).toEqual(['ready', ['e1'], 0]);
    expect(cluster.lastError?.message).toBe('timeout');
    told.tell();
    expect(cluster.lastError).toBeNull();
    told.fail();
    expect(cluster.state).toBe('empty');
    const failures = events.filter((event) => event.type === 'resolver.failed');
    expect(failures).toHaveLength(3);
    expect(failures[0]).toMatchObject({ service: 'payments', resolver: 'told://', error: { message: 'SERVFAIL' } });
  });

  it('merges duplicates, and says nothing when nothing has changed', () => {
    const { cluster, told, events } = make();
    cluster.start();
    told.tell(at(1), at(1, { weight: 9 }), at(2));
    expect(ids(cluster)).toEqual(['e1', 'e2']);
    expect(first(cluster).endpoint.weight).toBe(1);
    told.tell(at(2), at(1));
    expect(events).toHaveLength(1);
  });

  it('works nothing out again where the latest snapshot comes once more, as the same list or as another', () => {
    const { cluster, told, events, runtime } = make();
    cluster.start();
    const list = [at(1), at(2), at(3)];
    told.tell(...list);
    const { roster } = cluster;
    const [members, preferred] = [roster.members, roster.preferred(0)];
    told.tell(...list);
    expect([roster.members === members, roster.preferred(0) === preferred]).toEqual([true, true]);
    // In another order they are others to a picker that counts.
    told.tell(...list.toReversed());
    expect(ids(cluster)).toEqual(['e3', 'e2', 'e1']);
    expect(roster.preferred(0)).not.toBe(preferred);
    expect(events).toHaveLength(1);
    expect(runtime.on).toBeDefined();
  });

  it('takes over any snapshot after any other, whatever is the same in both', () => {
    // Objects that are told again, as sources do, and new ones of the same ids; duplicates of both kinds.
    const pool = Array.from({ length: 6 }, (_, i) => [at(i), at(i, { weight: 2 }), at(i, { weight: 3 })]).flat();
    const snapshot = fc.array(fc.constantFrom(...pool), { maxLength: 12 });
    fc.assert(
      fc.property(fc.array(snapshot, { maxLength: 8 }), (snapshots) => {
        const { cluster, told, events } = make();
        cluster.start();
        const known = new Map<string, Node>();
        for (const list of snapshots) {
          const before = new Set(ids(cluster));
          const count = events.length;
          told.tell(...list);
          const expected = new Map<string, Endpoint>();
          for (const endpoint of list) if (!expected.has(endpoint.id)) expected.set(endpoint.id, endpoint);
          expect(cluster.members.map((node) => node.endpoint)).toEqual([...expected.values()]);
          const added = [...expected.keys()].filter((id) => !before.has(id));
          const removed = [...before].filter((id) => !expected.has(id));
          const news = events.slice(count).filter(({ type }) => type === 'endpoints.changed');
          expect(news).toEqual(
            added.length + removed.length === 0
              ? []
              : [expect.objectContaining({ added, removed, total: expected.size })],
          );
          for (const id of removed) known.delete(id);
          for (const node of cluster.members) {
            expect(known.get(node.endpoint.id) ?? node).toBe(node);
            known.set(node.endpoint.id, node);
          }
          expect(cluster.roster.preferred(0)).toEqual(cluster.members);
        }
      }),
    );
  });

  it('keeps what it knows of an endpoint whose weight has changed', () => {
    const { cluster, told, gone } = make();
    cluster.start();
    told.tell(at(1), at(2));
    const node = first(cluster);
    const ticket = node.enter(0);
    node.latency.observe(30, 0);
    node.health.leave(ticket, 'failure', 0, true, null);
    told.tell(at(1, { weight: 4 }), at(2));
    expect(first(cluster)).toBe(node);
    expect(node).toMatchObject({ inFlight: 1, endpoint: { weight: 4 }, health: { state: 'ejected' } });
    expect(gone).toEqual([]);
  });

  it('takes an endpoint of another origin for another process, whose requests still count', () => {
    const { cluster, told, gone } = make();
    cluster.start();
    told.tell(at(1), at(2));
    const node = first(cluster);
    node.health.leave(node.enter(0), 'failure', 0, true, null);
    told.tell(createEndpoint('http://10.0.0.9:1', { id: 'e1' }), at(2));
    expect(first(cluster)).toBe(node);
    expect(node).toMatchObject({ inFlight: 1, health: { state: 'healthy' }, latency: { value: 0 } });
    expect(gone).toEqual(['http://10.0.0.1:1']);
  });

  it('tells of each that comes, before calls go there', () => {
    const came: [string, number][] = [];
    const { cluster, told } = make({
      onCame: (endpoint) => came.push([endpoint.origin, cluster.members.length]),
    });
    cluster.start();
    told.tell(at(1), at(2), at(1));
    told.tell(at(1, { weight: 4 }), at(2));
    told.tell(at(2));
    told.tell(createEndpoint('http://10.0.0.9:1', { id: 'e2' }), at(1));
    expect(came).toEqual([
      ['http://10.0.0.1:1', 0],
      ['http://10.0.0.1:2', 0],
      ['http://10.0.0.9:1', 1],
      ['http://10.0.0.1:1', 1],
    ]);
  });

  it('lets a leaver finish, and tells once when it is gone', () => {
    const { cluster, told, gone } = make();
    cluster.start();
    told.tell(at(1), at(2));
    const node = first(cluster);
    node.enter(0);
    node.enter(0);
    told.tell(at(2));
    expect([ids(cluster), cluster.leaving, gone]).toEqual([['e2'], 1, []]);
    node.ended(null);
    expect(gone).toEqual([]);
    node.ended(new Error('cut'));
    expect([cluster.leaving, gone]).toEqual([0, ['http://10.0.0.1:1']]);
    told.tell(at(1), at(2));
    expect(cluster.members[0]).not.toBe(node);
  });

  it('tells at once that a leaver without requests is gone', () => {
    const { cluster, told, gone } = make();
    cluster.start();
    told.tell(at(1), at(2));
    told.tell(at(2));
    expect([cluster.leaving, gone]).toEqual([0, ['http://10.0.0.1:1']]);
  });

  it('takes a leaver back that returns before it is done', () => {
    const { cluster, told, gone, events } = make();
    cluster.start();
    told.tell(at(1), at(2));
    const node = first(cluster);
    node.enter(0);
    told.tell(at(2));
    told.tell(at(1), at(2));
    expect(first(cluster)).toBe(node);
    node.ended(null);
    expect([gone, node.leaving, cluster.leaving]).toEqual([[], false, 0]);
    expect(events.at(-1)).toMatchObject({ added: ['e1'], removed: [], total: 2 });
  });

  it('closes: stops watching, drains, hears nothing more', () => {
    const { cluster, told, gone, clock } = make();
    cluster.start();
    told.tell(at(1), at(2));
    const node = first(cluster);
    node.enter(0);
    cluster.close();
    cluster.close();
    told.tell(at(3));
    expect([told.scope?.canceled, cluster.state, ids(cluster), gone]).toEqual([
      true,
      'empty',
      [],
      ['http://10.0.0.1:2'],
    ]);
    node.ended(null);
    expect(gone).toEqual(['http://10.0.0.1:2', 'http://10.0.0.1:1']);
    cluster.start();
    expect(told.watches).toBe(1);
    checkLeaks({ clock });
  });

  it('refuses wrong options, all at once', () => {
    const { told, runtime } = make();
    const bad = { service: '', resolver: told, runtime, onGon: () => {} } as unknown as ClusterOptions;
    expect(() => new Cluster(bad)).toThrow(/2 problems.*cluster\.service.*did you mean onGone\?/s);
    expect(() => new Cluster({} as ClusterOptions)).toThrow(/3 problems/);
    const health = { maxEjectedRatio: 2, consecutiveFailures: 0 };
    expect(() => new Cluster({ service: 'a', resolver: told, runtime, health })).toThrow(/health: 2 problems/);
    expect(() => new Cluster({ service: 'a', resolver: told, runtime, latency: { decayMs: 0 } })).toThrow(
      /latency\.decayMs = 0/,
    );
  });
});

describe('waitReady', () => {
  it('goes on at the first answer, whatever it is', async () => {
    for (const answer of ['tell', 'fail'] as const) {
      const { cluster, told, clock } = make();
      const scopes = [new Scope(clock), new Scope(clock)];
      const waits = scopes.map((scope) => cluster.waitReady(scope));
      expect([told.watches, cluster.waiting]).toEqual([1, 2]);
      told[answer]();
      await clock.run(Promise.all(waits));
      expect(cluster.waiting).toBe(0);
      await cluster.waitReady(new Scope(clock));
      checkLeaks({ clock, scopes });
    }
  });

  it('does not wait where the answer comes at once', async () => {
    const { clock, runtime } = make();
    const resolver: Resolver = { name: 'now', watch: (tell) => tell({ endpoints: [at(1)] }) };
    const cluster = new Cluster({ service: 'payments', resolver, runtime, idleMs: false });
    await clock.run(cluster.waitReady(new Scope(clock)));
    expect(cluster.state).toBe('ready');
  });

  it('waits no longer than its scope, and leaves nothing on it', async () => {
    const { cluster, clock } = make();
    const scope = new Scope(clock);
    scope.expireAt(100, 'attempt', 100);
    const other = new Scope(clock);
    const waits = [cluster.waitReady(scope), cluster.waitReady(other)];
    await expect(clock.run(waits[0] as Promise<void>)).rejects.toMatchObject({ code: 'ERR_TIMEOUT', ms: 100 });
    expect([clock.now(), cluster.waiting]).toEqual([100, 1]);
    await expect(cluster.waitReady(scope)).rejects.toBe(scope.reason);
    cluster.close();
    await expect(waits[1]).rejects.toBeInstanceOf(CanceledError);
    await expect(cluster.waitReady(other)).rejects.toThrow('payments: closed');
    checkLeaks({ clock, scopes: [scope, other] });
  });
});

describe('the roster', () => {
  const settled = (cluster: Cluster, now: number): string[] =>
    cluster.roster.preferred(now).map((node) => node.endpoint.id);

  function fleet(count: number, health = {}): ReturnType<typeof make> {
    const made = make({ health });
    made.cluster.start();
    made.told.tell(...Array.from({ length: count }, (_, i) => at(i + 1)));
    return made;
  }
  const kill = (node: Node, now = 0): void => {
    for (let i = 0; i < 5; i++) node.health.leave(node.enter(now), 'failure', now, false, null);
  };

  it('is worked out again only when something has changed', () => {
    const { cluster } = fleet(4);
    const list = cluster.roster.preferred(0);
    expect(cluster.roster.preferred(1e9)).toBe(list);
    kill(first(cluster), 1e9);
    expect(settled(cluster, 1e9)).toEqual(['e2', 'e3', 'e4']);
    expect(list).toHaveLength(4);
  });

  it.each([
    [1, 0.5, 0],
    [2, 0.5, 1],
    [3, 0.5, 1],
    [5, 0.5, 2],
    [5, 0.1, 1],
    [5, 1, 4],
    [5, 0, 0],
  ])('of %i endpoints, with a ratio of %f, ejects at most %i', (count, maxEjectedRatio, most) => {
    const { cluster } = fleet(count, { maxEjectedRatio });
    for (const node of cluster.members) kill(node);
    expect(cluster.members.filter((node) => node.health.state === 'ejected')).toHaveLength(most);
  });

  it('lets those rest who ask for it, but no more than may be ejected, and ejects beside them', () => {
    const { cluster, clock } = fleet(4);
    for (const node of cluster.members) node.health.leave(node.enter(0), 'overload', 0, false, 1_000);
    expect(settled(cluster, 0)).toEqual(['e3', 'e4']);
    kill(cluster.members[2] as Node);
    expect(settled(cluster, 0)).toEqual(['e4']);
    kill(cluster.members[3] as Node);
    expect(settled(cluster, 0)).toEqual(['e4']);
    expect(settled(cluster, 1_000)).toEqual(['e1', 'e2', 'e4']);
    expect(clock.pending).toBe(0);
  });

  it('counts those that wait for their probe among the ejected', () => {
    const { cluster } = fleet(5);
    kill(cluster.members[0] as Node);
    kill(cluster.members[1] as Node);
    kill(cluster.members[2] as Node, 5_000);
    expect(settled(cluster, 5_000)).toEqual(['e3', 'e4', 'e5']);
  });

  it('prefers the lowest priority value that has anybody, and comes back to it', () => {
    const { cluster, told } = make();
    cluster.start();
    told.tell(at(1, { priority: 10 }), at(2, { priority: 20 }), at(3, { priority: 10 }), at(4, { priority: 20 }));
    expect(settled(cluster, 0)).toEqual(['e1', 'e3']);
    kill(cluster.members[0] as Node);
    kill(cluster.members[2] as Node);
    expect(settled(cluster, 0)).toEqual(['e2', 'e4']);
    expect(settled(cluster, 5_000)).toEqual(['e2', 'e4']);
    const probes = [cluster.roster.takeProbe(), cluster.roster.takeProbe(), cluster.roster.takeProbe()];
    expect(probes.map((node) => node?.endpoint.id).sort()).toEqual(['e1', 'e3', undefined]);
    for (const node of probes) node?.health.succeeded(node.enter(5_000), 5_000);
    expect(settled(cluster, 5_000)).toEqual(['e1', 'e3']);
  });

  it('may eject all of a priority while a later one has somebody, and no more than usual of the last', () => {
    const { cluster, told } = make();
    cluster.start();
    const later = { priority: 1 };
    told.tell(at(1), at(2), at(3), at(4), at(5, later), at(6, later));
    for (const node of cluster.members) kill(node);
    expect(settled(cluster, 0)).toEqual(['e5', 'e6']);
  });

  it('ejects nobody with a ratio of 0, whoever else there is', () => {
    const { cluster, told } = make({ health: { maxEjectedRatio: 0 } });
    cluster.start();
    told.tell(at(1), at(2, { priority: 1 }));
    kill(first(cluster));
    expect(settled(cluster, 0)).toEqual(['e1']);
  });

  it('tries out no endpoint that would get no work anyway, nor lets it stand in for one that would', () => {
    const { cluster, told } = make();
    cluster.start();
    told.tell(at(1), at(2), at(3), at(4, { priority: 1 }), at(5, { priority: 1 }));
    kill(cluster.members[3] as Node);
    kill(cluster.members[4] as Node);
    expect(settled(cluster, 5_000)).toEqual(['e1', 'e2', 'e3']);
    expect(cluster.roster.takeProbe()).toBeNull();
    kill(cluster.members[0] as Node, 5_000);
    expect(settled(cluster, 5_000)).toEqual(['e2', 'e3']);
  });

  it('does not let a call that began earlier turn time back', () => {
    const { cluster } = fleet(2);
    kill(first(cluster));
    const until = first(cluster).health.until;
    cluster.roster.preferred(until);
    cluster.roster.preferred(until - 1);
    expect(cluster.roster.now).toBe(until);
    expect(cluster.roster.takeProbe()).toBe(first(cluster));
  });

  it('leaves out for a retry what was tried', () => {
    const { cluster, runtime } = fleet(3);
    const { tried } = callTo('payments', { runtime });
    tried.add(at(1));
    cluster.roster.preferred(0);
    expect(cluster.roster.untried(tried).map((node) => node.endpoint.id)).toEqual(['e2', 'e3']);
  });
});
