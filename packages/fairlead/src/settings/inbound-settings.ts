/** @module What can be set for a guard, which stands before the handlers of a server. Times are in ms. */
import type { IncomingMessage } from 'node:http';
import type { Clock, Criticality, FairleadEvent, Middleware } from '@fairlead/core';
import type { DrainOptions, ShedOptions } from '@fairlead/server';
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
export type ShedSettings = Omit<ShedOptions, 'loop' | 'clock'>;

/** How a server stops. Which servers, guards find out. */
export type DrainSettings = Omit<DrainOptions, 'service' | 'servers' | 'runtime' | 'source'>;

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
