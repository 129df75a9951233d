// Catches: turns that are skipped or doubled, weights that are not kept, an endless search, and clients in lockstep.
import { type Call, createEndpoint, type PickerNode } from '@fairlead/core';
import { callTo, VirtualClock } from '@fairlead/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { roundRobin } from './round-robin.js';

const nodesOf = (...weights: number[]): PickerNode[] =>
  weights.map((weight, i) => ({
    endpoint: createEndpoint(`http://10.0.0.${i + 1}`, { weight }),
    inFlight: 0,
    cost: () => 1,
  }));
const call = (seed = 1): Call => callTo('payments', { clock: new VirtualClock({ seed }) });

function counts(nodes: PickerNode[], picks: number): number[] {
  const picker = roundRobin();
  const each = call();
  const found = nodes.map(() => 0);
  for (let i = 0; i < picks; i++) (found[nodes.indexOf(picker.pick(nodes, each))] as number)++;
  return found;
}

describe('roundRobin', () => {
  it('gives every node one turn in each round', () => {
    expect(counts(nodesOf(1, 1, 1, 1, 1), 500)).toEqual([100, 100, 100, 100, 100]);
    expect(counts(nodesOf(7, 7), 10)).toEqual([5, 5]);
  });

  it('gives turns in proportion to weights', () => {
    const found = counts(nodesOf(1, 2, 5), 8_000);
    for (const [i, expected] of [1_000, 2_000, 5_000].entries())
      expect(Math.abs((found[i] as number) - expected)).toBeLessThan(10);
  });

  it('does not send a heavy node all of its turns at once', () => {
    const nodes = nodesOf(1, 1, 2);
    const picker = roundRobin();
    const each = call();
    let row = 0;
    for (let i = 0; i < 400; i++) {
      row = picker.pick(nodes, each) === nodes[2] ? row + 1 : 0;
      expect(row).toBeLessThanOrEqual(2);
    }
  });

  it('does not give those of the same weight their turns in the same rounds', () => {
    const nodes = nodesOf(1, 1, 2);
    const picker = roundRobin();
    const each = call();
    const heavy = Array.from({ length: 400 }, () => picker.pick(nodes, each) === nodes[2]);
    expect(heavy.filter((is, i) => i > 0 && is === heavy[i - 1]).length).toBeLessThanOrEqual(4);
  });

  it('begins at random', () => {
    const nodes = nodesOf(1, 1, 1, 1);
    const firsts = new Set(Array.from({ length: 40 }, (_, seed) => roundRobin().pick(nodes, call(seed))));
    expect(firsts.size).toBe(4);
  });

  it('goes on when nodes come and go', () => {
    const picker = roundRobin();
    const each = call();
    const five = nodesOf(1, 1, 1, 1, 1);
    for (let i = 0; i < 7; i++) picker.pick(five, each);
    const two = five.slice(0, 2);
    const found = Array.from({ length: 10 }, () => picker.pick(two, each));
    expect(found.filter((node) => node === two[0])).toHaveLength(5);
  });

  it('always ends, whatever the weights', () => {
    const weight = fc.double({ min: 1e-9, max: 1e9, noNaN: true });
    fc.assert(
      fc.property(fc.array(weight, { minLength: 1, maxLength: 10 }), (weights) => {
        const nodes = nodesOf(...weights);
        expect(nodes).toContain(roundRobin().pick(nodes, call()));
      }),
    );
  });
});
