/** @module Which tenants ask for more than an equal share. Kept for a bounded number of them, over the last moments. */

/** So many tenants are told apart; the others share one count, which is so much the sooner above an equal share. */
const MOST_TENANTS = 1_000;
/** Counts are halved each time, so that what is long past is forgotten. */
const KEPT = 0.8;

/** Counts what tenants ask for. */
export class FairShares {
  readonly #counts = new Map<string, number>();
  #total = 0;

  /** How many tenants are told apart. */
  get size(): number {
    return this.#counts.size;
  }

  /** Counts a request of `tenant`: whether it asks for more than an equal share. */
  exceeds(tenant: string): boolean {
    const counts = this.#counts;
    let key = tenant;
    let count = counts.get(key);
    if (count === undefined && counts.size >= MOST_TENANTS) {
      key = '';
      count = counts.get(key);
    }
    const now = (count ?? 0) + 1;
    counts.set(key, now);
    this.#total++;
    // Alone, a tenant has a right to everything; a quarter more than the others is chance.
    return counts.size > 1 && now > (1.25 * this.#total) / counts.size + 2;
  }

  /** Lets what is past count for less; `keep` false forgets all of it. */
  turn(keep: boolean): void {
    if (!keep) {
      this.#counts.clear();
      this.#total = 0;
      return;
    }
    this.#total = 0;
    for (const [tenant, count] of this.#counts) {
      const left = count * KEPT;
      if (left < 0.5) this.#counts.delete(tenant);
      else {
        this.#counts.set(tenant, left);
        this.#total += left;
      }
    }
  }
}
