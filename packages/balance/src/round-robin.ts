/** @module One after another. */
import type { Call, Picker, PickerNode } from '@fairlead/core';
import { weightOf } from './weight.js';

/** Weights are compared in so many steps. */
const STEPS = 65_535;

/**
 * Round robin. Where weights differ, each node gets its turn in so many rounds as its weight is of the largest one, spread
 * over the rounds (the static stride scheduler of gRPC, gRFC A58): a pick costs a few steps, whatever the number of nodes.
 * It begins at random, so that clients that start together do not go round together. It does not look at load: use it
 * where every request costs the same, and {@link p2c} elsewhere.
 */
export function roundRobin(): Picker {
  return new RoundRobin();
}

class RoundRobin implements Picker {
  readonly name = 'roundRobin';
  #turn = -1;
  /** The list last picked from, and its largest weight. */
  #nodes: readonly PickerNode[] | null = null;
  #heaviest = 1;

  pick<N extends PickerNode>(nodes: readonly N[], call: Call): N {
    const count = nodes.length;
    if (this.#turn < 0) this.#turn = Math.floor(call.runtime.clock.random() * count);
    if (nodes !== this.#nodes) {
      this.#nodes = nodes;
      this.#heaviest = nodes.reduce((most, node) => Math.max(most, weightOf(node)), 0);
    }
    for (;;) {
      const turn = this.#turn++;
      const index = turn % count;
      const node = nodes[index] as N;
      const steps = Math.max(1, Math.round((weightOf(node) / this.#heaviest) * STEPS));
      // The offset keeps nodes of the same weight from having their turns in the same rounds.
      const place = (steps * Math.floor(turn / count) + index * (STEPS >> 1)) % STEPS;
      if (place >= STEPS - steps) return node;
    }
  }
}
