/**
 * @module Snapshots of a resolver become nodes: what is known of a node outlives the snapshot, and whoever leaves finishes
 * what it has.
 */
import type { Endpoint, Runtime } from '@fairlead/core';
import { Node, type NodeHost } from './node.js';
import type { Roster } from './roster.js';

/** Who wants to know who comes and goes. */
export interface MembershipListener {
  readonly onCame: ((endpoint: Endpoint) => void) | undefined;
  readonly onGone: ((endpoint: Endpoint) => void) | undefined;
}

const nobody: readonly Endpoint[] = Object.freeze([]);

/** Everybody with an endpoint in the latest snapshot, or with requests under way. */
export class Membership {
  readonly #host: NodeHost;
  readonly #runtime: Runtime;
  readonly #roster: Roster;
  readonly #listener: MembershipListener;
  /** By endpoint id. */
  readonly #nodes: Map<string, Node> = new Map();
  /** Counts them. */
  #snapshot = 0;
  /** The latest. */
  #told: readonly Endpoint[] = nobody;

  constructor(host: NodeHost, runtime: Runtime, roster: Roster, listener: MembershipListener) {
    this.#host = host;
    this.#runtime = runtime;
    this.#roster = roster;
    this.#listener = listener;
  }

  /** How many are not members any more and still have requests under way. */
  get leaving(): number {
    return this.#nodes.size - this.#roster.members.length;
  }

  find(id: string): Node | undefined {
    return this.#nodes.get(id);
  }

  /**
   * Takes over a snapshot. Costs next to nothing where it is the latest again, and little for each endpoint that is the
   * same object in the same order as before, which is how sources tell of a few changes among thousands.
   * @returns whether anybody is new
   */
  apply(endpoints: readonly Endpoint[]): boolean {
    const told = this.#told;
    if (endpoints === told) return false;
    const before = this.#roster.members;
    // Not where one was told twice.
    const aligned = told.length === before.length;
    const snapshot = ++this.#snapshot;
    const members: Node[] = [];
    const added: string[] = [];
    let same = aligned && endpoints.length === told.length;
    let at = 0;
    for (const endpoint of endpoints) {
      let node: Node | undefined;
      if (aligned && endpoint === told[at]) node = before[at++];
      else {
        same = false;
        // One of them has gone, most likely; the others follow in their order.
        if (aligned && endpoint === told[at + 1]) {
          node = before[at + 1];
          at += 2;
        }
      }
      if (node === undefined) {
        const known = this.#nodes.get(endpoint.id);
        // The same endpoint twice is one endpoint, as first told.
        if (known?.snapshot === snapshot) continue;
        if (known === undefined || known.leaving) added.push(endpoint.id);
        else at++;
        node = known === undefined ? this.#join(endpoint) : this.#stay(known, endpoint);
      } else if (node.snapshot === snapshot) continue;
      node.snapshot = snapshot;
      members.push(node);
    }
    this.#told = endpoints;
    if (same) return false;
    this.#replace(before, members, added);
    return added.length > 0;
  }

  /** A node that has left has nothing more to do. */
  drained(node: Node): void {
    this.#nodes.delete(node.endpoint.id);
    this.#listener.onGone?.(node.endpoint);
  }

  #replace(before: readonly Node[], members: readonly Node[], added: readonly string[]): void {
    const left = before.filter((node) => node.snapshot !== this.#snapshot);
    this.#roster.members = members;
    this.#roster.changed();
    for (const node of left) {
      node.leave();
      if (node.inFlight === 0) this.drained(node);
    }
    if (added.length === 0 && left.length === 0) return;
    const { service } = this.#host;
    const removed = left.map((node) => node.endpoint.id);
    this.#runtime.on?.({ type: 'endpoints.changed', service, added, removed, total: members.length });
  }

  #join(endpoint: Endpoint): Node {
    const node = new Node(endpoint, this.#host);
    this.#nodes.set(endpoint.id, node);
    this.#listener.onCame?.(endpoint);
    return node;
  }

  #stay(node: Node, endpoint: Endpoint): Node {
    node.leaving = false;
    const moved = node.update(endpoint);
    if (moved === null) return node;
    this.#listener.onCame?.(endpoint);
    this.#listener.onGone?.(moved);
    return node;
  }
}
