/** @module What can be set for a guard, which stands before the handlers of a server. Times are in ms. */
import type { IncomingMessage } from 'node:http';
import type { Clock, Criticality, FairleadEvent, Middleware } from '@fairlead/core';
import type { PolicyMode } from '@fairlead/policies';
import type { Farewell } from '@fairlead/server';
import type { NewTraces, TracingMode } from '@fairlead/telemetry';
import type { CallerKeySetting, LimitSetting } from './limit-values.js';
import type { OptionsOf } from './setting.js';

/** What holds for a guard, once code, environment and defaults are put together. */
export interface InboundSettings {
  /** Name of this service, in events and traces. Default `inbound`. */
  readonly name: string;
  /**
   * Requests per second of each caller, or several limits, all of which a request has to pass. Default false: no limit.
   */
  readonly limit: LimitSetting | readonly LimitSetting[] | false;
  /** What tells callers apart: their `address` (default), `apiKey`, the `identity` in their certificate, or a function. */
  readonly key: CallerKeySetting;
  /** The header that holds the API key, in lower case. Default `x-api-key`. */
  readonly apiKeyHeader: string;
  /**
   * The API keys that were given out; callers that show none of them are told apart by address. Default null: any key is
   * one, so who makes up a new one for each request has a quota for each, as far as `maxKeys` allows.
   */
  readonly apiKeys: readonly string[] | null;
  /**
   * Proxies whose word on the caller's address is taken: addresses, networks, `loopback`, `linklocal`, `uniquelocal`.
   * Default none.
   */
  readonly trustedProxies: readonly string[];
  /** Which header those proxies write. Default `x-forwarded-for`. */
  readonly forwardedHeader: 'x-forwarded-for' | 'forwarded';
  /** How much of an IPv6 address tells callers apart, from 32 to 128 bits. Default 64. */
  readonly ipv6Bits: number;
  /** Whether to tell limits in `RateLimit` and `RateLimit-Policy`. Default true. */
  readonly draftHeaders: boolean;
  /** Whether to tell limits in `X-RateLimit-Limit`, `-Remaining` and `-Reset`, too. Default false. */
  readonly legacyHeaders: boolean;
  /** Callers that are told apart at a time; all others share one limit. Default 10 000. */
  readonly maxKeys: number;
  /** Longest deadline of a request, whatever its caller asks for. Default null: callers may ask for any. */
  readonly maxTimeoutMs: number | null;
  /** How critical a request is that says nothing of itself. Default `critical`. */
  readonly criticality: Criticality;
  /** Whether a caller may say that a request is more critical than that. Default: one with a verified certificate. */
  readonly trusts: (request: IncomingMessage) => boolean;
  /** Refuses at once what would only wait, while more is asked than the process can do; false lets everything in. */
  readonly shed: false | ShedSettings;
  /** Whether callers that ask are told how loaded the server is, and where the time went. Default true. */
  readonly tells: boolean;
  /** How the server stops; false leaves that to you. */
  readonly drain: false | DrainSettings;
  /** Paths for the probes of Kubernetes, answered before anything else. Default false; options turn them on. */
  readonly health: false | HealthRouteSettings;
  /** Whether outbound calls inherit trace context and baggage: `auto` (default; `own` is the same here) or `off`. */
  readonly tracing: TracingMode;
  /** Whether traces that begin here are `sampled`, `unsampled`, or not begun at all: `none` (default). */
  readonly newTraces: NewTraces;
  /** Layers of your own, in front of the handler and behind the limit. Default none. */
  readonly layers: readonly Middleware[];
  /** Gets errors that the client sees as a bare 500. Default null: they are printed to stderr. */
  readonly onError: ((error: unknown, request: IncomingMessage) => void) | null;
  /** Is told everything that happens. Default null: nobody is. Must not throw. */
  readonly on: ((event: FairleadEvent) => void) | null;
  /** Time, timers and chance. Default null: those of the system. */
  readonly clock: Clock | null;
}

/** How a server bends under load. */
export interface ShedSettings {
  /** `shadow` lets everything in and counts what it would have refused, `off` only lets everything in. Default `on`. */
  readonly mode: PolicyMode;
  /** How long a request may wait while there is only a burst. Default 100. */
  readonly maxWaitMs: number;
  /** How long it may wait in an overload. Default 5. */
  readonly targetMs: number;
  /** How many may wait. Default 1 000. */
  readonly maxWaiting: number;
  /** Handlers at work: the least that a limit on them is lowered to. Default 4. */
  readonly minLimit: number;
  /** The most that it is raised to. Default 1 000. */
  readonly maxLimit: number;
  /** What it begins with. Default 100. */
  readonly initialLimit: number;
  /** How many times as long as when not crowded handlers may take before there are fewer at a time. Default 1.5. */
  readonly tolerance: number;
  /** From which share of the heap's limit on the least critical are refused. Default 0.9. */
  readonly heapRatio: number;
  /** Tells tenants apart, none of whom gets more than a share in an overload. Default null: all are one. */
  readonly tenant: ((request: IncomingMessage) => string) | null;
}

/** How a server stops. */
export interface DrainSettings {
  /** How long to go on listening after SIGTERM. Default null: 5 000 inside Kubernetes, 0 elsewhere. */
  readonly delayMs: number | null;
  /** When to cut what is not finished, counted from the signal. Default 25 000. */
  readonly timeoutMs: number;
  /** Signals that start it. Default SIGTERM. */
  readonly signals: readonly NodeJS.Signals[];
  /** Told of each upgraded connection once no new ones are accepted. Default: says goodbye to WebSockets. */
  readonly farewell: Farewell;
  /** Run when every server is closed: the place to close clients and databases. Default: nothing to do. */
  readonly cleanup: () => unknown;
  /** How long `cleanup` is waited for; this comes on top of `timeoutMs`. Default 3 000. */
  readonly cleanupTimeoutMs: number;
}

/** A path, or a path with checks that all have to pass. */
export type ProbeSetting =
  | string
  | { readonly path: string; readonly checks?: Readonly<Record<string, () => unknown>> };

/** The probes of Kubernetes. */
export interface HealthRouteSettings {
  /** Should it get requests: 503 while it drains. Default `/readyz`. */
  readonly readiness: ProbeSetting | null;
  /** Is it alive. Default `/livez`. */
  readonly liveness: ProbeSetting | null;
  /** Has it started. Default null: no such path. */
  readonly startup: ProbeSetting | null;
}

/** What code can give for a guard. */
export type InboundOptions = OptionsOf<InboundSettings>;
