/** @module One endpoint of a slice: where it is, and how willing. */
import { isIP } from 'node:net';
import { createEndpoint, type Endpoint } from '@fairlead/core';
import type { EndpointObject, HintsObject, Maybe } from './objects.js';
import type { Place } from './place.js';

/** How the slices' `hints` come in {@link EndpointAttributes}. */
export interface TopologyHints {
  readonly zones: readonly string[];
  readonly nodes: readonly string[];
}

/** `attributes` of an endpoint found here. */
export interface EndpointAttributes {
  readonly node: string | null;
  readonly pod: string | null;
  /** For whom the endpoint is meant; null if for everybody. */
  readonly hints: TopologyHints | null;
  readonly terminating: boolean;
}

/**
 * How willing an endpoint is; lower is better.
 * - 0: takes work
 * - 1: terminates, and still serves: for when nobody takes work (as kube-proxy does, KEP-1669)
 * - 2: published although it is not ready (`publishNotReadyAddresses`), for when there is nobody else
 */
export type Rank = 0 | 1 | 2;

/** Of addresses: IPv4 or IPv6. */
export type Family = 4 | 6;

/** An endpoint in a slice. */
export interface Member {
  readonly endpoint: Endpoint;
  readonly rank: Rank;
  readonly family: Family;
  /** Name of the pod behind it, which may have an address of the other family too; null if it is none. */
  readonly pod: string | null;
}

/**
 * Reads an endpoint; null if it cannot or should not be called.
 * @param known what was read for this address before, at the same place and weight: it is given back if nothing of it has
 *   changed, since a slice comes whole for every change to one of its up to a thousand endpoints
 */
export function readMember(object: EndpointObject, place: Place, weight: number, known?: Member): Member | null {
  const { addresses, conditions, nodeName, targetRef, zone } = object;
  // The API gives no meaning to more addresses than the first, and kube-proxy does not look at them either.
  const address = addresses?.[0];
  const terminating = conditions?.terminating === true;
  const rank = rankOf(conditions?.ready !== false, conditions?.serving, terminating);
  if (typeof address !== 'string' || rank === null) return null;
  const node = nodeName ?? null;
  const target = targetRef?.name ?? null;
  if (known !== undefined && known.rank === rank && known.endpoint.zone === (zone || null)) {
    const before = known.endpoint.attributes as unknown as EndpointAttributes;
    const same = before.node === node && before.pod === target && before.terminating === terminating;
    if (same && sameHints(before.hints, object.hints)) return known;
  }
  const family = address.includes('%') ? 0 : isIP(address);
  if (family === 0) return null;
  const attributes: EndpointAttributes = { node, pod: target, hints: hintsOf(object.hints), terminating };
  const origin = `${place.scheme}://${family === 6 ? `[${address}]` : address}:${place.port}`;
  const endpoint = createEndpoint(origin, { zone: zone || null, weight, attributes: { ...attributes } });
  return { endpoint, rank, family: family as Family, pod: targetRef?.kind === 'Pod' ? target : null };
}

function rankOf(ready: boolean, serves: Maybe<boolean>, terminating: boolean): Rank | null {
  const serving = serves ?? ready;
  if (serving && terminating) return 1;
  if (!ready) return null;
  return serving && !terminating ? 0 : 2;
}

function hintsOf(hints: Maybe<HintsObject>): TopologyHints | null {
  const zones = (hints?.forZones ?? []).map((each) => each.name);
  const nodes = (hints?.forNodes ?? []).map((each) => each.name);
  return zones.length + nodes.length === 0 ? null : { zones, nodes };
}

function sameHints(known: TopologyHints | null, hints: Maybe<HintsObject>): boolean {
  return (
    sameNames(known?.zones ?? none, hints?.forZones ?? none) && sameNames(known?.nodes ?? none, hints?.forNodes ?? none)
  );
}

const none: readonly never[] = [];

function sameNames(known: readonly string[], objects: readonly { readonly name: string }[]): boolean {
  return known.length === objects.length && known.every((name, i) => objects[i]?.name === name);
}
