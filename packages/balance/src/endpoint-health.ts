/**
 * @module Whether an endpoint should get work, judged by how its latest requests went. Ejection for consecutive failures
 * follows Envoy's outlier detection; probation by single requests follows Finagle's failure accrual; that an answer to a
 * request from before the latest change counts for nothing is gobreaker's generation counter. It runs no timer: a time is
 * compared when somebody asks.
 */
import { type Checks, checks, type Runtime, type Verdict } from '@fairlead/core';

/** When an endpoint is left alone, and for how long. */
export interface HealthOptions {
  /** So many failures in a row eject an endpoint. Default 5. */
  readonly consecutiveFailures: number;
  /** How long the first ejection lasts, in ms; each further one twice as long. Default 5000. */
  readonly baseEjectMs: number;
  /** The longest ejection, and the longest `Retry-After` that is believed, in ms. Default 300,000. */
  readonly maxEjectMs: number;
  /**
   * At most this share of the endpoints is ejected at a time: rounded down, but at least one; never the last one. Those
   * that no connection can be made to are not counted, on either side. 0 turns endpoint health off. Default 0.5.
   */
  readonly maxEjectedRatio: number;
  /** After so many ms of good health one doubling of the ejection time is forgotten. Default 30,000. */
  readonly forgiveMs: number;
  /** How long a probe may take, in ms, before another request may try in its place. Default 10,000. */
  readonly probeTimeoutMs: number;
  /** How long an endpoint is left alone that answers 429 without saying for how long, in ms. Default 1000. */
  readonly restMs: number;
}

/** See {@link HealthOptions}. */
export const healthDefaults: Readonly<HealthOptions> = Object.freeze({
  consecutiveFailures: 5,
  baseEjectMs: 5_000,
  maxEjectMs: 300_000,
  maxEjectedRatio: 0.5,
  forgiveMs: 30_000,
  probeTimeoutMs: 10_000,
  restMs: 1_000,
});

/** @internal */
export const healthChecks: Checks<HealthOptions> = {
  consecutiveFailures: checks.integer(1),
  baseEjectMs: checks.ms(1),
  maxEjectMs: checks.ms(1),
  maxEjectedRatio: checks.ratio(),
  forgiveMs: checks.ms(1),
  probeTimeoutMs: checks.ms(1),
  restMs: checks.ms(),
};

/** What the endpoints of one service decide together. */
export interface Ward {
  readonly service: string;
  readonly runtime: Runtime;
  readonly options: HealthOptions;
  /** Whether the endpoint of that id may be ejected, too, at monotonic time `now`; `refused` is that nobody listens there. */
  mayEject(now: number, endpoint: string, refused: boolean): boolean;
  /** Whether more are out than the option allows: those who are left do the work of too many. */
  short(now: number): boolean;
  /** Whether one more may be left alone because it asked for it. */
  mayRest(now: number): boolean;
  /** The set of those that should get work may have changed. */
  changed(): void;
}

/** `probing` is an ejected endpoint that one request is trying out. */
export type HealthState = 'healthy' | 'ejected' | 'probing';

/** The ticket of a request that has no say. */
const NO_SAY = -1;
/** Enough doublings to get from any base to any maximum. */
const MAX_LEVEL = 31;

/** The health of one endpoint: ask with {@link enter}, report with {@link leave}. */
export class EndpointHealth {
  state: HealthState = 'healthy';
  /** Monotonic ms before which the endpoint should get no work. */
  until = 0;
  /** Failures in a row. */
  failures = 0;
  /** How often the ejection time is doubled next time. */
  #level = 0;
  #healthySince = 0;
  /** Replies in a row that broke off in their body. */
  #brokenOff = 0;
  /** Counts changes of state; a request's ticket is the count at its beginning. */
  #epoch = 0;

  constructor(
    readonly endpoint: string,
    readonly ward: Ward,
  ) {}

  /** A request is about to be sent, at monotonic time `now`. Gives the ticket to report with. */
  enter(now: number): number {
    if (this.state === 'healthy') return this.#epoch;
    // Sent here although the endpoint is ejected, for want of a better one. It is evidence like any other, except beside
    // a probe: then the probe alone decides.
    if (now < this.until) return this.state === 'ejected' ? this.#epoch : NO_SAY;
    this.state = 'probing';
    this.until = now + this.ward.options.probeTimeoutMs;
    return this.#turn();
  }

