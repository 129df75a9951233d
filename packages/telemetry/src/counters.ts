/** @module Events added up: metrics of a process without any metrics library. Off unless its sink is given to a client. */
import { check, checks, errorCode, type FairleadEvent, resolveOptions } from '@fairlead/core';
import { type AskDiscovery, discoveryGauges } from './discovery-gauges.js';
import { exposition } from './exposition.js';
import { type HistogramFamily, type MetricFamily, SeriesTable, type ValueFamily } from './metric-families.js';

/** Options of {@link createMetrics}. */
export interface MetricsOptions {
  /** Upper bounds of the buckets of durations in ms, ascending. Default: those of OpenTelemetry's HTTP metrics. */
  readonly bucketsMs: readonly number[];
  /** The most series of one metric; what comes after is counted together, labeled `other`. Default 1000. */
  readonly maxSeries: number;
}

/** Defaults of {@link createMetrics}. */
export const metricsDefaults: Readonly<MetricsOptions> = Object.freeze({
  bucketsMs: Object.freeze([
    5, 10, 25, 50, 75, 100, 250, 500, 750, 1000, 2500, 5000, 7500, 10_000,
  ]) as readonly number[],
  maxSeries: 1000,
});

/** Counts events. */
export interface Metrics {
  /** Takes an event: to be given to a client, or called, as `runtime.on`. Does not need its `this`. */
  readonly on: (event: FairleadEvent) => void;
  /** What was counted so far. */
  snapshot(): readonly MetricFamily[];
  /**
   * Adds how discovery is doing: its age, its state, and the health of endpoints. `ask` is asked whenever metrics are read,
   * and is `() => client.describe()`; several clients can be added. The function returned takes it back.
   */
  discovery(ask: AskDiscovery): () => void;
  /** The same as text for Prometheus; to be served as `expositionType`. */
  prometheus(): string;
}

interface Cell {
  value: number;
}

class Durations {
  count = 0;
  sumMs = 0;
  readonly buckets: number[];
  constructor(buckets: number) {
    this.buckets = new Array<number>(buckets).fill(0);
  }
}

/**
 * Makes counters and histograms of what happens: calls and attempts by service and outcome, and what policies did.
 * @throws ConfigError if an option is wrong
 */
