/**
 * @module Whether hedges are of use just now. Where answers are late because of one bad server, one bad disk, one pause, a
 * second request nearly always overtakes the first. Where they are late because everybody queues, it does so no more often
 * than a coin would say: the time that the first one still needs and the time that the second one needs are then the same
 * kind of number. So the share of hedges that win tells the one from the other without knowing anything of the load, and
 * hedges stop by themselves where they would only make a queue longer.
 */

/** The most that can be saved up, in lost hedges: enough that bad luck does not use it up. */
const MOST = 20;
/** What a process begins with, knowing nothing: the service may be queueing already. */
const FIRST = 4;
/** What a call adds: so little that a service under load sees hardly any hedges, and still finds out when that has changed. */
const PER_CALL = 0.0001;

/** Calls without a hedge after the service has asked for less. */
const PUSHBACK_CALLS = 1_000;

/** An account that wins pay into and losses are paid from. */
export class HedgeCredit {
  #balance = FIRST;
  readonly #perWin: number;
  readonly #perLoss: number;

  /** @param minWinRatio share of hedges that must win for the account to hold its balance */
  constructor(minWinRatio: number) {
    this.#perLoss = minWinRatio === 0 ? 0 : 1;
    this.#perWin = minWinRatio === 0 ? 0 : 1 / minWinRatio - 1;
  }

  get enough(): boolean {
    return this.#balance >= 1;
  }

  /** A call was made that could be hedged. */
  called(): void {
    if (this.#balance < MOST) this.#balance += PER_CALL;
  }

  won(): void {
    this.#balance = Math.min(MOST, this.#balance + this.#perWin);
  }

  lost(): void {
    this.#balance -= this.#perLoss;
  }

  /** The service has asked for less: nothing for the next calls, and then one hedge to see. */
  pushedBack(): void {
    this.#balance = Math.min(this.#balance, 1 - PUSHBACK_CALLS * PER_CALL);
  }
}
