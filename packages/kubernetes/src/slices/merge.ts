/** @module All slices of a Service become one list of endpoints. */
import type { Endpoint } from '@fairlead/core';
import type { Member, Rank, Slice } from './slice.js';

/**
 * The endpoints of a Service out of all of its slices (a slice holds 100 at most, as the controller fills them):
 * 1. The same address and port in several slices is one endpoint. While an endpoint moves from one slice to another it is
 *    in both, and they may disagree; whichever thinks better of it is believed, since an endpoint that is dead after all
 *    is found out by the calls, and one that is left out is not.
 * 2. Of those, all of the best rank that anybody has: endpoints that terminate get no work while there are others.
 */
export function merge(slices: Iterable<Slice>): readonly Endpoint[] {
  const best = new Map<string, Member>();
  let rank: Rank = 2;
  for (const { members } of slices) {
    for (const member of members) {
      const known = best.get(member.endpoint.id);
      if (known === undefined || member.rank < known.rank) best.set(member.endpoint.id, member);
      if (member.rank < rank) rank = member.rank;
    }
  }
  const endpoints: Endpoint[] = [];
  for (const member of best.values()) if (member.rank === rank) endpoints.push(member.endpoint);
  return endpoints;
}

/** The ports that there are, if slices have endpoints but none has the wanted port; else null. */
export function otherPorts(slices: Iterable<Slice>): readonly string[] | null {
  const names = new Set<string>();
  let missing = false;
  for (const { members, otherPorts: ports } of slices) {
    if (members.length > 0) return null;
    if (ports === null) continue;
    missing = true;
    for (const port of ports) names.add(port);
  }
  return missing ? [...names] : null;
}
