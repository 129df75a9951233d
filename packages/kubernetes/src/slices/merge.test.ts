/** Would catch: an endpoint lost or doubled between slices, work for those that terminate while others are ready. */
import { createEndpoint } from '@fairlead/core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Census } from './census.js';
import type { Family, Member, Rank } from './member.js';
import { merge as mergeCounted, otherPorts } from './merge.js';
import type { Slice } from './slice.js';

function slice(name: string, ranks: Readonly<Record<string, Rank>>): Slice {
  const members = Object.entries(ranks).map(([host, rank]): Member => {
    return { endpoint: createEndpoint(`http://${host}`), rank, family: 4, pod: null };
  });
  return of(name, members);
}

function of(name: string, members: readonly Member[]): Slice {
  const ranked = ([0, 1, 2] as const).map((rank) =>
    members.filter((member) => member.rank === rank).map(({ endpoint }) => endpoint),
  ) as unknown as Slice['ranked'];
  const byAddress = new Map(members.map((member) => [member.endpoint.id, member]));
  return { name, at: '', members: byAddress, ranked, otherPorts: null };
}

function merge(slices: readonly Slice[], prefer: Family = 4): ReturnType<typeof mergeCounted> {
  const census = new Census();
  for (const each of slices) census.replace(null, each);
  return mergeCounted(slices, prefer, census);
}

const hosts = (...slices: Slice[]): string[] => merge(slices).map(({ id }) => id.slice('http://'.length));

describe('merge', () => {
  it('is empty for nothing', () => {
    expect([hosts(), hosts(slice('a', {}))]).toEqual([[], []]);
  });

  it('joins slices, and counts an endpoint once', () => {
    expect(hosts(slice('a', { x: 0, y: 0 }), slice('b', { y: 0, z: 0 }))).toEqual(['x', 'y', 'z']);
  });

  it('believes the better of two', () => {
    expect(hosts(slice('a', { x: 1, y: 0 }), slice('b', { x: 0 }))).toEqual(['x', 'y']);
    expect(hosts(slice('a', { x: 0 }), slice('b', { x: 1 }))).toEqual(['x']);
  });

  it('takes those that terminate only where nobody is ready, and the unready that are published last', () => {
    expect(hosts(slice('a', { x: 1, y: 2 }), slice('b', { z: 0 }))).toEqual(['z']);
    expect(hosts(slice('a', { x: 1, y: 2 }))).toEqual(['x']);
    expect(hosts(slice('a', { y: 2 }))).toEqual(['y']);
  });

  it('agrees with the plain definition', () => {
    const ranks = fc.dictionary(fc.constantFrom(...'abcdefgh'), fc.constantFrom<Rank>(0, 1, 2), { maxKeys: 8 });
    fc.assert(
      fc.property(fc.array(ranks, { maxLength: 4 }), (list) => {
        const best: Record<string, Rank> = {};
        for (const [host, rank] of list.flatMap((each) => Object.entries(each))) {
          best[host] = Math.min(best[host] ?? 2, rank) as Rank;
        }
        const least = Math.min(...Object.values(best));
        const wanted = Object.keys(best).filter((host) => best[host] === least);
        expect(hosts(...list.map((each, i) => slice(`s${i}`, each))).sort()).toEqual(wanted.sort());
      }),
    );
  });

  it('merges 10,000 endpoints in 125 slices that overlap', () => {
    const host = (i: number): string => `10.0.${i >> 8}.${i & 255}`;
    const slices = Array.from({ length: 125 }, (_, s) => {
      const ranks = Array.from({ length: 100 }, (_, i): [string, Rank] => [host((s * 80 + i) % 10_000), 0]);
      return slice(`s${s}`, Object.fromEntries(ranks));
    });
    const merged = hosts(...slices);
    expect(merged).toHaveLength(10_000);
    expect(new Set(merged)).toEqual(new Set(Array.from({ length: 10_000 }, (_, i) => host(i))));
  });
});

