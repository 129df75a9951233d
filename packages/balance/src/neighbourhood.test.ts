// Catches: calls that leave their zone without need; a zone that is down, ill or small and gets more than it can carry;
// hints that are taken for law; and anything that empties a service.
import { createEndpoint, type Endpoint, type Picker } from '@fairlead/core';
import { callTo, VirtualClock } from '@fairlead/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { balance } from './balance.js';
import { Cluster } from './cluster.js';
import type { Neighbourhood } from './neighbourhood.js';
import type { Node } from './node.js';
import { p2c } from './p2c.js';
import { fixed } from './resolvers/fixed.js';
import { roundRobin } from './round-robin.js';

interface Shape {
  readonly zone: string | null;
  readonly weight?: number;
  readonly hints?: readonly string[];
  readonly nodes?: readonly string[];
  readonly priority?: number;
}

let made = 0;
function endpointOf({ zone, hints, nodes = [], ...rest }: Shape): Endpoint {
  const attributes = hints === undefined ? {} : { hints: { zones: hints, nodes } };
  return createEndpoint(`http://10.${made++ & 255}.0.1:80`, { id: `e${made}`, zone, attributes, ...rest });
}

/** So many endpoints in zones a, b, c, … */
const zones = (...counts: number[]): Shape[] =>
  counts.flatMap((count, z) => Array.from({ length: count }, () => ({ zone: String.fromCharCode(97 + z) })));

function make(
  zone: string | null,
  shapes: readonly Shape[],
  seed = 1,
  maxEjectedRatio = 0.5,
  node: string | null = null,
) {
  const clock = new VirtualClock({ seed });
  const runtime = { clock };
  const resolver = fixed(shapes.map(endpointOf));
  const health = { maxEjectedRatio };
  const cluster = new Cluster({ service: 'payments', resolver, runtime, idleMs: false, zone, node, health });
  cluster.start();
  const around = (): Neighbourhood | null => {
    cluster.roster.preferred(clock.now());
    return cluster.roster.neighbourhood;
  };
  const kill = (test: (node: Node) => boolean): void => {
    for (const node of cluster.members) {
      // Five failures in a row, as of one that somebody listens at.
      const now = clock.now();
      const { health } = node;
      if (test(node)) for (let i = 0; i < 5; i++) health.leave(health.enter(now), 'failure', now, false, null);
    }
  };
  /** Where `times` calls go that end at once. */
  const spread = (times: number, picker: Picker = p2c()): Map<string | null, number> => {
    const counts = new Map<string | null, number>();
    for (let i = 0; i < times; i++) {
      const call = callTo('payments', { runtime });
      const nodes = cluster.roster.preferred(clock.now());
      const { endpoint } = around()?.pick(picker, call) ?? picker.pick(nodes, call);
      counts.set(endpoint.zone, (counts.get(endpoint.zone) ?? 0) + 1);
    }
    return counts;
  };
  return { clock, runtime, cluster, around, kill, spread };
}

const ratioOf = (neighbourhood: Neighbourhood | null): number | null => neighbourhood?.nearRatio ?? null;

