/** @module Stops calling a service that fails, until it has shown that it works again. */
import {
  type Call,
  checks,
  type Gate,
  judge as judgeByDefault,
  type Leave,
  type Outcome,
  type RejectedError,
  type Runtime,
  rejected,
  resolveOptions,
  type Verdict,
} from '@fairlead/core';
import { OpossumEngine } from './opossum-engine.js';

/** Options of {@link breaker}. */
export interface BreakerOptions {
  /** Share of failures in the window at which the breaker opens, from 0 to 1. Default 0.5. */
  readonly errorRatio: number;
  /** Calls that must be in the window before it may open. Default 20. */
  readonly minCalls: number;
  /** How long a call counts, in ms; at least 100. Default 10 000. */
  readonly windowMs: number;
  /** How long the breaker stays open at first, in ms. Default 5 000. */
  readonly openMs: number;
  /**
   * The time doubles with every probe that fails, up to this, in ms. Default 30 000. Below `openMs` it has no effect: the
   * time then stays at `openMs`.
   */
  readonly maxOpenMs: number;
  /** A probe that has not ended after this many ms counts as failed. Default 10 000. */
  readonly probeTimeoutMs: number;
  /** What an outcome says of the service. Default: core's `judge`. Must not throw. */
  readonly judge: (outcome: Outcome) => Verdict;
}

/** The defaults of {@link breaker}. */
export const breakerDefaults: Readonly<BreakerOptions> = Object.freeze({
  errorRatio: 0.5,
  minCalls: 20,
  windowMs: 10_000,
  openMs: 5_000,
  maxOpenMs: 30_000,
  probeTimeoutMs: 10_000,
  judge: judgeByDefault,
});

/** Lets calls in; refuses them; lets single ones in to see. */
export type BreakerState = 'closed' | 'open' | 'halfOpen';

/** What a breaker knows at a moment. */
export interface BreakerSnapshot {
  readonly state: BreakerState;
  /** Calls in the window that said something of the service. */
  readonly calls: number;
  /** Those of them that failed. */
  readonly failures: number;
  /** When the next probe may go, in monotonic ms, if the breaker is open; otherwise null. */
  readonly probeAt: number | null;
}

/** A gate that can be looked into. */
export interface Breaker extends Gate {
  /** An open breaker half-opens when a call comes after its time, not before. */
  readonly state: BreakerState;
  snapshot(): BreakerSnapshot;
}

class ServiceBreaker implements Breaker {
  readonly name = 'breaker';
  state: BreakerState = 'closed';
  readonly #options: Readonly<BreakerOptions>;
  readonly #judge: (outcome: Outcome) => Verdict;
  #engine: OpossumEngine;
  /** One function for all calls of a generation. An outcome from an earlier one says nothing of the present. */
  #leave: Leave;
  #generation = 0;
  /** Of the latest caller: whoever reports later may not know the time, and somebody has to be told of changes. */
  #runtime: Runtime | null = null;
  #service = '';
  #openUntil = 0;
  /** When the probe that is out counts as failed; Infinity if none is out. */
  #probeUntil = Number.POSITIVE_INFINITY;
  #failedProbes = 0;

  constructor(options: Readonly<BreakerOptions>) {
    this.#options = options;
    this.#judge = options.judge;
    this.#engine = new OpossumEngine(options, false);
    this.#leave = this.#nextGeneration();
  }

