/** @module How many retries a process may add to the load that it makes anyway. */
import { checks, resolveOptions } from '@fairlead/core';

/** Options of {@link retryBudget}. */
export interface RetryBudgetOptions {
  /** Retries allowed per request, from 0 to 1. Default 0.1: at most a tenth more load. */
  readonly ratio: number;
  /**
   * Retries per second allowed whatever the traffic, so that a quiet process can retry at all. Default 1. It is no addition:
   * a process whose `ratio` allows more has nothing of it. 0 for none.
   */
  readonly minPerSecond: number;
  /**
   * Processes that share `minPerSecond`, from 1. Default 1: each has its own. Each is left one retry per `ttlMs` in any case.
   */
  readonly processes: number;
  /** How long a request counts, in ms, from 1 s to 60 s. Default 10 000. */
  readonly ttlMs: number;
}

/** The defaults of {@link retryBudget}. */
export const retryBudgetDefaults: Readonly<RetryBudgetOptions> = Object.freeze({
  ratio: 0.1,
  minPerSecond: 1,
  processes: 1,
  ttlMs: 10_000,
});

/** A budget that any number of layers can share. All times are monotonic ms. */
export interface RetryBudget {
  /** A request was made. Retries are not requests: they must not be deposited. */
  deposit(now: number): void;
  /** Takes one retry out, if there is one. */
  tryWithdraw(now: number): boolean;
  /** How many retries are left; a fraction if `ratio` makes one. */
  balance(now: number): number;
}

const SLOTS = 10;

/** Ten thirds of 0.3 are 3 only on paper: what is missing by rounding must not cost a retry. */
const ROUNDING = 1e-9;

/** Counts requests and retries of the last while. */
export class WindowedBudget implements RetryBudget {
  // Whole numbers, multiplied by the ratio only when asked: adding up fractions would drift, and rounding the price of a
  // retry to a whole number, as other implementations do, turns a ratio of 0.3 into 0.33 and one of 0.6 into 1.
  readonly #deposits = new Float64Array(SLOTS);
  readonly #withdrawals = new Float64Array(SLOTS);
  readonly #ratio: number;
  readonly #reserve: number;
  readonly #besides: number;
  readonly #slotMs: number;
  #deposited = 0;
  #withdrawn = 0;
  #slot = 0;
  /** When the current slot ends; the first question finds the window empty, so that any time will do. */
  #slotEnd = Number.NEGATIVE_INFINITY;

  /**
   * @param ratio retries per request
   * @param reserve retries in any window that are allowed even if there are few requests
   * @param ttlMs length of the window
   * @param besides retries in any window that are allowed in addition
   */
  constructor(ratio: number, reserve: number, ttlMs: number, besides = 0) {
    this.#ratio = ratio;
    this.#reserve = reserve;
    this.#besides = besides;
    this.#slotMs = ttlMs / SLOTS;
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

  balance(now: number): number {
    if (now >= this.#slotEnd) this.#turn(now);
    return Math.max(this.#reserve, this.#ratio * this.#deposited) + this.#besides - this.#withdrawn;
  }

  /** Forgets the slots that have left the window: at most all ten, however long nobody has asked. */
  #turn(now: number): void {
    const passed = Math.floor((now - this.#slotEnd) / this.#slotMs) + 1;
    for (let i = Math.min(passed, SLOTS); i > 0; i--) {
      this.#slot = (this.#slot + 1) % SLOTS;
      this.#deposited -= this.#deposits[this.#slot] as number;
      this.#withdrawn -= this.#withdrawals[this.#slot] as number;
      this.#deposits[this.#slot] = 0;
      this.#withdrawals[this.#slot] = 0;
    }
    this.#slotEnd = passed > SLOTS ? now + this.#slotMs : this.#slotEnd + passed * this.#slotMs;
  }
}

/**
 * Makes a retry budget: over the last `ttlMs` there are at most `ratio` times the requests, or `minPerSecond` retries per
 * second, whichever is more. It is what keeps retries from turning a short trouble into a lasting one: without it, three
 * attempts are three times the load on a service that fails because of load. Constant time and memory; no timer.
 *
 * Source: the window of Finagle's `RetryBudget` and tower's `tps_budget`, in exact counts; unlike there the minimum is not
 * added to the share, so that what a busy process adds is the share and no more, however many of them there are.
 * @throws ConfigError if an option is wrong
 */
export function retryBudget(options?: Partial<RetryBudgetOptions>): RetryBudget {
  const { ratio, minPerSecond, processes, ttlMs } = resolveOptions<RetryBudgetOptions>(
    'retryBudget',
    options,
    retryBudgetDefaults,
    {
      ratio: checks.ratio(),
      minPerSecond: checks.number(0),
      processes: checks.integer(1),
      ttlMs: checks.ms(1_000, 60_000),
    },
  );
  // Divided until nothing is left, it would take from a quiet process the one retry that a restart elsewhere may need.
  const reserve = minPerSecond === 0 ? 0 : Math.max(1, (minPerSecond * ttlMs) / 1000 / processes);
  return new WindowedBudget(ratio, reserve, ttlMs);
}

/** Whether `value` can be paid into and from, whoever made it. */
export function isRetryBudget(value: unknown): value is RetryBudget {
  const { deposit, tryWithdraw } = Object(value) as Partial<RetryBudget>;
  return typeof deposit === 'function' && typeof tryWithdraw === 'function';
}
