/** @module What the author of a resolver gives to the conformance checks. */
import type { Resolver } from '@fairlead/core';
import type { VirtualClock } from './virtual-clock.js';

/**
 * A source in the hands of the checks, and the resolver that asks it. Each function says how the source answers from now
 * on, and may be asynchronous. Those that the source has no such state for are left out, and named in `cannot`.
 */
export interface ResolverSource {
  /** Read after the source was put into its first state, so it may be a getter that makes the resolver then. */
  readonly resolver: Resolver;
  /** It knows these origins and no others; the list may be empty, and may name one twice. */
  show(origins: readonly string[]): unknown;
  /** It cannot be reached, or refuses. */
  fail?(): unknown;
  /** It answers, but what it says makes no sense. */
  garble?(): unknown;
  /** It takes questions and does not answer; one that has been asked before is not answered either. */
  hang?(): unknown;
  /** How much watchers hold at the source: questions, connections, subscriptions. Must be 0 once all of them have ended. */
  held?(): number;
  /** Releases the source after a check. */
  close?(): unknown;
}

/** What a source may be unable to do. */
export type ResolverInability = 'change' | 'empty' | 'fail' | 'garble' | 'hang';

/** How a resolver is checked. */
export interface ResolverConformanceOptions {
  /**
   * Makes a source and the resolver for it; called once for each check. Hand `clock` to whatever needs time: it stands
   * still but for the checks.
   */
  readonly source: (clock: VirtualClock) => ResolverSource | Promise<ResolverSource>;
  /**
   * What the source cannot do; the checks that need it are left out. `change`: it is as it was at the beginning for ever.
   * Default none.
   */
  readonly cannot?: readonly ResolverInability[];
  /** Virtual time within which the resolver has to learn of a change, and recover, in ms. Default 120,000. */
  readonly withinMs?: number;
  /**
   * Real time within which it has to, in ms, where something happens outside of the clock: files, sockets. The virtual
   * time passes along with it. Default 0: nothing does.
   */
  readonly outsideMs?: number;
  /** Three origins that the source can name. Default `http://10.0.0.1:8080` and the two addresses after it. */
  readonly origins?: readonly [string, string, string];
}