  enter(call: Call): Leave | RejectedError {
    this.#runtime = call.runtime;
    this.#service = call.service;
    if (this.state !== 'closed') return this.#enterUnwell(call, call.runtime.clock.now());
    if (call.at >= this.#engine.turnAt) this.#engine.turn(call.at);
    return this.#leave;
  }

  snapshot(): BreakerSnapshot {
    const probeAt = this.state === 'open' ? this.#openUntil : null;
    return { state: this.state, ...this.#engine.counts(), probeAt };
  }

  /** Answered without asking opossum, which would make an error with a stack for every refusal. */
  #enterUnwell(call: Call, now: number): Leave | RejectedError {
    // The probe is never waited for by a timer; that it is overdue is found out when it matters.
    if (this.state === 'halfOpen' && now >= this.#probeUntil) {
      this.#engine.failed();
      this.#open(this.#probeUntil);
    }
    if (this.state === 'open' && now >= this.#openUntil) this.#halfOpen();
    if (this.state === 'halfOpen' && this.#probeUntil === Number.POSITIVE_INFINITY) {
      this.#probeUntil = now + this.#options.probeTimeoutMs;
      return this.#leave;
    }
    const { service } = call;
    return this.state === 'open'
      ? rejected('breaker', service, `${service}: refused by breaker, which is open`, this.#openUntil - now)
      : rejected('breaker', service, `${service}: refused by breaker, which waits for its probe`);
  }

  #tell(outcome: Outcome): void {
    const verdict = this.#judge(outcome);
    const probe = this.state === 'halfOpen';
    switch (verdict) {
      case 'success':
        if (probe) this.#close();
        else this.#engine.succeeded();
        return;
      case 'failure':
        this.#fail();
        return;
      default:
        // Canceled, refused or overloaded: no failure, and no proof of health. The next call may be the probe.
        this.#probeUntil = Number.POSITIVE_INFINITY;
    }
  }

  #fail(): void {
    const now = (this.#runtime as Runtime).clock.now();
    this.#engine.turn(now);
    this.#engine.failed();
    if (this.#engine.opened) this.#open(now);
  }

  #open(now: number): void {
    const { openMs, maxOpenMs } = this.#options;
    if (this.state === 'halfOpen') this.#failedProbes++;
    const openFor = Math.min(Math.max(openMs, maxOpenMs), openMs * 2 ** this.#failedProbes);
    this.#openUntil = now + openFor;
    this.#become('open', openFor);
  }

  #halfOpen(): void {
    this.#engine = new OpossumEngine(this.#options, true);
    this.#become('halfOpen', null);
  }

  #close(): void {
    this.#engine.probed();
    this.#failedProbes = 0;
    this.#become('closed', null);
  }

  #become(state: BreakerState, retryAfterMs: number | null): void {
    this.state = state;
    this.#probeUntil = Number.POSITIVE_INFINITY;
    this.#leave = this.#nextGeneration();
    const type = state === 'open' ? 'breaker.opened' : state === 'closed' ? 'breaker.closed' : 'breaker.halfOpened';
    this.#runtime?.on?.({ type, service: this.#service, retryAfterMs });
  }

  #nextGeneration(): Leave {
    const generation = ++this.#generation;
    return (outcome) => {
      if (generation === this.#generation) this.#tell(outcome);
    };
  }
}

/**
 * Makes a circuit breaker for one service. Closed, it counts successes and failures over `windowMs`; at `minCalls` calls of
 * which `errorRatio` failed it opens and refuses every call with a `RejectedError` by `breaker` that says when to come
 * back. After `openMs` one call is let in as a probe: if it succeeds the breaker closes with an empty window, if it fails it
 * opens for twice as long. Outcomes that say nothing of the service (`ignored`, `overload`) are not counted.
 *
 * It belongs to a service, above retries: single endpoints are looked after by the balancer. Use one for one service only.
 * Tells `breaker.opened`, `breaker.halfOpened` and `breaker.closed`. The engine is opossum.
 *
 * Source: Nygard, "Release It!"; the window and the decision to open are opossum's.
 * @throws ConfigError if an option is wrong
 */
export function breaker(options?: Partial<BreakerOptions>): Breaker {
  return new ServiceBreaker(
    resolveOptions<BreakerOptions>('breaker', options, breakerDefaults, {
      errorRatio: checks.ratio(),
      minCalls: checks.integer(1),
      windowMs: checks.ms(100),
      openMs: checks.ms(1),
      maxOpenMs: checks.ms(1),
      probeTimeoutMs: checks.ms(1),
      judge: checks.fn('a function of the outcome'),
    }),
  );
}
