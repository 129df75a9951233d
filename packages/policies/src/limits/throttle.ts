/** @module Refuses by itself what an overloaded service would refuse anyway. */
import {
  type Call,
  check,
  checks,
  type Gate,
  judge as judgeByDefault,
  type Leave,
  nothingToReport,
  type Outcome,
  type RejectedError,
  rejected,
  replyHeader,
  resolveOptions,
  type Verdict,
} from '@fairlead/core';
import { isMode, type PolicyMode } from '../policy-mode.js';

/** Options of {@link throttle}. */
export interface ThrottleOptions {
  /** Default `on`. In `shadow` it refuses nothing and counts what it would have refused. */
  readonly mode: PolicyMode;
  /**
   * How many calls are let through for each that is accepted, above 1. Default 2: the service refuses one for each that it
   * accepts, and finds out quickly that it could take more. Less refuses more here.
   */
  readonly k: number;
  /** How long a call counts, in ms, from 1 s to 120 s. Default 10 000. */
  readonly windowMs: number;
  /** The most that is refused, as a share; below 1, so that there are always some calls left to learn from. Default 0.95. */
  readonly maxRatio: number;
  /** Calls in the window before anything is refused. Default 20. */
  readonly minCalls: number;
  /** What an outcome says. `overload` is not accepted, all but `ignored` is. Default: core's `judge`. Must not throw. */
  readonly judge: (outcome: Outcome) => Verdict;
}

/** The defaults of {@link throttle}. */
export const throttleDefaults: Readonly<ThrottleOptions> = Object.freeze({
  mode: 'on',
  k: 2,
  windowMs: 10_000,
  maxRatio: 0.95,
  minCalls: 20,
  judge: judgeByDefault,
});

/**
 * The reply header by which a service tells how much of what it is asked it admits at the moment. Where it is there, nothing
 * has to be guessed, and recovery takes as long as the next reply.
 *
 * Its value is a share from 0 to 1 in decimals, with a leading digit and at most six after the point: `0`, `0.25`, `0.250`,
 * `1`. Anything else, a list included, says nothing. It stands on accepted answers as well as on refusals, counts for a
 * second, and is not there where a service has nothing to say.
 */
export const admissionHeader = 'x-fairlead-admission';

/** What a service has told counts for so long, in ms. */
const TOLD_MS = 1_000;
const SLOTS = 10;

/** A gate that can be looked into. */
export interface Throttle extends Gate {
  /** The share of calls that is refused at monotonic time `now`. */
  refusing(now: number): number;
}

class AdaptiveThrottle implements Throttle {
  readonly name = 'throttle';
  readonly #options: Readonly<ThrottleOptions>;
  readonly #slotMs: number;
  readonly #requests = new Float64Array(SLOTS);
  readonly #accepts = new Float64Array(SLOTS);
  #allRequests = 0;
  #allAccepts = 0;
  #slot = 0;
  #slotEnd = Number.NEGATIVE_INFINITY;
  /** Good answers since the last one that was not. */
  #run = 0;
  #told = 1;
  #toldUntil = Number.NEGATIVE_INFINITY;
  readonly #leave: Leave = (outcome) => this.#report(outcome);

  constructor(options: Readonly<ThrottleOptions>) {
    this.#options = options;
    this.#slotMs = options.windowMs / SLOTS;
  }

