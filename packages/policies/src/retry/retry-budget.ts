/** @module How many retries a process may add to the load that it makes anyway. */
import { checks, resolveOptions } from '@fairlead/core';

/** Options of {@link retryBudget}. */
export interface RetryBudgetOptions {
  /** Retries allowed per request, from 0 to 1. Default 0.1: at most a tenth more load. */
  readonly ratio: number;
  /**
   * Retries per second allowed to a process whose `ratio` allows fewer, so that one with little traffic gets over the end of
   * an endpoint. Default 10. 0 for none.
   */
  readonly minPerSecond: number;
  /**
   * Of these, how many per second may fail, too. Default 1: a service that is down is not helped by asking again, and there
   * may be hundreds of processes that do. Each is left one per `ttlMs` in any case.
   */
  readonly minFailingPerSecond: number;
  /** Processes that share `minFailingPerSecond`, from 1. Default 1: each has its own. */
  readonly processes: number;
  /** How long a request counts, in ms, from 1 s to 60 s. Default 10 000. */
  readonly ttlMs: number;
}

/** The defaults of {@link retryBudget}. */
export const retryBudgetDefaults: Readonly<RetryBudgetOptions> = Object.freeze({
  ratio: 0.1,
  minPerSecond: 10,
  minFailingPerSecond: 1,
  processes: 1,
  ttlMs: 10_000,
});

/** A budget that any number of layers can share. All times are monotonic ms. */
export interface RetryBudget {
  /** A request was made. Retries are not requests: they must not be deposited. */
  deposit(now: number): void;
  /** Takes one retry out, if there is one. */
  tryWithdraw(now: number): boolean;
  /** A retry that was taken out has failed as well. */
  failed?(now: number): void;
  /** How many retries are left; a fraction if `ratio` makes one. */
  balance(now: number): number;
}

const SLOTS = 10;

/** Ten thirds of 0.3 are 3 only on paper: what is missing by rounding must not cost a retry. */
const ROUNDING = 1e-9;

/** What may be withdrawn in any window. */
export interface WindowLimits {
  readonly ttlMs: number;
  /** Retries per request. */
  readonly ratio: number;
  /** Retries that are allowed however few requests there are. */
  readonly reserve: number;
  /** Of which so many may fail. */
  readonly failing: number;
  /** Retries that are allowed in addition to all that. */
  readonly besides: number;
}

/** Counts requests and retries of the last while. */
export class WindowedBudget implements RetryBudget {
  // Whole numbers, multiplied by the ratio only when asked: adding up fractions would drift, and rounding the price of a
  // retry to a whole number, as other implementations do, turns a ratio of 0.3 into 0.33 and one of 0.6 into 1.
  readonly #deposits = new Float64Array(SLOTS);
  readonly #withdrawals = new Float64Array(SLOTS);
  readonly #failures = new Float64Array(SLOTS);
  readonly #limits: Readonly<WindowLimits>;
  readonly #slotMs: number;
  #deposited = 0;
  #withdrawn = 0;
  #failed = 0;
  #slot = 0;
  /** When the current slot ends; the first question finds the window empty, so that any time will do. */
  #slotEnd = Number.NEGATIVE_INFINITY;

  constructor(limits: Readonly<WindowLimits>) {
    this.#limits = limits;
    this.#slotMs = limits.ttlMs / SLOTS;
  }

  deposit(now: number): void {
    if (now >= this.#slotEnd) this.#turn(now);
    this.#deposited++;
    (this.#deposits[this.#slot] as number)++;
  }

  tryWithdraw(now: number): boolean {
    if (this.balance(now) < 1 - ROUNDING) return false;
    this.#withdrawn++;
    (this.#withdrawals[this.#slot] as number)++;
    return true;
  }

  failed(now: number): void {
    if (now >= this.#slotEnd) this.#turn(now);
    this.#failed++;
    (this.#failures[this.#slot] as number)++;
  }

  balance(now: number): number {
    if (now >= this.#slotEnd) this.#turn(now);
    const { ratio, reserve, failing, besides } = this.#limits;
    const share = ratio * this.#deposited;
    if (this.#failed >= Math.max(failing, share) + besides) return 0;
    return Math.max(reserve, share) + besides - this.#withdrawn;
  }

  /** Forgets the slots that have left the window: at most all ten, however long nobody has asked. */
  #turn(now: number): void {
    const passed = Math.floor((now - this.#slotEnd) / this.#slotMs) + 1;
    for (let i = Math.min(passed, SLOTS); i > 0; i--) {
      const slot = (this.#slot + 1) % SLOTS;
      this.#slot = slot;
      this.#deposited -= this.#deposits[slot] as number;
      this.#withdrawn -= this.#withdrawals[slot] as number;
      this.#failed -= this.#failures[slot] as number;
      this.#deposits[slot] = this.#withdrawals[slot] = this.#failures[slot] = 0;
    }
    this.#slotEnd = passed > SLOTS ? now + this.#slotMs : this.#slotEnd + passed * this.#slotMs;
  }
}

/**
 * Makes a retry budget: over the last `ttlMs` there are at most `ratio` times the requests, or `minPerSecond` retries per
 * second, whichever is more; and of these no more than `ratio` times the requests, or `minFailingPerSecond`, have failed
 * before the next one. It is what keeps retries from turning a short trouble into a lasting one: without it, three attempts
 * are three times the load on a service that fails because of load. Constant time and memory; no timer.
 *
 * Source: the window of Finagle's `RetryBudget` and tower's `tps_budget`, in exact counts; unlike there the minimum is not
 * added to the share, and is for retries that help: AWS's SDKs give back what a good retry has cost for the same reason.
 * @throws ConfigError if an option is wrong
 */
export function retryBudget(options?: Partial<RetryBudgetOptions>): RetryBudget {
  const given = resolveOptions<RetryBudgetOptions>('retryBudget', options, retryBudgetDefaults, {
    ratio: checks.ratio(),
    minPerSecond: checks.number(0),
    minFailingPerSecond: checks.number(0),
    processes: checks.integer(1),
    ttlMs: checks.ms(1_000, 60_000),
  });
  const { ratio, ttlMs, processes } = given;
  const reserve = (given.minPerSecond * ttlMs) / 1000;
  // Divided until nothing is left, it would take from a quiet process the one that shows whether retrying helps.
  const failing = Math.max(1, (given.minFailingPerSecond * ttlMs) / 1000 / processes);
  return new WindowedBudget({ ttlMs, ratio, reserve, failing, besides: 0 });
}

/** Whether `value` can be paid into and from, whoever made it. */
export function isRetryBudget(value: unknown): value is RetryBudget {
  const { deposit, tryWithdraw } = Object(value) as Partial<RetryBudget>;
  return typeof deposit === 'function' && typeof tryWithdraw === 'function';
}