describe('a pod with addresses of both families', () => {
  const at = (host: string, pod: string | null, rank: Rank = 0): Member => {
    return { endpoint: createEndpoint(`http://${host}`), rank, family: host.includes(':') ? 6 : 4, pod };
  };
  const v4 = of('v4', [at('10.0.0.1', 'p-1'), at('10.0.0.2', 'p-2')]);
  const v6 = of('v6', [at('[fd00::1]', 'p-1'), at('[fd00::3]', 'p-3'), at('[fd00::9]', null)]);

  it('is one endpoint, at its address of the preferred family; whoever has only the other is there, too', () => {
    expect(merge([v4, v6], 4).map(({ id }) => id.slice(7))).toEqual(['10.0.0.1', '10.0.0.2', '[fd00::3]', '[fd00::9]']);
    expect(merge([v4, v6], 6).map(({ id }) => id.slice(7))).toEqual([
      '10.0.0.2',
      '[fd00::1]',
      '[fd00::3]',
      '[fd00::9]',
    ]);
  });

  it('is called at the other address while only that is ready', () => {
    const late = of('v4', [at('10.0.0.1', 'p-1', 1)]);
    expect(merge([late, v6]).map(({ id }) => id.slice(7))).toContain('[fd00::1]');
    expect(merge([late, v6]).map(({ id }) => id.slice(7))).not.toContain('10.0.0.1');
  });

  it('keeps several addresses of one family', () => {
    expect(merge([of('v4', [at('10.0.0.1', 'p-1'), at('10.0.1.1', 'p-1')])])).toHaveLength(2);
  });
});

describe('a census', () => {
  it('knows after any number of changes what it would know if it began anew', () => {
    const ranks = fc.dictionary(fc.constantFrom(...'abcdef', '[fd00::1]', '[fd00::2]'), fc.constantFrom<Rank>(0, 1, 2));
    const changes = fc.array(fc.tuple(fc.constantFrom('s', 't', 'u'), fc.option(ranks)), { maxLength: 12 });
    fc.assert(
      fc.property(changes, (list) => {
        const slices = new Map<string, Slice>();
        const census = new Census();
        for (const [name, next] of list) {
          const members = Object.entries(next ?? {}).map(([host, rank]): Member => {
            const known = slices.get(name)?.members.get(`http://${host}`);
            const family = host.startsWith('[') ? 6 : 4;
            return known?.rank === rank
              ? known
              : { endpoint: createEndpoint(`http://${host}`), rank, family, pod: null };
          });
          const after = next === null ? null : of(name, members);
          census.replace(slices.get(name) ?? null, after);
          if (after === null) slices.delete(name);
          else slices.set(name, after);
          const all = [...slices.values()];
          const anew = new Census();
          for (const each of all) anew.replace(null, each);
          const ids = all.flatMap((each) => [...each.members.keys()]);
          const six = ids.filter((id) => id.includes('[')).length;
          expect([census.best, census.plain(4), census.plain(6)]).toEqual([anew.best, anew.plain(4), anew.plain(6)]);
          const unique = new Set(ids).size === ids.length;
          expect([census.plain(4), census.plain(6)]).toEqual([unique && six === 0, unique && six === ids.length]);
        }
      }),
    );
  });
});

describe('otherPorts', () => {
  const without = (name: string, ...ports: string[]): Slice => ({ ...of(name, []), otherPorts: ports });

  it('lists the ports there are, each once, if there are endpoints and none has the wanted one', () => {
    expect(otherPorts([without('a', 'grpc (9090)', 'x (1)'), without('b', 'grpc (9090)')])).toEqual([
      'grpc (9090)',
      'x (1)',
    ]);
  });

  it('is null if somebody has the port, or nobody is there at all', () => {
    expect(otherPorts([without('a', 'grpc (9090)'), slice('b', { x: 0 })])).toBeNull();
    expect(otherPorts([slice('a', {})])).toBeNull();
  });
});
