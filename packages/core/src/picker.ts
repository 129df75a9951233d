/** @module Which one now. */
import type { Call } from './call.js';
import type { Endpoint } from './endpoint.js';

/** An endpoint with what this process knows of it, as far as a picker may look. */
export interface PickerNode {
  readonly endpoint: Endpoint;
  /** What counts instead of the weight of the endpoint, where something else is known: load reports, for instance. */
  readonly weight?: number | undefined;
  /** Requests of this process that are not over yet. */
  readonly inFlight: number;
  /** What sending one more request here would cost, in units that only compare with each other. */
  cost(now: number): number;
}

/** Chooses a node: synchronous, and pure but for the runtime's chance. */
export interface Picker {
  readonly name: string;
  /** One of `nodes`, which is never empty. Nodes that must not be chosen have been left out already. */
  pick<N extends PickerNode>(nodes: readonly N[], call: Call): N;
}
