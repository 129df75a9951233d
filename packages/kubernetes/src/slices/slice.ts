/** @module One EndpointSlice, as far as it matters here: whom it offers at the wanted port. */
import type { Endpoint } from '@fairlead/core';
import { UnreadableError } from '../list-watch/request.js';
import { type Member, readMember } from './member.js';
import type { SliceObject } from './objects.js';
import { findPort } from './place.js';

/** What is kept of a slice. */
export interface Slice {
  readonly name: string;
  /** Scheme, port and weight that its endpoints share; empty if it has none. */
  readonly at: string;
  /** By address as written; the same address twice is one endpoint. */
  readonly members: ReadonlyMap<string, Member>;
  /** The endpoints of each rank. */
  readonly ranked: readonly [readonly Endpoint[], readonly Endpoint[], readonly Endpoint[]];
  /** The ports that it has, for a message, if somebody is there but the wanted port is not; else null. */
  readonly otherPorts: readonly string[] | null;
}

/** Annotation, or label, that weighs the endpoints of a slice; labels come down from the Service. */
const weightKey = 'fairlead.dev/weight';

/**
 * Reads a slice.
 * @param port name of the wanted port, its number, or null for the only one
 * @param before the slice before, whose endpoints are kept where they have not changed
 * @throws UnreadableError if it is none
 */
export function readSlice(object: SliceObject, port: string | number | null, before?: Slice): Slice {
  const name = object?.metadata?.name;
  const { addressType, endpoints = null, ports = null } = object ?? {};
  if (typeof name !== 'string' || name === '' || !isList(endpoints) || !isList(ports)) {
    throw new UnreadableError('an object in the answer of the API server is no EndpointSlice');
  }
  const none: Slice = { name, at: '', members: new Map(), ranked: nobody, otherPorts: null };
  // FQDN slices name no address, and no controller of Kubernetes makes them.
  if (endpoints === null || (addressType !== 'IPv4' && addressType !== 'IPv6')) return none;
  const place = findPort(ports ?? [], port);
  if (place === null) {
    const otherPorts = (ports ?? []).map((each) => `${each.name || '(unnamed)'} (${each.port ?? 'any'})`);
    return { ...none, otherPorts: endpoints.length > 0 ? otherPorts : null };
  }
  const weight = weightOf(object);
  const at = `${place.scheme} ${place.port} ${weight}`;
  const known = before?.at === at ? before.members : none.members;
  const members = new Map<string, Member>();
  for (const each of endpoints) {
    const address = each?.addresses?.[0];
    if (each == null || address == null) continue;
    const member = readMember(each, place, weight, known.get(address));
    const twin = member === null ? undefined : members.get(address);
    if (member !== null && (twin === undefined || member.rank < twin.rank)) members.set(address, member);
  }
  return { name, at, members, ranked: byRank(members.values()), otherPorts: null };
}

const nobody: Slice['ranked'] = [[], [], []];

function byRank(members: Iterable<Member>): Slice['ranked'] {
  const ranked: [Endpoint[], Endpoint[], Endpoint[]] = [[], [], []];
  for (const { endpoint, rank } of members) ranked[rank].push(endpoint);
  return ranked;
}

/** Whether the two offer the very same endpoints, so that nothing follows from the change. */
export function sameSlice(a: Slice, b: Slice): boolean {
  if (a.members.size !== b.members.size || a.otherPorts?.join() !== b.otherPorts?.join()) return false;
  for (const [address, member] of a.members) if (b.members.get(address) !== member) return false;
  return true;
}

/** Anything but a number above 0 counts as 1. */
function weightOf({ metadata }: SliceObject): number {
  const weight = Number(metadata?.annotations?.[weightKey] ?? metadata?.labels?.[weightKey] ?? 1);
  return weight > 0 && Number.isFinite(weight) ? weight : 1;
}

function isList(value: unknown): boolean {
  return value === null || Array.isArray(value);
}
