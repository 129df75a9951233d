/** @module What a breaker is told and what it tells. */
import { type Gate, judge as judgeByDefault, type Outcome, type Runtime, type Verdict } from '@fairlead/core';
import type { PolicyMode } from '../policy-mode.js';

/** Options of `breaker`. */
export interface BreakerOptions {
  /** Default `on`. In `shadow` it refuses nothing and counts what it would have refused; `off` is being disabled from the start. */
  readonly mode: PolicyMode;
  /** Share of failures in the window at which the breaker opens, from 0 to 1. Default 0.5. */
  readonly errorRatio: number;
  /** Calls that must be in the window before it may open. Default 20. */
  readonly minCalls: number;
  /** How long a call counts, in ms; at least 100. Default 10 000. */
  readonly windowMs: number;
  /** A call that took longer than this, in ms, is slow, however good its answer. Default null: none is. */
  readonly slowMs: number | null;
  /** Share of slow calls in the window at which the breaker opens, from 0 to 1. Default 0.9. */
  readonly slowRatio: number;
  /** How long the breaker stays open at first, in ms. Default 5 000. */
  readonly openMs: number;
  /**
   * The time doubles with every half-opening that fails, up to this, in ms. Default 30 000. Below `openMs` it has no
   * effect: the time then stays at `openMs`.
   */
  readonly maxOpenMs: number;
  /**
   * Each time is shortened by up to this share of itself, at random, so that the processes of a fleet, which opened
   * together, do not probe together. From 0 to 1; default 0.2.
   */
  readonly jitterRatio: number;
  /** Probes that must succeed, one after the other or at the same time, before it closes. Default 1. */
  readonly probes: number;
  /** A probe that has not ended after this many ms counts as failed. Default 10 000. */
  readonly probeTimeoutMs: number;
  /** What an outcome says of the service. Default: core's `judge`. Must not throw. */
  readonly judge: (outcome: Outcome) => Verdict;
  /** What keeps the window and decides when to open. Default `own`; they differ in cost only. */
  readonly engine: 'own' | 'opossum';
}

/** The defaults of `breaker`. */
export const breakerDefaults: Readonly<BreakerOptions> = Object.freeze({
  mode: 'on',
  errorRatio: 0.5,
  minCalls: 20,
  windowMs: 10_000,
  slowMs: null,
  slowRatio: 0.9,
  openMs: 5_000,
  maxOpenMs: 30_000,
  jitterRatio: 0.2,
  probes: 1,
  probeTimeoutMs: 10_000,
  judge: judgeByDefault,
  engine: 'own',
});

/**
 * Lets calls in; refuses them; lets single ones in to see; refuses them until told otherwise; lets them in without looking.
 */
export type BreakerState = 'closed' | 'open' | 'halfOpen' | 'forcedOpen' | 'disabled';

/** What a breaker knows at a moment. Plain data, which {@link Breaker.restore} takes back in another process too. */
export interface BreakerSnapshot {
  readonly state: BreakerState;
  /** Calls in the window that said something of the service. */
  readonly calls: number;
  /** Those of them that failed. */
  readonly failures: number;
  /** Those of them that were slow and did not fail. */
  readonly slow: number;
  /** When the next probe may go, in monotonic ms of this process, if the breaker is open; otherwise null. */
  readonly probeAt: number | null;
  /** The same as the time until then, in ms. */
  readonly probeInMs: number | null;
  /** Half-openings in a row that have failed. */
  readonly reopenings: number;
}

/** A gate that can be looked into, and told what to do. */
export interface Breaker extends Gate {
  /** An open breaker half-opens when a call comes after its time, not before. */
  readonly state: BreakerState;
  snapshot(): BreakerSnapshot;
  /**
   * Goes on where another breaker was. One that was half-open may probe at once.
   * @param runtime whose clock counts and who is told; default that of the latest call, and before any call the system's clock
   * @throws ConfigError if `snapshot` is not one; nothing has changed then
   */
  restore(snapshot: BreakerSnapshot, runtime?: Runtime): void;
  /** Refuses every call until {@link reset}. */
  forceOpen(): void;
  /** Lets every call in and learns nothing, until {@link reset}. */
  disable(): void;
  /** Closed, with an empty window. */
  reset(): void;
}