describe('a process that knows its zone', () => {
  it('stays in it where that has its share of the capacity, or more', () => {
    for (const counts of [
      [3, 3, 3],
      [4, 4, 3],
      [9, 1, 1],
    ]) {
      expect([...make('a', zones(...counts)).spread(300)]).toEqual([['a', 300]]);
    }
  });

  // The goldens of Envoy's zone-aware routing, for callers that are spread evenly: 33 % of the traffic begins in each zone.
  it('sends what its zone cannot carry to those that have room, in proportion to it', () => {
    const small = make('a', zones(2, 4, 6));
    expect(ratioOf(small.around())).toBeCloseTo(0.5);
    const counts = small.spread(12_000);
    expect(counts.get('a')).toBeGreaterThan(5_700);
    expect(counts.get('a')).toBeLessThan(6_300);
    // b has just its share, and gets nothing of it.
    expect(counts.get('b')).toBeUndefined();
    const two = make('c', zones(5, 4, 0, 3)).around();
    expect(two).toBeNull();
  });

  it('goes by weights where there are any', () => {
    const shapes = [
      { zone: 'a', weight: 1 },
      { zone: 'b', weight: 3 },
      ...[1, 2].map(() => ({ zone: 'a', weight: 1 })),
    ];
    expect(ratioOf(make('a', shapes).around())).toBe(1);
    expect(ratioOf(make('a', shapes.slice(0, 2)).around())).toBeCloseTo(0.5);
  });

  it('goes elsewhere when its zone is down, and comes back', async () => {
    const { clock, kill, spread, around, cluster } = make('a', zones(2, 2, 2));
    kill(({ endpoint }) => endpoint.zone === 'a');
    const away = spread(4_000);
    expect(away.get('a')).toBeUndefined();
    expect(away.get('b')).toBeGreaterThan(1_600);
    expect(away.get('c')).toBeGreaterThan(1_600);
    await clock.advance(6_000);
    around();
    for (let node = cluster.roster.takeProbe(); node !== null; node = cluster.roster.takeProbe()) {
      node.health.succeeded(node.health.enter(clock.now()), clock.now());
    }
    expect([...spread(100)]).toEqual([['a', 100]]);
  });

  it('sends a part elsewhere while a part of its zone is ill', () => {
    const { kill, around } = make('a', zones(4, 4, 4));
    let killed = 0;
    kill(({ endpoint }) => endpoint.zone === 'a' && killed++ < 2);
    // 2 of 10 that are well, for a third of the traffic.
    expect(ratioOf(around())).toBeCloseTo(0.6);
  });

  it('does not draw its calls onto the dead that may not be ejected', async () => {
    const { kill, spread, cluster } = make('a', zones(6, 4));
    kill(({ endpoint }) => endpoint.zone === 'a');
    const left = cluster.members.filter(({ endpoint, health }) => endpoint.zone === 'a' && health.state === 'healthy');
    expect(left).toHaveLength(1);
    // One of five that may get work, as without zones; by its share alone it would be two of five.
    expect(spread(5_000).get('a')).toBeLessThan(600);
  });

  it.each([
    ['has no zone', null, zones(2, 2)],
    ['is in a zone without endpoints', 'z', zones(2, 2)],
    ['sees one zone only', 'a', zones(4)],
    ['does not know of an endpoint where it is', 'a', [...zones(2, 2), { zone: null }]],
  ])('that %s takes all alike', (_, zone, shapes) => {
    const { around, spread } = make(zone, shapes);
    expect(around()).toBeNull();
    for (const count of spread(4_000).values()) expect(count).toBeGreaterThan(500);
  });

  it('looks at the best priority only', () => {
    const later = zones(3, 3).map((shape) => ({ ...shape, priority: 1 }));
    const { around, kill, spread } = make('a', [...zones(2, 1), ...later], 1, 1);
    expect(around()?.near).toHaveLength(2);
    kill(({ endpoint }) => endpoint.priority === 0);
    expect([...spread(100)]).toEqual([['a', 100]]);
  });

  it('goes elsewhere with what is too much for those near by, although they have their share', async () => {
    const { cluster, runtime } = make('a', zones(1, 1));
    const layer = balance({ cluster });
    for (let i = 0; i < 100; i++) void layer(callTo('payments', { runtime }), () => new Promise(() => {}));
    const [near, far] = cluster.members.map(({ inFlight }) => inFlight) as [number, number];
    expect(near + far).toBe(100);
    expect(near).toBeGreaterThan(far);
    expect(near).toBeLessThanOrEqual(4 * (far + 1) + 1);
  });

  it('sends a retry where it was not sent before, in another zone if need be', async () => {
    const { cluster, runtime, clock } = make('a', zones(1, 2));
    const layer = balance({ cluster });
    const call = callTo('payments', { runtime });
    const went: (string | null)[] = [];
    for (let i = 0; i < 3; i++) {
      const sent = layer(call, (each) => {
        went.push(each.endpoint?.zone ?? null);
        return Promise.reject(new Error('mine'));
      });
      await expect(clock.run(sent)).rejects.toThrow('mine');
    }
    expect(went).toEqual(['a', 'b', 'b']);
  });
});

describe('hints', () => {
  const hinted = (zone: string, ...hints: string[]): Shape => ({ zone, hints });

  it('come first: whoever is meant for this zone, wherever it is', () => {
    const shapes = [hinted('a', 'a'), hinted('b', 'a'), hinted('b', 'b'), hinted('c', 'c')];
    const { spread } = make('a', shapes);
    const counts = spread(1_000);
    expect(counts.get('c')).toBeUndefined();
    expect((counts.get('a') ?? 0) + (counts.get('b') ?? 0)).toBe(1_000);
    // Also where they are less than their share: whoever has set them knows more.
    expect(ratioOf(make('a', [hinted('a', 'a'), ...Array(9).fill(hinted('b', 'b'))]).around())).toBe(1);
  });

  it('count only if all endpoints have some, and some are for this zone', () => {
    const without = make('a', [hinted('a', 'b'), hinted('b', 'a'), { zone: 'b' }]);
    expect(without.around()?.near.map(({ endpoint }) => endpoint.zone)).toEqual(['a']);
    const others = make('a', [hinted('a', 'b'), hinted('b', 'b'), hinted('b', 'c')]);
    expect(others.around()?.near.map(({ endpoint }) => endpoint.zone)).toEqual(['a']);
  });

  it('are no law: calls go elsewhere where too few of those meant are well', () => {
    const shapes = [...Array(4).fill(hinted('a', 'a')), ...Array(4).fill(hinted('b', 'b'))];
    const { around, kill } = make('a', shapes);
    const ill = (count: number): void => {
      let n = 0;
      kill(({ endpoint, health }) => endpoint.zone === 'a' && health.state === 'healthy' && n++ < count);
    };
    ill(1);
    expect(ratioOf(around())).toBe(1);
    ill(1);
    expect(ratioOf(around())).toBeCloseTo(0.7);
    ill(2);
    expect(ratioOf(around())).not.toBe(1);
  });

  it('that mean everybody mean nobody in particular', () => {
    const all = [hinted('a', 'a', 'b'), hinted('b', 'a', 'b')];
    expect(
      make('a', all)
        .around()
        ?.near.map(({ endpoint }) => endpoint.zone),
    ).toEqual(['a']);
    const odd = createEndpoint('http://a', { zone: 'a', attributes: { hints: 'a' } });
    const cluster = new Cluster({
      service: 's',
      resolver: fixed([odd, createEndpoint('http://b', { zone: 'b', attributes: { hints: { zones: null } } })]),
      runtime: { clock: new VirtualClock() },
      zone: 'a',
    });
    cluster.start();
    cluster.roster.preferred(0);
    expect(cluster.roster.neighbourhood?.near).toHaveLength(1);
  });
});

