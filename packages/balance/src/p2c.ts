/** @module The better of two, drawn at random. */
import {
  type Call,
  type Checks,
  type Clock,
  checks,
  type Picker,
  type PickerNode,
  resolveOptions,
} from '@fairlead/core';
import { weightOf } from './weight.js';

/** How {@link p2c} compares. */
export interface P2cOptions {
  /**
   * `inFlight` (default): by the requests of this process that are not over yet, in relation to the weight. `latency`: by
   * the expected latency with its penalties for failures, times the same.
   */
  readonly cost: 'inFlight' | 'latency';
}

/** See {@link P2cOptions}. */
export const p2cDefaults: Readonly<P2cOptions> = Object.freeze({ cost: 'inFlight' });

const p2cChecks: Checks<P2cOptions> = { cost: checks.oneOf('inFlight', 'latency') };

/**
 * Power of two choices (Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing", TPDS 2001): two nodes are
 * drawn at random and the one that costs less gets the request. Nearly as even as asking everybody, at a cost that does
 * not grow with their number, and without the herd that asking everybody makes of many clients.
 *
 * Two that cost the same: the one drawn first, which is as random as the drawing. Where weights differ, nodes are drawn
 * in proportion to them, so that idle ones get their share too; the comparison then only evens out load.
 * @throws ConfigError on unknown or wrong options
 */
export function p2c(options?: Partial<P2cOptions>): Picker {
  const { cost } = resolveOptions('p2c', options, p2cDefaults, p2cChecks);
  return new PowerOfTwo(cost === 'latency' ? latencyCost : inFlightCost);
}

type Cost = (node: PickerNode, now: number) => number;

const latencyCost: Cost = (node, now) => node.cost(now);
const inFlightCost: Cost = (node) => node.inFlight / weightOf(node);

class PowerOfTwo implements Picker {
  readonly name = 'p2c';
  readonly #cost: Cost;
  /** The list last picked from, and its weights added up; null if they are all the same. */
  #nodes: readonly PickerNode[] | null = null;
  #sums: Float64Array | null = null;
  /** The list before that. */
  #before: readonly PickerNode[] | null = null;
  /** The sums of lists that take turns, as where zones have a share each; null while none do, since it costs the collector. */
  #known: WeakMap<readonly PickerNode[], Float64Array | null> | null = null;

  constructor(cost: Cost) {
    this.#cost = cost;
  }

  pick<N extends PickerNode>(nodes: readonly N[], call: Call): N {
    const { clock } = call.runtime;
    const count = nodes.length;
    if (count === 1) return nodes[0] as N;
    if (nodes !== this.#nodes) this.#learn(nodes);
    let first: number;
    let second: number;
    if (this.#sums === null) {
      first = Math.floor(clock.random() * count);
      second = Math.floor(clock.random() * (count - 1));
      if (second >= first) second++;
    } else {
      // Drawn with replacement: two different ones of two would be both of them, whatever their weights.
      first = draw(this.#sums, clock);
      second = draw(this.#sums, clock);
    }
    const one = nodes[first] as N;
    const other = nodes[second] as N;
    return this.#cost(other, call.at) < this.#cost(one, call.at) ? other : one;
  }

  #learn(nodes: readonly PickerNode[]): void {
    let sums = this.#known?.get(nodes);
    if (sums === undefined) {
      const weight = weightOf(nodes[0] as PickerNode);
      sums = nodes.every((node) => weightOf(node) === weight) ? null : sumsOf(nodes);
      if (nodes === this.#before) {
        this.#known ??= new WeakMap();
        this.#known.set(nodes, sums);
      }
    }
    this.#before = this.#nodes;
    this.#nodes = nodes;
    this.#sums = sums;
  }
}

function sumsOf(nodes: readonly PickerNode[]): Float64Array {
  let total = 0;
  return Float64Array.from(nodes, (node) => (total += weightOf(node)));
}

/** The index of the first sum above a random share of the total. */
function draw(sums: Float64Array, clock: Clock): number {
  let low = 0;
  let high = sums.length - 1;
  const point = clock.random() * (sums[high] as number);
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((sums[middle] as number) > point) high = middle;
    else low = middle + 1;
  }
  return low;
}
