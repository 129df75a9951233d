/**
 * @module What this process holds and knows of the fleet's buckets between its questions to Redis: units that it has taken
 * ahead, and how empty a bucket is at least. With the one it admits, with the other it refuses, and asks nobody.
 *
 * The bucket in Redis is as much less deep as the fleet may hold. So the bucket and all holders together never have more than
 * the burst, however long units are held; and since whatever is held has flowed into the bucket, the rate is kept, too.
 */
import { ROUNDING } from './verdict.js';

/** The longest that a refusal is repeated without asking, in ms: Redis may have been emptied meanwhile. */
const REPEAT_MS = 1_000;

/** How a burst is divided. Units. */
export interface Division {
  /** What the bucket in Redis holds when full. */
  readonly depth: number;
  /** What one process may hold, a whole number. */
  readonly most: number;
}

interface Known {
  /** Units held. */
  held: number;
  /** Units held that were given back, and flow back into the bucket without that: see {@link Ahead.giveBack}. */
  extra: number;
  /** Units that are missing at least from the fleet's bucket. */
  debt: number;
  /** The time of these three, in monotonic ms. */
  at: number;
  /** When the last question was asked that is answered. */
  askedAt: number;
  /** By what division that was asked. */
  division: Division;
  /** Whether a question is under way that asks for units ahead. */
  asking: boolean;
  /** See `Contact.era`: what was held or known before says nothing about the time after. */
  era: number;
}

/** What Redis has answered to a question. */
export interface Heard {
  readonly allowed: boolean;
  /** Units that are missing, … */
  readonly debt: number;
  /** … of which these were granted beyond the cost. */
  readonly ahead: number;
}

/** How things are. Units. */
export interface Local {
  readonly allowed: boolean;
  /** What is missing from this process's point of view, to which what it holds is there. */
  readonly debt: number;
  /** What can be there at most. */
  readonly depth: number;
}

/** Units and knowledge by key. */
export class Ahead {
  readonly #byKey = new Map<string, Known>();

  constructor(
    readonly perSecond: number,
    readonly burst: number,
    /** The part of the burst that may be missing for it; the fleet may hold half of that. */
    readonly ratio: number,
    readonly maxKeys: number,
  ) {}

  get size(): number {
    return this.#byKey.size;
  }

  /**
   * How the burst is divided among `replicas`. What may be held can be missing twice: where it was taken out of the depth, and
   * where another process holds it.
   */
  division(replicas: number): Division {
    const most = Math.floor((this.ratio * this.burst) / (2 * replicas) + ROUNDING);
    return { depth: this.burst - most * replicas, most };
  }

  /** Decides about `cost` units of `key`, or says null if Redis has to. */
  decide(key: string, cost: number, now: number, era: number): Local | null {
    const known = this.#known(key, now, era);
    // A question that takes nothing is asked to know how things are.
    if (known === null || cost === 0) return null;
    if (known.held + ROUNDING >= cost) {
      known.held -= cost;
      known.extra = Math.max(0, known.extra - cost);
      return local(known, true);
    }
    const refused = known.debt + cost > known.division.depth + ROUNDING && now - known.askedAt < REPEAT_MS;
    return refused ? local(known, false) : null;
  }

  /**
   * How many units to ask for ahead: none for a key that is new, so that who comes once holds nothing; else what this process
   * may hold, once half of that is gone. A question with any must be reported by {@link settled}.
   */
  want(key: string, now: number, division: Division, era: number): number {
    if (division.most === 0) return 0;
    const known = this.#known(key, now, era);
    if (known === null || known.asking || known.held * 2 > division.most) return 0;
    known.asking = true;
    return Math.ceil(division.most - known.held);
  }

  /** A question that asked for units ahead has ended. */
  settled(key: string): void {
    const known = this.#byKey.get(key);
    if (known !== undefined) known.asking = false;
  }

  /** Redis has answered a question that was asked at `askedAt`. */
  heard(key: string, askedAt: number, now: number, division: Division, era: number, answer: Heard): Local {
    const known = this.#known(key, now, era) ?? this.#add(key, now, division, era);
    // From here it can only be said that the bucket has not been filling for longer than since the question.
    const debt = Math.max(0, answer.debt - this.#flowed(now - askedAt));
    known.debt = askedAt >= known.askedAt ? debt : Math.max(known.debt, debt);
    known.askedAt = Math.max(known.askedAt, askedAt);
    known.division = division;
    known.held += answer.ahead;
    return local(known, answer.allowed);
  }

  /**
   * Keeps units for the next request that Redis granted since `since`. They are beyond what the process may hold, so they
   * have to be gone by when the bucket is full without them: at the earliest that is as if nothing else had been missing.
   */
  giveBack(key: string, cost: number, since: number, era: number): void {
    const known = this.#byKey.get(key);
    if (known === undefined || known.era !== era) return;
    this.#flow(known, since);
    const left = Math.max(0, cost - this.#flowed(known.at - since));
    known.held += left;
    known.extra += left;
  }

  #known(key: string, now: number, era: number): Known | null {
    const known = this.#byKey.get(key);
    if (known === undefined) return null;
    if (known.era !== era) {
      this.#byKey.delete(key);
      return null;
    }
    this.#flow(known, now);
    return known;
  }

  #flow(known: Known, now: number): void {
    if (now <= known.at) return;
    const units = this.#flowed(now - known.at);
    known.at = now;
    known.debt = Math.max(0, known.debt - units);
    const gone = Math.min(known.extra, units);
    known.extra -= gone;
    known.held -= gone;
  }

  #flowed(ms: number): number {
    return (ms / 1000) * this.perSecond;
  }

  /** The oldest makes room: nothing is lost but what it held, and a question. */
  #add(key: string, now: number, division: Division, era: number): Known {
    if (this.#byKey.size >= this.maxKeys) {
      for (const oldest of this.#byKey.keys()) {
        this.#byKey.delete(oldest);
        break;
      }
    }
    const askedAt = Number.NEGATIVE_INFINITY;
    const known: Known = { held: 0, extra: 0, debt: 0, at: now, askedAt, division, asking: false, era };
    this.#byKey.set(key, known);
    return known;
  }
}

function local({ debt, held, division }: Known, allowed: boolean): Local {
  return { allowed, debt: Math.max(0, debt - held), depth: division.depth };
}
