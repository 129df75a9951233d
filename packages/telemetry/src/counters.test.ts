// Would catch: events counted twice or under a wrong label, durations in the wrong bucket, text that Prometheus refuses,
// and memory that grows with what strangers send.
import { CanceledError, type FairleadEvent, TimeoutError } from '@fairlead/core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createMetrics } from './counters.js';
import { exposition } from './exposition.js';

const call = (ms: number, rest: Partial<Extract<FairleadEvent, { type: 'call.ended' }>> = {}): FairleadEvent => {
  return { type: 'call.ended', service: 'a', method: 'GET', status: 200, error: null, attempts: 1, ms, ...rest };
};

/** What the metric says, as `labels → value`. */
function read(metrics: ReturnType<typeof createMetrics>, name: string): Record<string, number> {
  const found: Record<string, number> = {};
  for (const line of metrics.prometheus().split('\n')) {
    const match = /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line);
    if (match?.[1] === name) found[match[2] ?? ''] = Number(match[3]);
  }
  return found;
}

describe('createMetrics', () => {
  it('has nothing to say at first', () => {
    const metrics = createMetrics();
    expect(metrics.prometheus()).toBe('');
    expect(metrics.snapshot().every((family) => family.series.length === 0)).toBe(true);
  });

  it('counts calls by service and outcome', () => {
    const { on, ...metrics } = createMetrics();
    on(call(1));
    on(call(1));
    on(call(1, { service: 'b', status: 503 }));
    on(call(1, { status: null, error: new TimeoutError({ of: 'call', ms: 5 }) }));
    on(call(1, { status: null, error: new Error('foreign') }));
    expect(read({ on, ...metrics }, 'fairlead_calls_total')).toEqual({
      'service="a",status="200"': 2,
      'service="b",status="503"': 1,
      'service="a",error="ERR_TIMEOUT"': 1,
      'service="a",error="other"': 1,
    });
  });

  it('puts durations into buckets, a bound into the bucket that it ends', () => {
    const metrics = createMetrics({ bucketsMs: [10, 100] });
    for (const ms of [0, 10, 10.5, 100, 101, 1e9]) metrics.on(call(ms));
    expect(read(metrics, 'fairlead_call_duration_seconds_bucket')).toEqual({
      'service="a",le="0.01"': 2,
      'service="a",le="0.1"': 4,
      'service="a",le="+Inf"': 6,
    });
    expect(read(metrics, 'fairlead_call_duration_seconds_count')).toEqual({ 'service="a"': 6 });
    expect(read(metrics, 'fairlead_call_duration_seconds_sum')).toEqual({ 'service="a"': 1_000_000.2215 });
  });

  it('counts attempts with and without a reply', () => {
    const metrics = createMetrics();
    metrics.on({ type: 'attempt.ended', service: 'a', endpoint: 'e', attempt: 1, status: 503, ms: 3 });
    metrics.on({ type: 'attempt.failed', service: 'a', endpoint: null, attempt: 2, error: new CanceledError(), ms: 4 });
    expect(read(metrics, 'fairlead_attempts_total')).toEqual({
      'service="a",status="503"': 1,
      'service="a",error="ERR_CANCELED"': 1,
    });
    expect(read(metrics, 'fairlead_attempt_duration_seconds_count')).toEqual({ 'service="a"': 2 });
  });

  const service = 's';
  it.each<[string, string, FairleadEvent]>([
    [
      'fairlead_retries_total',
      'service="s",reason="503"',
      { type: 'retry.scheduled', service, attempt: 2, delayMs: 1, reason: '503' },
    ],
    [
      'fairlead_retries_refused_total',
      'service="s",reason="budget"',
      { type: 'retry.refused', service, attempt: 2, reason: 'budget' },
    ],
    [
      'fairlead_attempts_skipped_total',
      'service="s"',
      { type: 'attempt.skipped', service, attempt: 1, leftMs: 5, usualMs: 50 },
    ],
    [
      'fairlead_breaker_transitions_total',
      'service="s",state="halfOpened"',
      { type: 'breaker.halfOpened', service, retryAfterMs: null },
    ],
    [
      'fairlead_fallbacks_total',
      'service="s",reason="timeout"',
      { type: 'fallback.used', service, error: null, reason: 'timeout' },
    ],
    [
      'fairlead_limited_total',
      'service="s",by="limit"',
      { type: 'limit.refused', service, by: 'limit', key: 'k', retryAfterMs: 1 },
    ],
    [
      'fairlead_endpoint_ejections_total',
      'service="s",reason="refused"',
      { type: 'endpoint.ejected', service, endpoint: 'e', reason: 'refused', forMs: 1 },
    ],
    ['fairlead_endpoint_restorations_total', 'service="s"', { type: 'endpoint.restored', service, endpoint: 'e' }],
    [
      'fairlead_resolver_failures_total',
      'service="s",resolver="dns://x"',
      { type: 'resolver.failed', service, resolver: 'dns://x', error: new Error() },
    ],
    ['fairlead_socket_replays_total', 'service="s"', { type: 'socket.replayed', service, endpoint: 'e' }],
    [
      'fairlead_requests_refused_total',
      'service="s",by="limit",status="429"',
      { type: 'request.refused', service, by: 'limit', status: 429, key: 'k' },
    ],
    ['fairlead_deadlines_exceeded_total', 'service="s"', { type: 'deadline.exceeded', service, lateMs: 3 }],
  ])('counts in %s', (name, labels, event) => {
    const metrics = createMetrics();
    metrics.on(event);
    metrics.on(event);
    expect(read(metrics, name)).toEqual({ [labels]: 2 });
  });

  it('tells how many endpoints there are now', () => {
    const metrics = createMetrics();
    for (const total of [3, 5, 0]) metrics.on({ type: 'endpoints.changed', service, added: [], removed: [], total });
    expect(read(metrics, 'fairlead_endpoints')).toEqual({ 'service="s"': 0 });
  });

  it('does not grow without bound', () => {
    const metrics = createMetrics({ maxSeries: 2 });
    for (let i = 0; i < 100; i++) metrics.on(call(1, { service: `s${i % 50}` }));
    expect(read(metrics, 'fairlead_calls_total')).toEqual({
      'service="s0",status="200"': 2,
      'service="s1",status="200"': 2,
      'service="other",status="other",error="other"': 96,
    });
    expect(read(metrics, 'fairlead_call_duration_seconds_count')['service="other"']).toBe(96);
  });

  it('gives snapshots that do not change any more', () => {
    const metrics = createMetrics();
    metrics.on(call(1));
    const before = metrics.snapshot();
    const copy = structuredClone(before);
    metrics.on(call(1));
    expect(before).toEqual(copy);
  });

  it.each([{ bucketsMs: [5, 5] }, { bucketsMs: [0] }, { bucketsMs: 5 }, { maxSeries: 0 }, { buckets: [1] }])(
    'refuses options that are wrong: %j',
    (options) => {
      expect(() => createMetrics(options as never)).toThrow(/createMetrics/);
    },
  );

  it('counts every call in exactly one bucket', () => {
    fc.assert(
      fc.property(fc.array(fc.double({ min: 0, max: 1e5, noNaN: true })), (all) => {
        const metrics = createMetrics();
        for (const ms of all) metrics.on(call(ms));
        const [family] = metrics.snapshot().filter((f) => f.type === 'histogram');
        const series = family?.series[0];
        expect(series === undefined ? 0 : series.buckets.reduce((a, b) => a + b, 0)).toBe(all.length);
      }),
    );
  });
});

describe('exposition', () => {
  it('escapes what would end a label', () => {
    const series = [{ labels: { service: 'a"b\\c\nd' }, value: 1 }];
    expect(exposition([{ name: 'x_total', help: 'Help.', type: 'counter', series }])).toBe(
      '# HELP x_total Help.\n# TYPE x_total counter\nx_total{service="a\\"b\\\\c\\nd"} 1\n',
    );
  });

  it('is lines of the grammar, each metric once, whatever the labels', () => {
    const line = /^[a-z_]+(\{[a-z]+="(\\[\\"n]|[^\\"\n])*"(,[a-z]+="(\\[\\"n]|[^\\"\n])*")*\})? (\d[\d.e+-]*)$/;
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'binary', minLength: 1 })), (names) => {
        const metrics = createMetrics();
        for (const name of names) metrics.on(call(1, { service: name }));
        const text = metrics.prometheus();
        const lines = text.split('\n');
        expect(lines.pop()).toBe('');
        const samples = lines.filter((each) => !each.startsWith('# '));
        for (const each of samples) expect(each).toMatch(line);
        expect(new Set(samples.map((each) => each.slice(0, each.lastIndexOf(' ')))).size).toBe(samples.length);
      }),
    );
  });
});
