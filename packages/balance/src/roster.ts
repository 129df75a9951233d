/**
 * @module Who should get work now. Worked out anew when health or membership has changed or a pause is over, and kept
 * until then, so that a pick allocates nothing. A list that was given out is never changed: a picker may remember what it
 * worked out about it.
 */
import type { Tried } from '@fairlead/core';
import type { HealthOptions } from './endpoint-health.js';
import { type Neighbourhood, neighbourhoodOf } from './neighbourhood.js';
import type { Node } from './node.js';

const nobody: readonly Node[] = Object.freeze([]);

/** The nodes of a cluster, sorted by whether they should get work. */
export class Roster {
  /** Everybody whom discovery knows. */
  members: readonly Node[] = nobody;
  /** The latest time that anybody asked with; calls do not come in the order in which they began. */
  now: number = Number.NEGATIVE_INFINITY;
  readonly #options: HealthOptions;
  readonly #zone: string | null;
  readonly #node: string | null;
  /** Those who are well; everybody, where {@link #lost}. */
  #available: readonly Node[] = nobody;
  /** How many are well. */
  #well = 0;
  /** No connection can be made to any of those who are well, if there are any: what is known of the others says no more. */
  #lost = false;
  /** The available ones of the best priority. */
  #preferred: readonly Node[] = nobody;
  /** Who of those is near; null where nobody is nearer than the others. */
  #neighbourhood: Neighbourhood | null = null;
  /** Ejected ones whose time is up: each may be tried by one request. */
  #probes: Node[] = [];
  /** Those that no connection can be made to are counted apart. */
  #ejected = 0;
  #gone = 0;
  #resting = 0;
  #stale = false;
  /** Monotonic ms at which the next pause is over. */
  #wakeAt: number = Number.POSITIVE_INFINITY;

  /** @param zone where this process is; null if that does not matter. @param node the same, more closely */
  constructor(options: HealthOptions, zone: string | null = null, node: string | null = null) {
    this.#options = options;
    this.#zone = zone;
    this.#node = node;
  }

  /** Who of {@link preferred} is near; null where nobody is nearer than the others. Call that before. */
  get neighbourhood(): Neighbourhood | null {
    return this.#neighbourhood;
  }

  /** What was worked out holds no longer. */
  changed(): void {
    this.#stale = true;
  }

  /**
   * Those to pick from at monotonic time `now`: healthy, not resting, and of the lowest priority value that has any such
   * (RFC 2782). If nobody is left, or only such that no connection can be made to, those of the lowest priority value of
   * all: what they answer is how it is found out that one is back. Empty if there are no members.
   */
  preferred(now: number): readonly Node[] {
    if (now > this.now) this.now = now;
    if (this.#stale || this.now >= this.#wakeAt) this.#refresh(this.now);
    return this.#preferred;
  }

  /** An ejected node that it is time to try with one request; null if there is none. Call {@link preferred} before. */
  takeProbe(): Node | null {
    return this.#probes.length === 0 ? null : (this.#probes.pop() as Node);
  }

  /**
   * Those to pick from for a call that was sent to `tried` before: available, not tried, of the best priority that has
   * any such. Looks at everybody and allocates; only retries need it.
   */
  untried(tried: Tried): readonly Node[] {
    return bestOf(this.#available.filter((node) => !tried.has(node.endpoint)));
  }

  /**
   * Those of `nodes` in a zone where none of `tried` is; all of them if there is no such, or nobody knows the zones.
   * Looks at everybody and allocates; only hedges need it.
   */
  elsewhere(nodes: readonly Node[], tried: Tried): readonly Node[] {
    // Where an endpoint is that does not say so is no other zone.
    const been = new Set<string | null>([null]);
    for (const { endpoint } of this.members) if (tried.has(endpoint)) been.add(endpoint.zone);
    const others = been.size === 1 ? [] : nodes.filter(({ endpoint }) => !been.has(endpoint.zone));
    return others.length > 0 ? others : nodes;
  }

  /**
   * Whether one more of `priority` may be ejected: never the last available one, and not more than the option allows, which
   * does not count where somebody of a later priority is available: that is what those are there for. Nor does it count
   * where nobody listens (`refused`): a call that is sent there takes no work off the others, it comes back to them as a
   * retry.
   */
  mayEject(now: number, priority: number, refused: boolean): boolean {
    this.preferred(now);
    const limit = this.#limit(this.members.length - this.#gone);
    if (this.#well <= 1 || limit === 0) return false;
    return refused || this.#ejected < limit || this.#available.some(({ endpoint }) => endpoint.priority > priority);
  }

  /** Whether more are out than the option allows, and nobody of a later priority stands in for them. */
  short(now: number): boolean {
    const [first] = this.preferred(now);
    if (first === undefined || this.#ejected + this.#gone <= this.#limit(this.members.length)) return false;
    return this.members.every(({ endpoint }) => endpoint.priority >= first.endpoint.priority);
  }

  /**
   * Whether one more may rest. Those who rest share the limit with the ejected; otherwise a service that answers 429
   * everywhere would herd all traffic onto whoever has not said so yet.
   */
  mayRest(now: number): boolean {
    this.preferred(now);
    return this.#well > 1 && this.#ejected + this.#resting < this.#limit(this.members.length - this.#gone);
  }

  #limit(members: number): number {
    const ratio = this.#options.maxEjectedRatio;
    return ratio === 0 ? 0 : Math.max(1, Math.floor(members * ratio));
  }

  #refresh(now: number): void {
    const wasLost = this.#lost;
    this.#sort(now);
    if (!wasLost || this.#lost) return;
    // Somebody is back, so the others may be as well, and are needed.
    for (const { health } of this.members) health.recall(now);
    this.#sort(now);
  }

  #sort(now: number): void {
    const available: Node[] = [];
    const due: Node[] = [];
    this.#ejected = this.#gone = this.#resting = 0;
    this.#wakeAt = Number.POSITIVE_INFINITY;
    this.#stale = false;
    for (const node of this.members) {
      const { state, until } = node.health;
      if (now < until) {
        if (state === 'healthy') this.#resting++;
        else this.#out(node);
        if (until < this.#wakeAt) this.#wakeAt = until;
      } else (state === 'healthy' ? available : due).push(node);
    }
    this.#well = available.length;
    this.#lost = available.every(({ unreachable }) => unreachable);
    this.#available = this.#lost ? this.members : available;
    this.#preferred = bestOf(this.#available);
    this.#neighbourhood = this.#lost ? null : neighbourhoodOf(this.#zone, this.#node, this.members, this.#preferred);
    // Whoever would get no work when healthy need not be tried either, nor does it stand in for one that would.
    const best = this.#preferred[0]?.endpoint.priority ?? Number.POSITIVE_INFINITY;
    this.#probes = due.filter((node) => node.endpoint.priority <= best);
    for (const node of this.#probes) this.#out(node);
  }

  #out(node: Node): void {
    if (node.unreachable) this.#gone++;
    else this.#ejected++;
  }
}

/** Those of the lowest priority value: most often all of them. */
function bestOf(nodes: readonly Node[]): readonly Node[] {
  let best = Number.POSITIVE_INFINITY;
  let alike = true;
  for (const { endpoint } of nodes) {
    alike &&= endpoint.priority === best || best === Number.POSITIVE_INFINITY;
    if (endpoint.priority < best) best = endpoint.priority;
  }
  return alike ? nodes : nodes.filter((node) => node.endpoint.priority === best);
}
