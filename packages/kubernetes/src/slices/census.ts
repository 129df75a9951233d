/**
 * @module What the slices of a Service have between them, kept up to date change by change: whether an address stands in
 * two of them is what makes joining them dear, and it hardly ever does.
 */
import type { Family, Member, Rank } from './member.js';
import type { Slice } from './slice.js';

/** Counts the endpoints of a set of slices. */
export class Census {
  /** In how many slices each endpoint is, by id. */
  readonly #slicesOf: Map<string, number> = new Map();
  readonly #ranks: [number, number, number] = [0, 0, 0];
  #duplicates = 0;
  #v6 = 0;

  /** A slice was replaced; null for one that was not there, or is no more. */
  replace(before: Slice | null, after: Slice | null): void {
    for (const [address, member] of before?.members ?? []) {
      if (after?.members.get(address) !== member) this.#count(member, -1);
    }
    for (const [address, member] of after?.members ?? []) {
      if (before?.members.get(address) !== member) this.#count(member, 1);
    }
  }

  /** The best rank that any endpoint has. */
  get best(): Rank {
    return this.#ranks[0] > 0 ? 0 : this.#ranks[1] > 0 ? 1 : 2;
  }

  /** Whether no endpoint is in two slices, and all are of the preferred family: the slices can be joined as they are. */
  plain(prefer: Family): boolean {
    const members = this.#ranks[0] + this.#ranks[1] + this.#ranks[2];
    return this.#duplicates === 0 && this.#v6 === (prefer === 6 ? members : 0);
  }

  #count({ endpoint, rank, family }: Member, by: 1 | -1): void {
    const before = this.#slicesOf.get(endpoint.id) ?? 0;
    const after = before + by;
    if (after === 0) this.#slicesOf.delete(endpoint.id);
    else this.#slicesOf.set(endpoint.id, after);
    if (Math.max(before, after) > 1) this.#duplicates += by;
    this.#ranks[rank] += by;
    if (family === 6) this.#v6 += by;
  }
}
