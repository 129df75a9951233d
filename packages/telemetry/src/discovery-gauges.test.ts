// Would catch: an age or a state of discovery that is not that of the moment, and a series that is told twice.
import { describe, expect, it } from 'vitest';
import { createMetrics } from './counters.js';
import type { DiscoveryReport } from './discovery-gauges.js';

const report = (rest: Partial<DiscoveryReport> = {}): DiscoveryReport => {
  return { ageMs: 1_500, freshness: 'fresh', endpoints: [{ health: 'healthy' }, { health: 'ejected' }], ...rest };
};
const lines = (text: string): string[] => text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));

describe('metrics of discovery', () => {
  it('say how old, in what state and how healthy what is known of each service is, at the moment', () => {
    const metrics = createMetrics();
    let services: Record<string, DiscoveryReport> = { a: report(), b: report({ ageMs: null, freshness: 'pending' }) };
    metrics.discovery(() => services);
    expect(lines(metrics.prometheus())).toEqual([
      'fairlead_discovery_age_seconds{service="a"} 1.5',
      'fairlead_discovery_state{service="a",state="fresh"} 1',
      'fairlead_discovery_state{service="b",state="pending"} 1',
      'fairlead_endpoint_health{service="a",health="healthy"} 1',
      'fairlead_endpoint_health{service="a",health="ejected"} 1',
      'fairlead_endpoint_health{service="b",health="healthy"} 1',
      'fairlead_endpoint_health{service="b",health="ejected"} 1',
    ]);
    expect(metrics.prometheus()).toContain('# TYPE fairlead_discovery_age_seconds gauge');
    services = { a: report({ ageMs: 60_000, freshness: 'stale', endpoints: [] }) };
    expect(lines(metrics.prometheus())).toEqual([
      'fairlead_discovery_age_seconds{service="a"} 60',
      'fairlead_discovery_state{service="a",state="stale"} 1',
    ]);
  });

  it('of several clients are told together, each service once, until they are taken back', () => {
    const metrics = createMetrics();
    const first = metrics.discovery(() => ({ a: report({ ageMs: 1_000 }) }));
    const second = metrics.discovery(() => ({ a: report({ ageMs: 2_000 }), b: report({ ageMs: 3_000 }) }));
    const ages = (): string[] => lines(metrics.prometheus()).filter((line) => line.includes('age'));
    const age = (service: string, s: number): string => `fairlead_discovery_age_seconds{service="${service}"} ${s}`;
    expect(ages()).toEqual([age('a', 1), age('b', 3)]);
    first();
    expect(ages()).toEqual([age('a', 2), age('b', 3)]);
    second();
    second();
    expect(metrics.prometheus()).toBe('');
  });

  it('count failures, recoveries, and what memory did', () => {
    const { on, prometheus } = createMetrics();
    const about = { service: 'a', resolver: 'dns://x' } as const;
    on({ type: 'resolver.failed', ...about, error: new Error() });
    on({ type: 'resolver.recovered', ...about, afterMs: 5 });
    on({ type: 'memory.recalled', ...about, ageMs: 5, total: 2 });
    on({ type: 'memory.failed', ...about, during: 'write', error: new Error() });
    expect(lines(prometheus())).toEqual([
      'fairlead_resolver_failures_total{service="a",resolver="dns://x"} 1',
      'fairlead_resolver_recoveries_total{service="a",resolver="dns://x"} 1',
      'fairlead_memory_recalls_total{service="a"} 1',
      'fairlead_memory_failures_total{service="a",during="write"} 1',
    ]);
  });
});
