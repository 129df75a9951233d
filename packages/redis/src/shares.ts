/**
 * @module This process's share of every caller's limit, for as long as Redis cannot be asked; and what is missing from it
 * afterwards, so that Redis can be told and a bucket that was spent here is not found full there.
 *
 * Source: the generic cell rate algorithm, ITU-T I.371, in its continuous-state form: units that are missing, which
 * flow back with time. Unlike a time at which the bucket is full, that stays right while the number of replicas changes.
 */
import { ROUNDING } from './verdict.js';

interface Share {
  /** Units that are missing, … */
  debt: number;
  /** … at this time, in monotonic ms. */
  at: number;
}

/** Shares looked at for one that may go, per new key. */
const LOOKS = 8;

/** Shares by key. */
export class Shares {
  readonly #byKey = new Map<string, Share>();
  /** For all the keys that find no room. Redis is not told about it, as it belongs to none of them. */
  readonly #overflow: Share = { debt: 0, at: 0 };

  constructor(
    readonly perSecond: number,
    readonly burst: number,
    readonly maxKeys: number,
  ) {}

  /** How many keys have a share of their own. */
  get size(): number {
    return this.#byKey.size;
  }

  /**
   * Takes `cost` units out of the share of `key`, if they are there. A full share also admits what a full bucket of the
   * fleet would, even if it holds less, and is then paid back first: or a burst smaller than the fleet would admit nobody.
   * @param replicas among how many processes the limit is divided
   * @param always takes them even if they are not there, down to an empty share
   * @returns whether they were there; what is missing now
   */
  take(key: string, now: number, cost: number, replicas: number, always: boolean): { allowed: boolean; debt: number } {
    const share = this.#byKey.get(key) ?? this.#admit(key, now, replicas);
    this.#flow(share, now, replicas);
    const depth = this.burst / replicas;
    const full = share.debt <= ROUNDING;
    const allowed = share.debt + cost <= depth + ROUNDING || (full && cost <= this.burst);
    if (allowed) share.debt += cost;
    else if (always) share.debt = Math.max(share.debt, depth);
    return { allowed, debt: share.debt };
  }

  /**
   * What is missing from the whole fleet's bucket of `key`, if the other processes have granted as much as this one. The
   * fleet's bucket fills as fast as all shares together, so Redis may be told again and again and learns nothing new.
   */
  missing(key: string, now: number, replicas: number): number {
    if (this.#byKey.size === 0) return 0;
    const share = this.#byKey.get(key);
    if (share === undefined) return 0;
    this.#flow(share, now, replicas);
    if (share.debt <= 0) this.#byKey.delete(key);
    return share.debt * replicas;
  }

  #flow(share: Share, now: number, replicas: number): void {
    share.debt = Math.max(0, share.debt - ((now - share.at) / 1000) * (this.perSecond / replicas));
    share.at = now;
  }

  /**
   * When there is no room, a full share may go, because a new one would be just like it; one that is not must stay, or a
   * flood of names would free its owner. Those that stay move to the back, so that the next search meets others.
   */
  #admit(key: string, now: number, replicas: number): Share {
    const shares = this.#byKey;
    if (shares.size >= this.maxKeys) {
      let looks = LOOKS;
      for (const [name, share] of shares) {
        this.#flow(share, now, replicas);
        shares.delete(name);
        if (share.debt <= 0) break;
        shares.set(name, share);
        if (--looks === 0) break;
      }
      if (shares.size >= this.maxKeys) return this.#overflow;
    }
    const share: Share = { debt: 0, at: now };
    shares.set(key, share);
    return share;
  }
}
