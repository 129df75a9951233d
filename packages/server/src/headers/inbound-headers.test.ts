/** Would catch a header that is overlooked, taken for another of the same length, or believed although it is malformed. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readAttempt } from './inbound-attempt.js';
import { readTimeoutMs } from './inbound-deadline.js';
import { InboundHeaders } from './inbound-headers.js';

const read = (...headers: string[]): InboundHeaders => new InboundHeaders().read(headers);

describe('what headers say', () => {
  it.each([
    [[], -1],
    [['x-request-criticality', 'critical-plus'], 0],
    [['X-Request-Criticality', 'SHEDDABLE'], 3],
    [['x-request-criticality', 'urgent'], -1],
    [['baggage', 'user=7, criticality=sheddable-plus;by=us ,k=v'], 2],
    [['baggage', 'criticality = CRITICAL_PLUS'], 0],
    [['baggage', 'criticality=nonsense'], -1],
    [['baggage', 'not-criticality=sheddable'], -1],
    [['baggage', 'criticality=sheddable', 'x-request-criticality', 'critical'], 1],
    [['x-request-criticality', 'critical', 'baggage', 'criticality=sheddable'], 1],
    [['x-request-criticality', 'what', 'baggage', 'criticality=sheddable'], 3],
  ] as const)('%j is of rank %j', (headers, rank) => {
    expect(read(...headers).rank).toBe(rank);
  });

  it('of one request is nothing of the next', () => {
    const headers = new InboundHeaders();
    headers.read(['x-request-criticality', 'sheddable', 'x-envoy-attempt-count', '2', 'grpc-timeout', '5S']);
    expect(headers).toMatchObject({ rank: 3, attempt: 2, timeoutMs: 5_000 });
    expect(headers.read([])).toMatchObject({ rank: -1, attempt: 1, timeoutMs: Number.POSITIVE_INFINITY, tell: 0 });
  });

  it('is what the readers of single headers say', () => {
    const name = fc.constantFrom(
      'x-request-timeout-ms',
      'x-envoy-expected-rq-timeout-ms',
      'grpc-timeout',
      'x-envoy-attempt-count',
      'grpc-previous-rpc-attempts',
      'x-request-criticality',
      'host',
    );
    const value = fc.oneof(fc.integer().map(String), fc.constantFrom('', '5S', '100m', '-', '1e3', ' 7', '007'));
    fc.assert(
      fc.property(fc.array(fc.tuple(name, value)), (pairs) => {
        const headers = pairs.flat();
        expect(read(...headers)).toMatchObject({ timeoutMs: readTimeoutMs(headers), attempt: readAttempt(headers) });
        expect(read(...headers.map((each, i) => (i % 2 === 0 ? each.toUpperCase() : each)))).toEqual(read(...headers));
      }),
    );
  });
});
