// Catches: a source that is back without anybody hearing of it, one that is said to be back while it fails still, and a
// freshness that says more than is known.
import { createEndpoint, type FairleadEvent, type Resolver, type ResolverUpdate } from '@fairlead/core';
import { VirtualClock } from '@fairlead/testing';
import { describe, expect, it } from 'vitest';
import { Cluster } from './cluster.js';

const endpoints = [createEndpoint('http://a')];

function make(idleMs: number | false = false) {
  const clock = new VirtualClock();
  const events: FairleadEvent[] = [];
  let tell: (update: ResolverUpdate) => void = () => {};
  const resolver: Resolver = { name: 'told://', watch: (given) => void (tell = given) };
  const runtime = { clock, on: (event: FairleadEvent) => void events.push(event) };
  const cluster = new Cluster({ service: 'payments', resolver, runtime, idleMs });
  cluster.start();
  const news = (): unknown[] =>
    events.flatMap((event): unknown[] => {
      if (event.type === 'resolver.failed') return ['failed'];
      return event.type === 'resolver.recovered' ? [event.afterMs] : [];
    });
  const fail = (): void => tell({ error: new Error('SERVFAIL') });
  return { clock, cluster, events, news, fail, tell: (update: ResolverUpdate) => tell(update) };
}

describe('a source', () => {
  it('that fails and answers again is said to be back, once, and how long it was away', async () => {
    const { clock, events, news, fail, tell } = make();
    tell({ endpoints });
    await clock.advance(1_000);
    fail();
    await clock.advance(2_000);
    fail();
    await clock.advance(3_000);
    tell({ endpoints });
    tell({ endpoints });
    await clock.advance(0);
    expect(news()).toEqual(['failed', 'failed', 5_000]);
    expect(events.at(-1)).toEqual({
      type: 'resolver.recovered',
      service: 'payments',
      resolver: 'told://',
      afterMs: 5_000,
    });
    tell({ endpoints });
    await clock.advance(0);
    expect(news()).toHaveLength(3);
  });

  it('that was well is not said to be back', async () => {
    const { clock, news, tell } = make();
    tell({ endpoints });
    tell({ endpoints: [] });
    await clock.advance(0);
    expect(news()).toEqual([]);
  });

  it('that answers and says in the same breath what is wrong is not back', async () => {
    const { clock, cluster, news, fail, tell } = make();
    fail();
    await clock.advance(100);
    tell({ endpoints });
    fail();
    await clock.advance(100);
    expect([news(), cluster.freshness]).toEqual([['failed', 'failed'], 'stale']);
    tell({ endpoints });
    await clock.advance(0);
    expect([news().at(-1), cluster.freshness]).toEqual([200, 'fresh']);
  });

  it('that was silent while memory had to do is back when it answers; memory is no answer', async () => {
    const { clock, cluster, news, fail, tell } = make();
    tell({ endpoints, ageMs: 60_000 });
    await clock.advance(10);
    fail();
    tell({ endpoints, ageMs: 60_000 });
    await clock.advance(10);
    expect([news(), cluster.freshness]).toEqual([['failed'], 'remembered']);
    tell({ endpoints });
    await clock.advance(0);
    expect(news()).toEqual(['failed', 20]);
  });
});

describe('freshness', () => {
  it('goes from pending to failed, fresh, stale, and idle', async () => {
    const { clock, cluster, fail, tell } = make(1_000);
    const seen: string[] = [cluster.freshness];
    fail();
    seen.push(cluster.freshness);
    tell({ endpoints });
    seen.push(cluster.freshness);
    fail();
    seen.push(cluster.freshness);
    tell({ endpoints: [] });
    seen.push(cluster.freshness);
    await clock.advance(2_000);
    seen.push(cluster.freshness);
    expect(seen).toEqual(['pending', 'failed', 'fresh', 'stale', 'fresh', 'idle']);
  });
});
