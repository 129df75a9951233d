// Catches: a pick of the worse of two, twice the same, bias at ties, shares that do not follow weights, a cost that grows
// with the number of nodes, and chance that does not come from the call's clock.
import { type Call, createEndpoint, type PickerNode } from '@fairlead/core';
import { callTo, VirtualClock } from '@fairlead/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { p2c, p2cDefaults } from './p2c.js';

class TestNode implements PickerNode {
  inFlight = 0;
  latency = 1;
  looks = 0;
  readonly #endpoint;
  constructor(index: number, weight = 1) {
    this.#endpoint = createEndpoint(`http://10.0.${index >> 8}.${index & 255}:80`, { weight });
  }
  get endpoint() {
    this.looks++;
    return this.#endpoint;
  }
  cost(): number {
    this.looks++;
    return this.latency * (this.inFlight + 1);
  }
}

const nodesOf = (...weights: number[]): TestNode[] => weights.map((weight, index) => new TestNode(index, weight));
const call = (seed = 1): Call => callTo('payments', { clock: new VirtualClock({ seed }) });

function shares(nodes: TestNode[], picks: number, picker = p2c()): number[] {
  const counts = new Map<TestNode, number>();
  const each = call(3);
  for (let i = 0; i < picks; i++) {
    const node = picker.pick(nodes, each);
    counts.set(node, (counts.get(node) ?? 0) + 1);
  }
  return nodes.map((node) => (counts.get(node) ?? 0) / picks);
}

describe('p2c', () => {
  it('takes the one with fewer requests in flight of two, always two different ones', () => {
    const nodes = nodesOf(1, 1);
    (nodes[0] as TestNode).inFlight = 3;
    expect(shares(nodes, 1_000)).toEqual([0, 1]);
  });

  it('never takes the worst, and takes the best 2/n of the time', () => {
    const nodes = nodesOf(1, 1, 1, 1, 1);
    for (const [i, node] of nodes.entries()) node.inFlight = i;
    const got = shares(nodes, 50_000);
    // Of the 10 pairs, the node in place i is the better of 4 - i.
    for (const [i, share] of got.entries()) expect(share).toBeCloseTo((4 - i) / 10, 1);
    expect(got[4]).toBe(0);
  });

  it('breaks ties at random', () => {
    for (const share of shares(nodesOf(1, 1, 1, 1), 40_000)) expect(share).toBeCloseTo(0.25, 1.7);
  });

  it('takes the only one without rolling dice', () => {
    const nodes = nodesOf(1);
    expect(p2c().pick(nodes, call())).toBe(nodes[0]);
  });

  it('gives idle nodes of unequal weight their share', () => {
    const got = shares(nodesOf(1, 3, 6), 60_000);
    for (const [i, expected] of [0.1, 0.3, 0.6].entries())
      expect(Math.abs((got[i] as number) - expected)).toBeLessThan(0.01);
  });

  it('gives nodes of unequal weight their share also by latency, if they are equally fast', () => {
    const got = shares(nodesOf(1, 3), 40_000, p2c({ cost: 'latency' }));
    expect(Math.abs((got[1] as number) - 0.75)).toBeLessThan(0.01);
  });

  it('fills nodes in proportion to their weights', () => {
    const nodes = nodesOf(1, 2, 4);
    const picker = p2c();
    const each = call();
    for (let i = 0; i < 700; i++) picker.pick(nodes, each).inFlight++;
    for (const [i, expected] of [100, 200, 400].entries()) {
      expect(Math.abs((nodes[i] as TestNode).inFlight - expected)).toBeLessThan(0.1 * expected);
    }
  });

  it('notices that it was given another list', () => {
    const picker = p2c();
    expect(shares(nodesOf(1, 1), 2_000, picker)[0]).toBeCloseTo(0.5, 1);
    const got = shares(nodesOf(1, 9), 20_000, picker);
    expect(Math.abs((got[1] as number) - 0.9)).toBeLessThan(0.01);
  });

  it('compares by latency if it is told to', () => {
    const nodes = nodesOf(1, 1);
    (nodes[0] as TestNode).latency = 5;
    (nodes[1] as TestNode).inFlight = 3;
    expect(shares(nodes, 500, p2c({ cost: 'latency' }))).toEqual([0, 1]);
    expect(shares(nodes, 500)).toEqual([1, 0]);
  });

  it('looks at two nodes however many there are', () => {
    const nodes = nodesOf(...new Array<number>(10_000).fill(1));
    const picker = p2c();
    const each = call();
    picker.pick(nodes, each);
    for (const node of nodes) node.looks = 0;
    for (let i = 0; i < 100; i++) picker.pick(nodes, each);
    expect(nodes.reduce((sum, node) => sum + node.looks, 0)).toBeLessThanOrEqual(200);
  });

  it('looks at lists that take turns no more than at one, and draws from each by its own weights', () => {
    const lists = [nodesOf(...new Array<number>(5_000).fill(1)), nodesOf(...new Array<number>(999).fill(1), 9_000)];
    const picker = p2c();
    const each = call();
    const turn = (): TestNode[] => lists.map((nodes) => picker.pick(nodes, each));
    for (let i = 0; i < 3; i++) turn();
    for (const node of lists.flat()) node.looks = 0;
    let heavy = 0;
    for (let i = 0; i < 100; i++) heavy += turn()[1] === lists[1]?.at(-1) ? 1 : 0;
    expect(lists.flat().reduce((sum, node) => sum + node.looks, 0)).toBeLessThanOrEqual(400);
    expect(heavy).toBeGreaterThan(70);
  });

  it('keeps the longest queue far shorter than chance alone does', () => {
    const most = (choose: (nodes: TestNode[], each: Call) => TestNode): number => {
      const nodes = nodesOf(...new Array<number>(1_000).fill(1));
      const each = call(11);
      for (let i = 0; i < 1_000; i++) choose(nodes, each).inFlight++;
      return Math.max(...nodes.map((node) => node.inFlight));
    };
    const picker = p2c();
    const two = most((nodes, each) => picker.pick(nodes, each));
    const one = most((nodes, each) => nodes[Math.floor(each.runtime.clock.random() * nodes.length)] as TestNode);
    // Balls into bins: ln ln n / ln 2 + O(1) against about ln n / ln ln n.
    expect(two).toBeLessThanOrEqual(4);
    expect(one).toBeGreaterThanOrEqual(5);
  });

  it('gives one of the nodes, the same one for the same chance', () => {
    const weights = fc.array(fc.double({ min: 0.001, max: 1e6, noNaN: true }), { minLength: 1, maxLength: 40 });
    fc.assert(
      fc.property(weights, fc.integer(), (given, seed) => {
        const nodes = nodesOf(...given);
        const picked = p2c().pick(nodes, call(seed));
        expect(nodes).toContain(picked);
        expect(p2c().pick(nodes, call(seed))).toBe(picked);
      }),
    );
  });

  it('refuses options that do not exist or are wrong', () => {
    expect(() => p2c({ cost: 'latencies' as 'latency' })).toThrow(
      /p2c\.cost = "latencies": expected one of inFlight, latency/,
    );
    expect(() => p2c({ costs: 'latency' } as object)).toThrow(/did you mean cost\?/);
    expect(Object.isFrozen(p2cDefaults)).toBe(true);
  });
});