  /** A request went well. The path that is taken nearly always. */
  succeeded(ticket: number, at: number): void {
    if (ticket !== this.#epoch) return;
    this.failures = 0;
    if (this.state !== 'healthy') this.#restore(at);
  }

  /**
   * A request did not go well.
   * @param refused whether nobody listens there: one such failure is proof enough
   * @param restMs for `overload`: how long the endpoint asked to be left alone; null if it did not say
   */
  leave(ticket: number, verdict: Verdict, at: number, refused: boolean, restMs: number | null): void {
    if (verdict === 'success') this.succeeded(ticket, at);
    else if (ticket !== this.#epoch) return;
    else if (verdict === 'failure') this.#failed(at, refused);
    else if (verdict === 'overload') this.#rest(at, restMs);
    else if (this.state === 'probing') this.#awaitProbe(at);
  }

  /** A reply has come to its end. */
  completed(): void {
    this.#brokenOff = 0;
  }

  /**
   * A reply broke off in its body. Counted apart from other failures: its head has come before and was a success, which
   * ends every row of those. An endpoint that breaks off every reply would look like the fastest and least busy of all.
   */
  brokeOff(at: number): void {
    if (++this.#brokenOff < this.ward.options.consecutiveFailures) return;
    if (this.state === 'healthy' && this.ward.mayEject(at, this.endpoint, false))
      this.#ejectHealthy(at, `${this.#brokenOff} replies in a row broke off`);
  }

  /** What was the matter may be over: if it is ejected, it may be tried from `at` on. */
  recall(at: number): void {
    if (this.state === 'ejected' && this.until > at) this.until = at;
  }

  /** The endpoint has become another one: nothing that was known holds. */
  reset(): void {
    this.#brokenOff = 0;
    this.state = 'healthy';
    this.until = 0;
    this.failures = 0;
    this.#level = 0;
    this.#turn();
  }

  #failed(at: number, refused: boolean): void {
    this.failures++;
    if (this.state === 'probing') this.#eject(at, 'probe failed');
    if (this.state !== 'healthy') return;
    if (!refused && this.failures < this.ward.options.consecutiveFailures) return;
    if (!this.ward.mayEject(at, this.endpoint, refused)) return;
    this.#ejectHealthy(at, refused ? 'connection refused' : `${this.failures} failures in a row`);
  }

  #ejectHealthy(at: number, reason: string): void {
    const healthyMs = at - this.#healthySince;
    this.#level = Math.max(0, this.#level - Math.floor(healthyMs / this.ward.options.forgiveMs));
    this.#eject(at, reason);
  }

  #eject(at: number, reason: string): void {
    const { options, runtime, service } = this.ward;
    this.state = 'ejected';
    this.until = Number.POSITIVE_INFINITY;
    this.ward.changed();
    // Where the others do the work of too many, whoever comes back is found soon.
    const doublings = this.ward.short(at) ? 0 : this.#level;
    const fullMs = Math.min(options.maxEjectMs, options.baseEjectMs * 2 ** doublings);
    // Equal jitter (Brooker, "Exponential Backoff and Jitter", 2015), so that a fleet does not come back as one.
    const forMs = fullMs / 2 + (runtime.clock.random() * fullMs) / 2;
    if (this.#level < MAX_LEVEL) this.#level++;
    this.until = at + forMs;
    this.#turn();
    runtime.on?.({ type: 'endpoint.ejected', service, endpoint: this.endpoint, reason, forMs });
  }

  #restore(at: number): void {
    const { runtime, service } = this.ward;
    this.state = 'healthy';
    this.until = 0;
    this.#brokenOff = 0;
    this.#healthySince = at;
    this.#turn();
    runtime.on?.({ type: 'endpoint.restored', service, endpoint: this.endpoint });
  }

  /** The endpoint works and wants a pause. That ejects nobody, and restores nobody. */
  #rest(at: number, restMs: number | null): void {
    const { options } = this.ward;
    const until = at + Math.min(restMs ?? options.restMs, options.maxEjectMs);
    if (this.state === 'probing') this.#awaitProbe(until);
    else if (this.state === 'healthy' && until > Math.max(at, this.until) && this.ward.mayRest(at)) {
      this.until = until;
      this.ward.changed();
    }
  }

  /** The probe said nothing: another request may try, from `at` on. */
  #awaitProbe(at: number): void {
    this.state = 'ejected';
    this.until = at;
    this.#turn();
  }

  #turn(): number {
    this.ward.changed();
    return ++this.#epoch;
  }
}
