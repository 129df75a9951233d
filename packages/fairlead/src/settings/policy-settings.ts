/**
 * @module What can be set for the policies of a service: their own options, but for those that a client gives itself. Times are
 * in ms, shares from 0 to 1.
 */
import type {
  BreakerOptions,
  FallbackOptions,
  HedgeOptions,
  InjectFaultOptions,
  MirrorOptions,
  PaceOptions,
  RetryBudgetOptions,
  RetryOptions,
  StaleOptions,
  ThrottleOptions,
} from '@fairlead/policies';

/** When to try again. How often, and what from, are settings of their own. */
export type RetrySettings = Omit<RetryOptions, 'attempts' | 'budget'>;

/** How many retries there may be. */
export type BudgetSettings = RetryBudgetOptions;

/** When to ask somebody else, too. */
export type HedgeSettings = Omit<HedgeOptions, 'budget'>;

/** When to stop calling a service. */
export type BreakerSettings = BreakerOptions;

/** When to send a service less than is asked of it. */
export type ThrottleSettings = Omit<ThrottleOptions, 'judge'>;

/** How calls wait for their turn. */
export type PaceSettings = PaceOptions;

/** Where copies of calls go. */
export interface MirrorSettings extends Omit<MirrorOptions, 'to' | 'service'> {
  /** The name of another service of this client. Default null: no copies are made. */
  readonly to: string | null;
}

/** Which faults, and whom they hit. */
export type InjectFaultSettings = Omit<InjectFaultOptions, 'service'>;

/** What stands in for an answer that did not come. */
export interface FallbackSettings extends Omit<FallbackOptions, 'stale'> {
  /** The name of another service of this client that is asked instead, in the place of `to`. Default null: none. */
  readonly service: string | null;
  /** Keeps the last good answers to GET and HEAD, of which one that fits comes first; false, the default, for none. */
  readonly stale: false | StaleSettings;
}

/** Which old answers may stand in. */
export type StaleSettings = StaleOptions;