  enter(call: Call): Leave | RejectedError {
    const { at, service, runtime } = call;
    if (at >= this.#slotEnd) this.#turn(at);
    const share = this.refusing(at);
    // What is refused here is a request, too: that is what makes the share follow the demand.
    (this.#requests[this.#slot] as number)++;
    this.#allRequests++;
    if (share === 0 || runtime.clock.random() >= share) return this.#leave;
    if (this.#options.mode === 'shadow') {
      runtime.on?.({ type: 'policy.shadowed', service, policy: 'throttle', would: 'refuse' });
      return this.#leave;
    }
    runtime.on?.({ type: 'limit.refused', service, by: 'throttle', key: null, retryAfterMs: null });
    return rejected('throttle', service, `${service}: refused by throttle, the service is overloaded`);
  }

  refusing(now: number): number {
    const { k, maxRatio, minCalls } = this.#options;
    if (this.#allRequests < minCalls) return 0;
    const learned = (this.#allRequests - k * this.#allAccepts) / (this.#allRequests + 1);
    // More than what the service says that it refuses would only be left over from before.
    const share = now < this.#toldUntil ? Math.min(learned, 1 - this.#told) : learned;
    return Math.min(maxRatio, Math.max(0, share));
  }

  #report(outcome: Outcome): void {
    const { reply } = outcome;
    const told = reply === null ? undefined : replyHeader(reply, admissionHeader);
    if (reply !== null && told !== undefined) this.#hear(told, reply.at);
    const verdict = this.#options.judge(outcome);
    if (verdict === 'ignored') {
      // As if it had never been asked: it says nothing of what is accepted.
      if ((this.#requests[this.#slot] as number) > 0) {
        (this.#requests[this.#slot] as number)--;
        this.#allRequests--;
      }
    } else if (verdict === 'overload') this.#run = 0;
    else this.#accepted();
  }

  #accepted(): void {
    (this.#accepts[this.#slot] as number)++;
    this.#allAccepts++;
    // The overload is over if as many as would make a window worth judging were all accepted: what was refused before it is
    // history. By the rule alone, the share accepted could only grow by the factor k in each window.
    if (++this.#run >= this.#options.minCalls && this.#allRequests > this.#options.k * this.#allAccepts) this.#forget();
  }

  #hear(text: string, at: number): void {
    if (!/^(?:0(?:\.\d{1,6})?|1(?:\.0{1,6})?)$/.test(text)) return;
    this.#told = Number(text);
    this.#toldUntil = at + TOLD_MS;
  }

  #forget(): void {
    this.#requests.fill(0);
    this.#accepts.fill(0);
    this.#allRequests = this.#allAccepts = this.#run = 0;
  }

  /** Forgets the slots that have left the window. */
  #turn(now: number): void {
    const passed = Math.floor((now - this.#slotEnd) / this.#slotMs) + 1;
    for (let i = Math.min(passed, SLOTS); i > 0; i--) {
      this.#slot = (this.#slot + 1) % SLOTS;
      this.#allRequests -= this.#requests[this.#slot] as number;
      this.#allAccepts -= this.#accepts[this.#slot] as number;
      this.#requests[this.#slot] = this.#accepts[this.#slot] = 0;
    }
    this.#slotEnd = passed > SLOTS ? now + this.#slotMs : this.#slotEnd + passed * this.#slotMs;
  }
}

/**
 * Makes a gate that refuses a share of calls while a service refuses many of them: `(requests - k * accepts) / (requests + 1)`
 * of the last `windowMs`. Refusing costs the service something, too; refused here it costs nothing, so that the service can
 * spend its time on what it accepts. What it accepts more or less of is followed without a switch that flips.
 *
 * Recovery is fast: `minCalls` accepted in a row end it, and a service that tells its own share in
 * {@link admissionHeader} is never refused more than it would refuse. Stands per call, beside the breaker, which looks at
 * failures and not at overload. Tells `limit.refused`.
 *
 * Source: "Site Reliability Engineering", chapter 21, "Handling Overload", client-side throttling.
 * @throws ConfigError if an option is wrong
 */
export function throttle(options?: Partial<ThrottleOptions>): Throttle {
  const given = resolveOptions<ThrottleOptions>('throttle', options, throttleDefaults, {
    mode: isMode,
    k: checks.above(1),
    windowMs: checks.ms(1_000, 120_000),
    maxRatio: check('a share from 0 to below 1', (v) => typeof v === 'number' && v >= 0 && v < 1),
    minCalls: checks.integer(1),
    judge: checks.fn('a function of the outcome'),
  });
  if (given.mode === 'off') return { name: 'throttle', enter: () => nothingToReport, refusing: () => 0 };
  return new AdaptiveThrottle(given);
}
