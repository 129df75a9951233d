/** @module What can be set for a client as a whole. */
import type { Clock, FairleadEvent } from '@fairlead/core';
import type { NewTraces, TracingMode } from '@fairlead/telemetry';
import type { Source } from './compound-values.js';
import type { ServiceOptions } from './service-settings.js';
import type { OptionsOf } from './setting.js';

/** What holds for a client, once code, environment and defaults are put together. */
export interface ClientSettings {
  /**
   * Trace headers, and spans where an OpenTelemetry SDK is registered. `auto` (default): those of attempts are left to an
   * instrumentation of undici if there is one; `own`: they are ours in any case, and OpenTelemetry's instrumentation is kept
   * quiet; `off`: none.
   */
  readonly tracing: TracingMode;
  /** Whether traces that begin here are `sampled`, `unsampled`, or not begun at all: `none` (default). */
  readonly newTraces: NewTraces;
  /** Whether spans may show the query of a URL, which may hold secrets. Default false. */
  readonly urlQuery: boolean;
  /** Whether `fairlead/register` does nothing. Default false. */
  readonly disabled: boolean;
  /** Whether `fairlead/register` brings clients of node:http and node:https onto the stacks as well. Default false. */
  readonly installHttp: boolean;
  /** Is told everything that happens. Default null: nobody is. Must not throw. */
  readonly on: ((event: FairleadEvent) => void) | null;
  /** Time, timers and chance. Default null: those of the system. */
  readonly clock: Clock | null;
}

/** What code can give for a client. */
export interface ClientOptions extends OptionsOf<ClientSettings> {
  /** By name: where the endpoints come from, or that and whatever else is to be set. */
  readonly services?: Readonly<Record<string, Source | ServiceOptions>> | undefined;
  /** For every service that does not say otherwise itself. */
  readonly defaults?: Omit<ServiceOptions, 'from'> | undefined;
}
