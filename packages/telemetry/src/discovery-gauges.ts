/** @module How discovery is doing, as metrics: asked when they are read, since an age changes without any event. */
import type { MetricFamily, ValueSeries } from './metric-families.js';

/** What is asked of a service; what `client.describe()` gives for each has it. */
export interface DiscoveryReport {
  /** Ms since discovery last told who is there; null before it ever did. */
  readonly ageMs: number | null;
  /** `pending`, `fresh`, `stale`, `remembered`, `failed` or `idle`. */
  readonly freshness: string;
  readonly endpoints: readonly { readonly health: string }[];
}

/** Gives a report for each service. */
export type AskDiscovery = () => Readonly<Record<string, DiscoveryReport>>;

/** The reports of several clients as metrics. Of services of the same name the first counts: a series may be told once. */
export function discoveryGauges(asked: Iterable<AskDiscovery>): readonly MetricFamily[] {
  const reports = new Map<string, DiscoveryReport>();
  for (const ask of asked) {
    for (const [service, report] of Object.entries(ask())) if (!reports.has(service)) reports.set(service, report);
  }
  const ages: ValueSeries[] = [];
  const states: ValueSeries[] = [];
  const healths: ValueSeries[] = [];
  for (const [service, { ageMs, freshness, endpoints }] of reports) {
    if (ageMs !== null) ages.push({ labels: { service }, value: ageMs / 1_000 });
    states.push({ labels: { service, state: freshness }, value: 1 });
    const counts = new Map<string, number>();
    for (const { health } of endpoints) counts.set(health, (counts.get(health) ?? 0) + 1);
    for (const [health, value] of counts) healths.push({ labels: { service, health }, value });
  }
  const gauge = (name: string, help: string, series: readonly ValueSeries[]): MetricFamily => {
    return { name, help, type: 'gauge', series };
  };
  return [
    gauge('fairlead_discovery_age_seconds', 'Time since discovery last told who is there.', ages),
    gauge('fairlead_discovery_state', 'How far what is known can be relied upon: 1 for the state that it is.', states),
    gauge('fairlead_endpoint_health', 'Endpoints that are known, by their health.', healths),
  ];
}