export function createMetrics(options?: Partial<MetricsOptions>): Metrics {
  const { bucketsMs, maxSeries } = resolveOptions('createMetrics', options, metricsDefaults, {
    bucketsMs: check('ascending numbers of milliseconds above 0', ascending),
    maxSeries: checks.integer(1),
  });
  const bounds = bucketsMs.map((ms) => ms / 1000);
  const gathered: (() => MetricFamily)[] = [];

  const values = (name: string, help: string, names: readonly string[], type: ValueFamily['type'] = 'counter') => {
    const table = new SeriesTable<Cell>(names, maxSeries, () => ({ value: 0 }));
    gathered.push(() => ({
      name,
      help,
      type,
      series: Array.from(table.entries(), ({ labels, value: { value } }) => ({ labels, value })),
    }));
    return table;
  };
  const durations = (name: string, help: string) => {
    const table = new SeriesTable<Durations>(['service'], maxSeries, () => new Durations(bounds.length + 1));
    gathered.push((): HistogramFamily => {
      const series = Array.from(table.entries(), ({ labels, value: { count, sumMs, buckets } }) => {
        return { labels, count, sum: sumMs / 1000, buckets: [...buckets] };
      });
      return { name, help, type: 'histogram', bounds, series };
    });
    return table;
  };
  const measure = (table: SeriesTable<Durations>, service: string, ms: number) => {
    const into = table.at(service);
    let i = 0;
    while (i < bucketsMs.length && ms > (bucketsMs[i] as number)) i++;
    into.buckets[i] = (into.buckets[i] as number) + 1;
    into.count++;
    into.sumMs += ms;
  };

  const outcome = ['service', 'status', 'error'];
  const calls = values(
    'fairlead_calls_total',
    'Calls that ended, by the status or error that their caller got.',
    outcome,
  );
  const callTime = durations('fairlead_call_duration_seconds', 'Time until a call was decided.');
  const attempts = values('fairlead_attempts_total', 'Attempts that ended, by status or error.', outcome);
  const attemptTime = durations('fairlead_attempt_duration_seconds', 'Time until an attempt was decided.');
  const skipped = values('fairlead_attempts_skipped_total', 'Attempts not made for lack of time, by service.', [
    'service',
  ]);
  const because = ['service', 'reason'];
  const retries = values('fairlead_retries_total', 'Attempts that followed another, by why.', because);
  const unretried = values(
    'fairlead_retries_refused_total',
    'Attempts that were not allowed to follow, by why.',
    because,
  );
  const breakers = values('fairlead_breaker_transitions_total', 'Changes of a breaker, by its new state.', [
    'service',
    'state',
  ]);
  const fallbacks = values('fairlead_fallbacks_total', 'Calls answered by a stand-in, by why.', because);
  const limited = values('fairlead_limited_total', 'Calls that a limit refused, by which.', ['service', 'by']);
  const ejected = values('fairlead_endpoint_ejections_total', 'Endpoints taken out of use, by why.', because);
  const restored = values('fairlead_endpoint_restorations_total', 'Endpoints taken back into use.', ['service']);
  const endpoints = values('fairlead_endpoints', 'Endpoints that discovery knows.', ['service'], 'gauge');
  const unresolved = values('fairlead_resolver_failures_total', 'Failures of discovery.', ['service', 'resolver']);
  const recovered = values('fairlead_resolver_recoveries_total', 'Ends of failures of discovery.', [
    'service',
    'resolver',
  ]);
  const recalled = values('fairlead_memory_recalls_total', 'Starts for which what was remembered had to do.', [
    'service',
  ]);
  const forgotten = values('fairlead_memory_failures_total', 'Failures to read or write what is remembered.', [
    'service',
    'during',
  ]);
  const replayed = values('fairlead_socket_replays_total', 'Requests sent again after an idle connection had died.', [
    'service',
  ]);
  const refused = values('fairlead_requests_refused_total', 'Inbound requests refused, by what.', [
    'service',
    'by',
    'status',
  ]);
  const late = values('fairlead_deadlines_exceeded_total', 'Inbound requests that came too late.', ['service']);

  const on = (event: FairleadEvent): void => {
    const { service } = event;
    switch (event.type) {
      case 'call.ended':
        calls.at(service, statusLabel(event.status), errorLabel(event.error)).value++;
        measure(callTime, service, event.ms);
        return;
      case 'attempt.ended':
        attempts.at(service, statusLabel(event.status)).value++;
        measure(attemptTime, service, event.ms);
        return;
      case 'attempt.failed':
        attempts.at(service, '', errorLabel(event.error)).value++;
        measure(attemptTime, service, event.ms);
        return;
      case 'attempt.skipped':
        skipped.at(service).value++;
        return;
      case 'retry.scheduled':
        retries.at(service, event.reason).value++;
        return;
      case 'retry.refused':
        unretried.at(service, event.reason).value++;
        return;
      case 'breaker.opened':
      case 'breaker.halfOpened':
      case 'breaker.closed':
        breakers.at(service, event.type.slice('breaker.'.length)).value++;
        return;
      case 'fallback.used':
        fallbacks.at(service, event.reason ?? 'unknown').value++;
        return;
      case 'limit.refused':
        limited.at(service, event.by).value++;
        return;
      case 'endpoint.ejected':
        ejected.at(service, event.reason).value++;
        return;
      case 'endpoint.restored':
        restored.at(service).value++;
        return;
      case 'endpoints.changed':
        endpoints.at(service).value = event.total;
        return;
      case 'resolver.failed':
        unresolved.at(service, event.resolver).value++;
        return;
      case 'resolver.recovered':
        recovered.at(service, event.resolver).value++;
        return;
      case 'memory.recalled':
        recalled.at(service).value++;
        return;
      case 'memory.failed':
        forgotten.at(service, event.during).value++;
        return;
      case 'socket.replayed':
        replayed.at(service).value++;
        return;
      case 'request.refused':
        refused.at(service, event.by, statusLabel(event.status)).value++;
        return;
      case 'deadline.exceeded':
        late.at(service).value++;
    }
  };
  const asked = new Set<AskDiscovery>();
  const discovery = (ask: AskDiscovery) => {
    // Not the function itself: the same one may be added twice.
    const own: AskDiscovery = () => ask();
    asked.add(own);
    return () => void asked.delete(own);
  };
  const snapshot = () => [...gathered.map((gather) => gather()), ...discoveryGauges(asked)];
  return { on, snapshot, discovery, prometheus: () => exposition(snapshot()) };
}

function ascending(value: unknown): boolean {
  if (!Array.isArray(value)) return false;
  return value.every((ms, i) => Number.isFinite(ms) && ms > 0 && (i === 0 || ms > value[i - 1]));
}

function statusLabel(status: number | null): string {
  return status === null ? '' : String(status);
}

function errorLabel(error: unknown): string {
  return error == null ? '' : (errorCode(error) ?? 'other');
}
