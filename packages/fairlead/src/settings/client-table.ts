/** @module The table of {@link ClientSettings}, and the rows that it shares with guards: one variable sets both. */
import { type Clock, checks, type FairleadEvent } from '@fairlead/core';
import { type NewTraces, propagateDefaults, type TracingMode, traceDefaults } from '@fairlead/telemetry';
import type { ClientSettings } from './client-settings.js';
import { type Setting, setting, type Table } from './setting.js';
import { boolean, codeOnly, oneOf } from './values.js';

/** Whose traces. */
export const tracingSetting: Setting<TracingMode> = setting(
  oneOf<TracingMode>('auto', 'own', 'off'),
  traceDefaults.tracing,
  'Trace headers and, with an OpenTelemetry SDK, spans. `auto` leaves attempts to an instrumentation of undici that is ' +
    'there; `own` makes all itself and keeps that of OpenTelemetry quiet; `off` makes none.',
  { env: 'TRACING' },
);

/** What to begin where no trace is going on. */
export const newTracesSetting: Setting<NewTraces> = setting(
  oneOf<NewTraces>('unsampled', 'sampled', 'none'),
  traceDefaults.newTraces,
  'What to begin where no trace is going on and no SDK decides. A `traceparent` that is invalid is replaced even with `none`.',
  { env: 'NEW_TRACES' },
);

/** Who is told. */
export const listenerSetting: Setting<((event: FairleadEvent) => void) | null> = setting(
  codeOnly('function', checks.orNull(checks.fn('a function of the event'))),
  null,
  'Is told everything that happens.',
  { env: null },
);

/** Whose time. */
export const clockSetting: Setting<Clock | null> = setting(
  codeOnly('object', checks.orNull(checks.object('a clock'))),
  null,
  'Time, timers and chance; by default those of the system.',
  { env: null },
);

/** The settings of a client. */
export const clientTable: Table<ClientSettings> = {
  tracing: tracingSetting,
  newTraces: newTracesSetting,
  urlQuery: setting(
    boolean(),
    propagateDefaults.urlQuery,
    'Whether spans may show the query of a URL, which may hold secrets.',
  ),
  disabled: setting(boolean(), false, 'Whether `fairlead/register` does nothing.'),
  installHttp: setting(
    boolean(),
    false,
    'Whether `fairlead/register` brings clients of node:http and node:https onto the stacks as well.',
  ),
  on: listenerSetting,
  clock: clockSetting,
};
