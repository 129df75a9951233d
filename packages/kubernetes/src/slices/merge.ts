/** @module All slices of a Service become one list of endpoints. */
import type { Endpoint } from '@fairlead/core';
import type { Census } from './census.js';
import type { Family, Member, Rank } from './member.js';
import type { Slice } from './slice.js';

/**
 * The endpoints of a Service out of all of its slices (a slice holds 100 at most, as the controller fills them):
 * 1. The same address and port in several slices is one endpoint. While an endpoint moves from one slice to another it is
 *    in both, and they may disagree; whichever thinks better of it is believed, since an endpoint that is dead after all
 *    is found out by the calls, and one that is left out is not.
 * 2. Of those, all of the best rank that anybody has: endpoints that terminate get no work while there are others.
 * 3. A pod with addresses of both families is one endpoint, at its address of the preferred one: as two it would get twice
 *    the work of a pod with one, and what is learned of it would be learned twice.
 *
 * @param census of these slices; where it says that nothing of that happens, they are joined as they are
 */
export function merge(slices: Iterable<Slice>, prefer: Family, census: Census): readonly Endpoint[] {
  if (!census.plain(prefer)) return mergeDuplicates(slices, prefer);
  const { best } = census;
  const lists: (readonly Endpoint[])[] = [];
  for (const { ranked } of slices) lists.push(ranked[best]);
  // Copies whole lists at once, which flat() does not.
  return lists.length === 1 ? (lists[0] as readonly Endpoint[]) : ([] as Endpoint[]).concat(...lists);
}

function mergeDuplicates(slices: Iterable<Slice>, prefer: Family): readonly Endpoint[] {
  const best = new Map<string, Member>();
  let rank: Rank = 2;
  let others = false;
  for (const { members } of slices) {
    for (const member of members.values()) {
      const known = best.get(member.endpoint.id);
      if (known === undefined || member.rank < known.rank) best.set(member.endpoint.id, member);
      if (member.rank < rank) rank = member.rank;
      others ||= member.family !== prefer;
    }
  }
  const pods = others ? podsOf(best.values(), rank, prefer) : null;
  const endpoints: Endpoint[] = [];
  for (const { endpoint, rank: own, family, pod } of best.values()) {
    if (own !== rank || (pods !== null && family !== prefer && pod !== null && pods.has(pod))) continue;
    endpoints.push(endpoint);
  }
  return endpoints;
}

function podsOf(members: Iterable<Member>, rank: Rank, family: Family): ReadonlySet<string> {
  const pods = new Set<string>();
  for (const member of members) {
    if (member.rank === rank && member.family === family && member.pod !== null) pods.add(member.pod);
  }
  return pods;
}

/** The ports that there are, if slices have endpoints but none has the wanted port; else null. */
export function otherPorts(slices: Iterable<Slice>): readonly string[] | null {
  const names = new Set<string>();
  let missing = false;
  for (const { members, otherPorts: ports } of slices) {
    if (members.size > 0) return null;
    if (ports === null) continue;
    missing = true;
    for (const port of ports) names.add(port);
  }
  return missing ? [...names] : null;
}