describe('for any zones, weights and illness', () => {
  const shape = fc.record({
    zone: fc.constantFrom('a', 'b', 'c', 'd'),
    weight: fc.constantFrom(0.01, 0.5, 1, 3, 100),
    ill: fc.boolean(),
  });

  it('somebody healthy is picked, and what is sent to each zone adds up to what it can carry', () => {
    fc.assert(
      fc.property(
        fc.array(shape, { minLength: 1, maxLength: 30 }),
        fc.integer({ min: 1, max: 1e6 }),
        (shapes, seed) => {
          const names = [...new Set(shapes.map(({ zone }) => zone))];
          // What a zone gets of the traffic that begins in each, in equal parts.
          const got = new Map<string, number>();
          let known = 0;
          let total = 0;
          const room = new Map<string, number>();
          for (const name of names) {
            const { kill, around, cluster, runtime } = make(name, shapes, seed, 1);
            const ids = cluster.members.map((node) => node.endpoint.id);
            kill((node) => shapes[ids.indexOf(node.endpoint.id)]?.ill === true);
            const healthy = cluster.roster.preferred(0);
            const picked = around()?.pick(roundRobin(), callTo('s', { runtime }));
            expect(picked === undefined || healthy.includes(picked)).toBe(true);
            const neighbourhood = around();
            if (neighbourhood === null) continue;
            known++;
            const shares = neighbourhood.shares();
            let sum = 0;
            for (const [zone, share] of shares) {
              sum += share;
              got.set(zone as string, (got.get(zone as string) ?? 0) + share / names.length);
            }
            expect(sum).toBeCloseTo(1);
            room.clear();
            total = 0;
            for (const { endpoint } of healthy) {
              total += endpoint.weight;
              room.set(endpoint.zone as string, (room.get(endpoint.zone as string) ?? 0) + endpoint.weight);
            }
          }
          if (known < names.length) return;
          for (const [zone, share] of got) expect(share).toBeCloseTo((room.get(zone) ?? 0) / total, 5);
        },
      ),
      { numRuns: 300 },
    );
  });
});

describe('hints for nodes', () => {
  const on = (...nodes: string[]): Shape => ({ zone: 'a', hints: ['a'], nodes });
  const far: Shape = { zone: 'b', hints: ['b'], nodes: ['n9'] };
  const nearOf = ({ around }: ReturnType<typeof make>): number[] | null => {
    const near = around()?.near.map((node) =>
      ((node.endpoint.attributes.hints as { nodes: string[] }).nodes[0] ?? 'n0').slice(1),
    );
    return near === undefined ? null : near.map(Number);
  };

  it('come before those for zones, whether the zone is known or not', () => {
    const shapes = [on('n1'), on('n2'), on('n2', 'n1'), far];
    for (const zone of ['a', null]) expect(nearOf(make(zone, shapes, 1, 0.5, 'n1'))).toEqual([1, 2]);
    // Nobody is meant for this node: then it is the zone.
    expect(nearOf(make('a', shapes, 1, 0.5, 'n7'))).toEqual([1, 2, 2]);
    expect(nearOf(make(null, shapes, 1, 0.5, 'n7'))).toBeNull();
    // Nobody has said which node this is.
    expect(nearOf(make('a', shapes))).toEqual([1, 2, 2]);
  });

  it('count for nothing where one endpoint has none', () => {
    const shapes = [on('n1'), on('n2'), { zone: 'a', hints: ['a'] }, far];
    expect(nearOf(make('a', shapes, 1, 0.5, 'n1'))).toHaveLength(3);
  });

  it('give way when who is meant is ill, or has too much', async () => {
    const made = make('a', [on('n1'), on('n2'), on('n2'), far], 1, 0.5, 'n1');
    expect(nearOf(made)).toEqual([1]);
    const [own] = made.cluster.members as [Node];
    own.inFlight = 50;
    const picked = (): Node | undefined => made.around()?.pick(p2c(), callTo('payments', { runtime: made.runtime }));
    expect(Array.from({ length: 20 }, picked)).not.toContain(own);
    own.inFlight = 2;
    expect(Array.from({ length: 20 }, picked).every((node) => node === own)).toBe(true);
    made.kill((node) => node === own);
    expect(nearOf(made)).toEqual([2, 2]);
  });
});
