/** @module Everything that can be set for a service, or for all of them. Times are in ms, shares from 0 to 1. */
import type { HealthOptions, LoadReportOptions } from '@fairlead/balance';
import type { Middleware } from '@fairlead/core';
import type { OpossumNames, PolicyMode } from '@fairlead/policies';
import type { DeadlineHeader } from '@fairlead/telemetry';
import type { TransportOptions } from '@fairlead/transport';
import type { Rate, Source } from './compound-values.js';
import type {
  BreakerSettings,
  BudgetSettings,
  FallbackSettings,
  HedgeSettings,
  InjectFaultSettings,
  MirrorSettings,
  PaceSettings,
  RetrySettings,
  ThrottleSettings,
} from './policy-settings.js';
import type { OptionsOf } from './setting.js';

/** What holds for one service, once code, environment and defaults are put together. */
export interface ServiceSettings {
  /** Where its endpoints come from: `dns://payments:8080`, a list of origins, or a resolver. */
  readonly from: Source | undefined;
  /**
   * A folder in which the last good endpoints are kept, so that a process that starts while discovery is down knows them.
   * Default null: none.
   */
  readonly discoveryCache: string | null;
  /** After how long without a call discovery stops until the next one. Default 600 000; false for never. */
  readonly discoveryIdleMs: number | false;
  /** The failure domain of this process, such as `eu-west-1a`, whose endpoints are preferred. Default null: all are alike. */
  readonly zone: string | null;
  /** The name of the node that this process runs on, whose endpoints are preferred where discovery has hints for nodes. */
  readonly node: string | null;
  /** Calls that may wait for the first answer of discovery; one more is refused. Default 1 000. */
  readonly maxWaiting: number;
  /** If discovery has not answered for so long, calls are refused at once until it does. Default 5 000; false for never. */
  readonly readyTimeoutMs: number | false;
  /** How long a call may take, with all attempts, waits and the body. Default 30 000; false for no limit. */
  readonly timeoutMs: number | false;
  /**
   * How long one attempt may take to the head of its reply. Default 10 000, with retries at most half of `timeoutMs`; false
   * for no limit.
   */
  readonly attemptTimeoutMs: number | false;
  /** Whether `timeoutMs` ends calls; `shadow` counts those that it would have ended. Default `on`. */
  readonly timeoutMode: PolicyMode;
  /** The same for attempts. Default `on`. */
  readonly attemptTimeoutMode: PolicyMode;
  /** Whether no attempt is made for which a call has too little time left, as answers take. Default true. */
  readonly skipHopeless: boolean;
  /** All tries, with the first, from 1 to 10. Default 3; 1 turns retries off. */
  readonly attempts: number;
  readonly retry: RetrySettings;
  /** What retries are paid from, shared by all calls to the service; false for no limit. */
  readonly budget: false | BudgetSettings;
  /** Sends idempotent requests once more, elsewhere, that take longer than nearly all do; false, the default, for never. */
  readonly hedge: false | HedgeSettings;
  /** Stops calling the service while it fails; false for none. */
  readonly breaker: false | BreakerSettings;
  /** Sends a service that refuses no more than it takes, as its answers show; false, the default, for whatever comes. */
  readonly throttle: false | ThrottleSettings;
  /** Most calls per second that this process makes. Default false: as many as it likes. */
  readonly limit: Rate | false;
  /** Whether the limit acts; `shadow` counts what it would have refused. Default `on`. */
  readonly limitMode: PolicyMode;
  /** Makes calls wait so that they go evenly spread; false, the default, for no wait. */
  readonly pace: false | PaceSettings;
  readonly fallback: FallbackSettings;
  readonly mirror: MirrorSettings;
  /** Takes endpoints that fail out of the rotation; false for never. */
  readonly health: false | HealthSettings;
  /** How an endpoint is picked. Default `p2c`: the less busy of two at random. */
  readonly picker: 'p2c' | 'roundRobin';
  /** What `p2c` takes for busy. Default `inFlight`. */
  readonly cost: 'inFlight' | 'latency';
  /** Asks endpoints how loaded they are, and gives those more that are loaded less; false, the default, asks nobody. */
  readonly loadReports: false | LoadReportSettings;
  readonly transport: TransportSettings;
  /** The headers that tell how much time is left. Default `x-request-timeout-ms`. */
  readonly deadlineHeaders: readonly DeadlineHeader[];
  /** Whether to send which attempt this is, as `x-envoy-attempt-count`. Default false. */
  readonly attemptCount: boolean;
  /** Faults on purpose, to see what helps against them; false, the default, for none but real ones. */
  readonly injectFault: false | InjectFaultSettings;
  readonly layers: LayerSettings;
}

/** When to take an endpoint out of the rotation. */
export type HealthSettings = HealthOptions;

/** How endpoints are asked how loaded they are, and what follows. */
export type LoadReportSettings = LoadReportOptions;

/** How requests are sent. */
export type TransportSettings = TransportOptions;

/** Layers of your own. Default none. */
export interface LayerSettings {
  /** Once per call: below its deadline, above limit, breaker and retries. */
  readonly call: readonly Middleware[];
  /** Once per attempt: below the pick of its endpoint. */
  readonly attempt: readonly Middleware[];
}

/** What code can give for a service. Options of the breaker may go by the names of opossum. */
export type ServiceOptions = Omit<OptionsOf<ServiceSettings>, 'breaker'> & {
  readonly breaker?: boolean | (OptionsOf<BreakerSettings> & OpossumNames) | undefined;
};
