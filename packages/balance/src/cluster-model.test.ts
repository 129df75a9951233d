// Catches: endpoints lost or left as ghosts, state that does not survive, and leavers told gone too early, twice or never,
// over any history of snapshots, errors, requests and endings.
import { createEndpoint, type Resolver, type ResolverUpdate } from '@fairlead/core';
import { VirtualClock } from '@fairlead/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Cluster } from './cluster.js';
import type { Node } from './node.js';

type Step =
  | { readonly do: 'tell'; readonly members: readonly { readonly id: number; readonly weight: number }[] }
  | { readonly do: 'fail' }
  | { readonly do: 'send'; readonly pick: number }
  | { readonly do: 'end'; readonly pick: number };

const member = fc.record({ id: fc.integer({ min: 0, max: 7 }), weight: fc.integer({ min: 1, max: 3 }) });
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant('tell' as const), members: fc.array(member, { maxLength: 8 }) }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('fail' as const) }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('send' as const), pick: fc.nat() }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('end' as const), pick: fc.nat() }) },
);

/** What ought to be true, in the plainest terms. */
class Model {
  /** Id to weight, of the latest good snapshot. */
  present = new Map<string, number>();
  /** Requests under way, by id. */
  readonly open = new Map<string, number>();
  gone: string[] = [];

  tell(members: readonly { readonly id: number; readonly weight: number }[]): void {
    const before = [...this.present.keys()];
    this.present = new Map();
    for (const { id, weight } of members) if (!this.present.has(`e${id}`)) this.present.set(`e${id}`, weight);
    for (const id of before) if (!this.present.has(id) && !this.open.has(id)) this.gone.push(id);
  }

  send(id: string): void {
    this.open.set(id, (this.open.get(id) ?? 0) + 1);
  }

  end(id: string): void {
    const left = (this.open.get(id) ?? 0) - 1;
    if (left > 0) this.open.set(id, left);
    else this.open.delete(id);
    if (left === 0 && !this.present.has(id)) this.gone.push(id);
  }
}

describe('Cluster over any history', () => {
  it('knows exactly the endpoints of the latest snapshot, with their load, and lets everybody else finish', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        let tell: (update: ResolverUpdate) => void = () => {};
        const resolver: Resolver = { name: 'model', watch: (given) => void (tell = given) };
        const gone: string[] = [];
        const runtime = { clock: new VirtualClock() };
        const cluster = new Cluster({ service: 's', resolver, runtime, onGone: ({ id }) => gone.push(id) });
        cluster.start();
        const model = new Model();
        const under: Node[] = [];
        for (const each of steps) {
          if (each.do === 'tell') {
            model.tell(each.members);
            tell({
              endpoints: each.members.map(({ id, weight }) =>
                createEndpoint(`http://h${id}`, { id: `e${id}`, weight }),
              ),
            });
          } else if (each.do === 'fail') tell({ error: new Error('down') });
          else if (each.do === 'send') {
            const nodes = cluster.roster.preferred(0);
            const node = nodes[each.pick % Math.max(1, nodes.length)];
            if (node === undefined) continue;
            node.enter(0);
            under.push(node);
            model.send(node.endpoint.id);
          } else if (under.length > 0) {
            const [node] = under.splice(each.pick % under.length, 1) as [Node];
            model.end(node.endpoint.id);
            node.ended(null);
          }
          const seen = new Map(cluster.members.map((node) => [node.endpoint.id, node.endpoint.weight]));
          expect(seen).toEqual(model.present);
          expect(cluster.members).toHaveLength(model.present.size);
          for (const node of cluster.members) expect(node.inFlight).toBe(model.open.get(node.endpoint.id) ?? 0);
          expect(cluster.leaving).toBe([...model.open.keys()].filter((id) => !model.present.has(id)).length);
          expect([...gone].sort()).toEqual([...model.gone].sort());
        }
      }),
      { numRuns: 300 },
    );
  });
});
