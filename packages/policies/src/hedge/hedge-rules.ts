/** @module What the calls through one hedging layer share: what is usual, and how much more may be sent. */
import { type Call, type HedgeRefused, inheritedAttempt } from '@fairlead/core';
import type { PolicyMode } from '../policy-mode.js';
import { type RetryBudget, WindowedBudget } from '../retry/retry-budget.js';
import { HedgeCredit } from './hedge-credit.js';
import { HedgeLoad } from './hedge-load.js';
import { HedgePairs } from './hedge-pairs.js';
import { LatencyQuantile } from './hedge-quantile.js';

/** Options of `hedge`. */
export interface HedgeOptions {
  /** Default `on`. In `shadow` it counts the calls that it would have hedged. */
  readonly mode: PolicyMode;
  /** All attempts that may be out at the same time, with the first; 2 to 5. Default 3. */
  readonly attempts: number;
  /**
   * Time before each further attempt, in ms. Default null: what the share `quantile` of answers stays below, as observed.
   */
  readonly delayMs: number | null;
  /** Share of answers that come before the observed delay, from 0.5 to 1. Default 0.95: a twentieth is hedged. */
  readonly quantile: number;
  /** The observed delay is never taken for less than this, in ms. Default 1. */
  readonly minDelayMs: number;
  /** Answers to have seen before a delay is observed. Default 50. */
  readonly minCalls: number;
  /** Hedges per call over ten seconds, at most, and one besides; from 0 to 1. Default 0.1. */
  readonly ratio: number;
  /**
   * Share of hedges that must win, or would, from 0 to 1; below it none are sent but for a few that find out. Default 0.6.
   * Where everybody queues, at most half of them win. The more the median of latencies has risen, the more of them must:
   * where it has doubled, half as many may lose. 0 hedges whatever becomes of it.
   */
  readonly minWinRatio: number;
  /** Answers with one of these statuses do not win while another attempt is out. Default 502, 503 and 504. */
  readonly statuses: readonly number[];
  /**
   * The budget of retries, to pay hedges from as well. Calls are paid into it by `retry`, which stands above. Default
   * null: `ratio` is the only limit.
   */
  readonly budget: RetryBudget | null;
}

/** What the calls through one layer share. */
export class HedgeRules {
  readonly options: Readonly<HedgeOptions>;
  /** Answers with these do not win. */
  readonly statuses: ReadonlySet<number>;
  readonly credit: HedgeCredit;
  readonly pairs: HedgePairs = new HedgePairs();
  readonly #load = new HedgeLoad();
  readonly #observed: LatencyQuantile | null;
  readonly #own: RetryBudget;

  constructor(options: Readonly<HedgeOptions>) {
    this.options = options;
    this.statuses = new Set(options.statuses);
    this.credit = new HedgeCredit(options.minWinRatio);
    this.#observed = options.delayMs === null ? new LatencyQuantile(options.quantile, options.minCalls) : null;
    this.#own = new WindowedBudget({ ttlMs: 10_000, ratio: options.ratio, reserve: 0, failing: 0, besides: 1 });
  }

  /** How long to wait before another attempt, in ms; Infinity if nothing is known yet. */
  get delayMs(): number {
    return this.#observed === null
      ? (this.options.delayMs as number)
      : Math.max(this.#observed.ms, this.options.minDelayMs);
  }

  called(now: number): void {
    this.#own.deposit(now);
    this.credit.called();
  }

  /** An answer was good after `ms`. With hedges, that of the first to be so: as many are above the delay as without. */
  took(ms: number, at: number): void {
    this.#observed?.observe(ms, at);
    this.#load.observe(ms, at);
  }

  /** Whether a further attempt would be of use, as far as can be told. */
  get promising(): boolean {
    const { minWinRatio } = this.options;
    if (minWinRatio === 0) return true;
    const { winRatio } = this.pairs;
    // Who gives a delay knows the service. Who leaves it to be observed is content that this is, too.
    if (Number.isNaN(winRatio)) return this.#observed === null;
    return 1 - winRatio <= (1 - minWinRatio) / this.#load.rise;
  }

  /** Whether one more attempt may be sent; tells why if not. */
  admits(call: Call, now: number): boolean {
    const { budget } = this.options;
    // Whoever repeats already has us for its next attempt.
    if (inheritedAttempt(call.scope) > 1) return this.#refuse(call, 'inherited');
    if (!this.credit.enough || !this.promising) return this.#refuse(call, 'losing');
    if (this.#own.balance(now) < 1) return this.#refuse(call, 'ratio');
    if (budget !== null && !budget.tryWithdraw(now)) return this.#refuse(call, 'budget');
    return this.#own.tryWithdraw(now);
  }

  #refuse(call: Call, reason: HedgeRefused['reason']): false {
    call.runtime.on?.({ type: 'hedge.refused', service: call.service, reason });
    return false;
  }
}
