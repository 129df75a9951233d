/**
 * @module What hedges have really brought, as an account that wins pay into and losses are paid from. `HedgePairs` says
 * beforehand what they would bring if a second request were a request like any other. Where it is not, as with a request
 * that takes long whoever answers it, only hedges that were sent can tell, and this is where they do.
 */

/** The most that can be saved up, in lost hedges: enough that bad luck does not use it up. */
const MOST = 20;
/** What a process begins with, knowing nothing. */
const FIRST = 4;
/** Calls without a hedge after the account is used up, and then one hedge to see; twice as many each time … */
const PAUSE = 1_000;
/** … up to so many: the price of finding out goes to nothing, and still it is found out one day. */
const LONGEST_PAUSE = 128_000;
/** What is on the account of hedges that have been of use again, so that the next pause is the first. */
const PROVEN = 5;

/** Calls without a hedge after the service has asked for less. */
const PUSHBACK_CALLS = 1_000;

/** An account that wins pay into and losses are paid from. */
export class HedgeCredit {
  #balance = FIRST;
  /** Calls until the next hedge may be sent; 0 if one may. */
  #rest = 0;
  #pause = PAUSE;
  readonly #perWin: number;
  readonly #perLoss: number;

  /** @param minWinRatio share of hedges that must win for the account to hold its balance */
  constructor(minWinRatio: number) {
    this.#perLoss = minWinRatio === 0 ? 0 : 1;
    this.#perWin = minWinRatio === 0 ? 0 : 1 / minWinRatio - 1;
  }

  get enough(): boolean {
    return this.#rest === 0 && this.#balance >= 1;
  }

  /** A call was made that could be hedged. */
  called(): void {
    if (this.#rest > 0) this.#rest--;
  }

  won(): void {
    this.#balance = Math.min(MOST, this.#balance + this.#perWin);
    if (this.#balance >= PROVEN) this.#pause = PAUSE;
  }

  lost(): void {
    this.#balance -= this.#perLoss;
    if (this.#balance >= 1) return;
    // Losses of those that were still out when it was used up are losses of the same doubt.
    this.#balance = 1;
    if (this.#rest > 0) return;
    this.#rest = this.#pause;
    this.#pause = Math.min(LONGEST_PAUSE, this.#pause * 2);
  }

  /** The service has asked for less. */
  pushedBack(): void {
    this.#rest = Math.max(this.#rest, PUSHBACK_CALLS);
  }
}
