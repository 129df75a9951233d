/**
 * @module Whom calls of a process in one zone, or on one node, go to: endpoints near by as far as they have room for it, and those of other
 * zones for the rest.
 *
 * Who is near is what the endpoints' `hints` say, if all of them have some and some are meant for this node, or else for this
 * zone (the rule of kube-proxy); else who is in this zone, if it is known of all of them. How much stays near follows Envoy's zone-aware
 * routing: callers are taken to be spread evenly over the zones, so a zone has to carry `1 / zones` of the traffic, and what
 * exceeds its share of the capacity goes to the zones which have more than that, in proportion to what they have more.
 */
import type { Call, Endpoint, Picker } from '@fairlead/core';
import type { Node } from './node.js';

/** Of endpoints that hints name, so many may be ill before calls go elsewhere (Envoy's overprovisioning factor). */
const SPARE = 1.4;

/** An endpoint near by has at most so many times the requests that one of all would have with this one. */
const BAND = 4;

/** A list to pick from, and the share of calls that go to this one or one before it. */
interface Portion {
  readonly nodes: readonly Node[];
  readonly upTo: number;
}

/** Whom to prefer, and how much. Like the lists of the roster it is never changed. */
export class Neighbourhood {
  /** The healthy endpoints near by; there may be none. */
  readonly near: readonly Node[];
  /** The share of the calls that goes to them. */
  readonly nearRatio: number;
  readonly #all: readonly Node[];
  readonly #far: readonly Portion[];

  /** @internal See {@link neighbourhoodOf}. */
  constructor(near: readonly Node[], nearRatio: number, all: readonly Node[], far: readonly Portion[]) {
    this.near = near;
    this.nearRatio = nearRatio;
    this.#all = all;
    this.#far = far;
  }

  /**
   * Picks somebody near by, or of another zone if it is that one's turn; or anybody at all if whoever was picked near by
   * has failed last, or has so many requests of this process under way that it seems to have enough: callers may not be
   * spread evenly.
   */
  pick(picker: Picker, call: Call): Node {
    if (this.nearRatio < 1) {
      const point = call.runtime.clock.random();
      if (point >= this.nearRatio) return picker.pick(this.#portion(point), call);
    }
    const node = picker.pick(this.near, call);
    const load = loadOf(node);
    const { failures } = node.health;
    if (load <= BAND && failures === 0) return node;
    const other = picker.pick(this.#all, call);
    // Where more have died than may be ejected, those left of a zone would draw all of its calls.
    return failures > 0 || load > BAND * (loadOf(other) + 1) ? other : node;
  }

  /** The share of the calls that is meant for each zone. */
  shares(): ReadonlyMap<string | null, number> {
    const shares = new Map<string | null, number>();
    let from = 0;
    for (const { nodes, upTo } of [{ nodes: this.near, upTo: this.nearRatio }, ...this.#far]) {
      const weight = weightOf(nodes);
      for (const { endpoint } of nodes) {
        const share = ((upTo - from) * endpoint.weight) / weight;
        shares.set(endpoint.zone, (shares.get(endpoint.zone) ?? 0) + share);
      }
      from = upTo;
    }
    return shares;
  }

  #portion(point: number): readonly Node[] {
    for (const { nodes, upTo } of this.#far) if (point < upTo) return nodes;
    return (this.#far.at(-1) as Portion).nodes;
  }
}

function loadOf({ inFlight, endpoint }: Node): number {
  return inFlight / endpoint.weight;
}

/**
 * Who is near a process in `zone` on `node`; null if nobody is nearer than the others, or it is not known.
 * @param members everybody whom discovery knows
 * @param preferred those of them that should get work, all of one priority
 */
export function neighbourhoodOf(
  zone: string | null,
  node: string | null,
  members: readonly Node[],
  preferred: readonly Node[],
): Neighbourhood | null {
  const priority = preferred[0]?.endpoint.priority;
  if ((zone === null && node === null) || priority === undefined) return null;
  const rank = members.filter(({ endpoint }) => endpoint.priority === priority);
  return (
    byHints('nodes', node, rank, preferred) ??
    byHints('zones', zone, rank, preferred) ??
    (zone === null ? null : byShare(zone, rank, preferred))
  );
}

function byHints(
  kind: keyof Hints,
  place: string | null,
  members: readonly Node[],
  preferred: readonly Node[],
): Neighbourhood | null {
  if (place === null || !members.every(({ endpoint }) => hintsOf(endpoint, kind).length > 0)) return null;
  const meant = ({ endpoint }: Node): boolean => hintsOf(endpoint, kind).includes(place);
  const wanted = members.filter(meant);
  const near = preferred.filter(meant);
  if (wanted.length === members.length || near.length === 0) return null;
  const nearRatio = Math.min(1, (SPARE * weightOf(near)) / weightOf(wanted));
  const rest = preferred.filter((node) => !meant(node));
  // Nobody else is well: those near by are all there is.
  if (rest.length === 0) return null;
  return new Neighbourhood(near, nearRatio, preferred, [{ nodes: rest, upTo: 1 }]);
}

function byShare(zone: string, members: readonly Node[], preferred: readonly Node[]): Neighbourhood | null {
  const zones = new Set<string | null>();
  for (const { endpoint } of members) zones.add(endpoint.zone);
  if (zones.size < 2 || zones.has(null) || !zones.has(zone)) return null;
  const healthy = new Map<string | null, Node[]>();
  for (const node of preferred) {
    const list = healthy.get(node.endpoint.zone);
    if (list === undefined) healthy.set(node.endpoint.zone, [node]);
    else list.push(node);
  }
  const near = healthy.get(zone) ?? [];
  const total = weightOf(preferred);
  const fair = 1 / zones.size;
  const nearRatio = weightOf(near) / total / fair;
  // A share that is all but even leaves others nothing but rounding.
  if (nearRatio > 1 - 1e-6) return new Neighbourhood(near, 1, preferred, []);
  healthy.delete(zone);
  const spare = [...healthy.values()].map((nodes) => ({ nodes, more: weightOf(nodes) / total - fair }));
  const roomy = spare.filter(({ more }) => more > 0);
  const more = roomy.reduce((sum, each) => sum + each.more, 0);
  let upTo = nearRatio;
  const far = roomy.map((each) => ({ nodes: each.nodes, upTo: (upTo += ((1 - nearRatio) * each.more) / more) }));
  return new Neighbourhood(near, nearRatio, preferred, far);
}

function weightOf(nodes: readonly Node[]): number {
  let sum = 0;
  for (const { endpoint } of nodes) sum += endpoint.weight;
  return sum;
}

const none: readonly string[] = [];

/** What EndpointSlices say of whom an endpoint is meant for. */
interface Hints {
  readonly zones?: unknown;
  readonly nodes?: unknown;
}

/** For which zones or nodes an endpoint is meant; none if for everybody. */
function hintsOf({ attributes }: Endpoint, kind: keyof Hints): readonly string[] {
  const places = (attributes.hints as Hints | null | undefined)?.[kind];
  return Array.isArray(places) ? (places as string[]) : none;
}
