// Catches: an answer that is lost or kept from the wrong resolver, errors that fail calls although somebody is known,
// endpoints of two clusters that hide one another, and calls that go far away without need or do not come back.
import { type Call, createEndpoint, type Picker, type Resolver, type ResolverUpdate, Scope } from '@fairlead/core';
import {
  callTo,
  checkLeaks,
  recordEvents,
  refuse,
  reply,
  resolverConformance,
  scripted,
  VirtualClock,
} from '@fairlead/testing';
import { describe, expect, it } from 'vitest';
import { PushedSource } from '../../../test/pushed-source.js';
import { balance } from '../../balance.js';
import { Cluster } from '../../cluster.js';
import { fixed } from '../fixed.js';
import { failover, failoverDefaults } from './failover.js';
import { firstOf } from './first-of.js';

const [a, b, c, d] = ['http://10.0.0.1:8080', 'http://10.0.0.2:8080', 'http://10.1.0.1:8080', 'http://10.1.0.2:8080'];

function watch(resolver: Resolver) {
  const clock = new VirtualClock();
  const scope = new Scope(clock);
  const told: ResolverUpdate[] = [];
  resolver.watch((update) => told.push(update), scope, { clock });
  /** The updates since it was asked last: endpoints as `origin/priority`, errors by their message. */
  const news = (): (string | string[])[] =>
    told
      .splice(0)
      .map((update) =>
        'error' in update
          ? update.error.message
          : update.endpoints.map(({ origin, priority }) => (priority === 0 ? origin : `${origin}/${priority}`)),
      );
  return { clock, scope, told, news };
}

const throws: Resolver = {
  name: 'throws',
  watch() {
    throw new RangeError('mine');
  },
};

describe('firstOf', () => {
  it('tells what the first tells that answers, and lets go of those after it', () => {
    const [one, two, three] = [new PushedSource(), new PushedSource(), new PushedSource()];
    const { news, scope, clock } = watch(firstOf(one.resolver, two.resolver, three.resolver));
    two.show([b]);
    expect(news()).toEqual([[b]]);
    expect([one.held(), two.held(), three.held()]).toEqual([1, 1, 0]);
    two.show([b, c]);
    three.show([d]);
    expect(news()).toEqual([[b, c]]);
    one.show([a]);
    expect(news()).toEqual([[a]]);
    expect([one.held(), two.held()]).toEqual([1, 0]);
    two.show([d]);
    one.show([]);
    expect(news()).toEqual([[]]);
    scope.cancel();
    expect(one.held()).toBe(0);
    checkLeaks({ clock, scopes: [scope] });
  });

  it('does not even ask the next if the first answers at once', () => {
    const two = new PushedSource();
    const { news } = watch(firstOf(fixed([a]), two.resolver));
    expect([news(), two.watched]).toEqual([[[a]], 0]);
  });

  it('takes nobody for an answer', () => {
    const [one, two] = [new PushedSource(), new PushedSource()];
    const { news } = watch(firstOf(one.resolver, two.resolver));
    one.show([]);
    two.show([b]);
    expect(news()).toEqual([[]]);
  });

  it('tells errors once all have failed, and those of the ones before the answer', () => {
    const [one, two] = [new PushedSource(), new PushedSource()];
    const { news, told } = watch(firstOf(one.resolver, two.resolver));
    one.fail('first');
    expect(told).toEqual([]);
    two.fail('second');
    expect((told[0] as { error: AggregateError }).error.errors).toHaveLength(2);
    expect(news()).toEqual(['first; second']);
    two.show([b]);
    one.fail('still');
    two.fail('gone');
    expect(news()).toEqual([[b], 'still', 'gone']);
    one.show([a]);
    one.fail('again');
    expect(news()).toEqual([[a], 'again']);
  });

  it('is not stopped by a resolver that throws', () => {
    const { news } = watch(firstOf(throws, fixed([a])));
    expect(news()).toEqual([[a]]);
    expect(watch(firstOf(throws)).news()).toEqual(['mine']);
  });

  it('is named after all of them, and wants resolvers', () => {
    expect(firstOf(fixed([a]), fixed([b])).name).toBe(`first of ${a}, ${b}`);
    expect(() => firstOf()).toThrow('at least one resolver');
    expect(() => firstOf(fixed([a]), {} as never, null as never)).toThrow(/firstOf\[1\][\s\S]*firstOf\[2\]/);
  });

  for (const [what, beside, cannot] of [
    // An error of one is none of all as long as the other may answer.
    [
      'before one that is silent',
      (source: Resolver, other: PushedSource) => [source, other.resolver],
      ['fail', 'garble'],
    ],
    [
      'after one that is silent',
      (source: Resolver, other: PushedSource) => [other.resolver, source],
      ['fail', 'garble'],
    ],
    ['before one that fails', (source: Resolver, other: PushedSource) => [source, failing(other)], []],
    ['after one that fails', (source: Resolver, other: PushedSource) => [failing(other), source], []],
  ] as const) {
    const source = () => {
      const [pushed, other] = [new PushedSource(), new PushedSource()];
      return {
        resolver: firstOf(...beside(pushed.resolver, other)),
        show: (origins: readonly string[]) => pushed.show(origins),
        fail: () => pushed.fail(),
        garble: () => pushed.garble(),
        hang: () => pushed.hang(),
        held: () => pushed.held() + other.held(),
      };
    };
    for (const { name, run } of resolverConformance({ source, cannot })) it(`${what} ${name}`, run);
  }
});

function failing(source: PushedSource): Resolver {
  source.fail();
  return source.resolver;
}

describe('failover', () => {
  it('puts the endpoints of each behind those of the ones before it', () => {
    const [one, two] = [new PushedSource(), new PushedSource()];
    const { news } = watch(failover([one.resolver, two.resolver]));
    one.endpoints(createEndpoint(a), createEndpoint(b, { priority: 7 }));
    expect(news()).toEqual([[a, `${b}/7`]]);
    two.endpoints(createEndpoint(c), createEndpoint(d, { priority: 7 }));
    expect(news()).toEqual([[a, `${b}/7`, `${c}/65536`, `${d}/65543`]]);
  });

  it('keeps priorities apart however high or low they are', () => {
    const [one, two] = [new PushedSource(), new PushedSource()];
    const { news } = watch(failover([one.resolver, two.resolver]));
    one.endpoints(createEndpoint(a, { priority: 1e9 }));
    two.endpoints(createEndpoint(b, { priority: -5 }));
    expect(news().at(-1)).toEqual([`${a}/65535`, `${b}/65536`]);
  });

  it('waits a moment at the start for those before', async () => {
    const [one, two] = [new PushedSource(), new PushedSource()];
    const { news, clock } = watch(failover([one.resolver, two.resolver]));
    two.show([c]);
    await clock.advance(failoverDefaults.patienceMs - 1);
    expect(news()).toEqual([]);
    await clock.advance(1);
    expect(news()).toEqual([[`${c}/65536`]]);
    one.show([a]);
    expect(news()).toEqual([[a, `${c}/65536`]]);
  });

  it('does not wait for one that has failed, nor longer than it is told to', async () => {
    const [one, two] = [new PushedSource(), new PushedSource()];
    const { news, clock } = watch(failover([one.resolver, two.resolver]));
    two.show([c]);
    one.fail();
    expect(news()).toEqual([[`${c}/65536`], 'down']);
    expect(clock.pending).toBe(0);
    const other = watch(failover([new PushedSource().resolver, fixed([c])], { patienceMs: 0 }));
    await other.clock.advance(0);
    expect(other.news()).toEqual([[`${c}/65536`]]);
  });

  it('keeps what a resolver that fails told last, and goes on saying that it fails', () => {
    const [one, two] = [new PushedSource(), new PushedSource()];
    const { news } = watch(failover([one.resolver, two.resolver]));
    one.show([a]);
    two.show([c]);
    one.fail();
    two.show([d]);
    expect(news().slice(2)).toEqual(['down', [a, `${d}/65536`], 'down']);
    one.show([b]);
    expect(news()).toEqual([[b, `${d}/65536`]]);
  });

  it('says that there is nobody only if all say so; later, also if one does not know', () => {
    const [one, two] = [new PushedSource(), new PushedSource()];
    const { news } = watch(failover([one.resolver, two.resolver]));
    one.show([]);
    expect(news()).toEqual([]);
    two.fail();
    expect(news()).toEqual(['down']);
    one.show([a]);
    one.show([]);
    expect(news()).toEqual([[a], 'down', [], 'down']);
    two.show([]);
    expect(news()).toEqual([[]]);
  });

  it('keeps endpoints apart that two clusters call by the same name', () => {
    const [one, two] = [new PushedSource(), new PushedSource()];
    const { told } = watch(failover([one.resolver, two.resolver]));
    one.endpoints(createEndpoint(a, { id: 'pod-0' }));
    two.endpoints(createEndpoint(c, { id: 'pod-0', zone: 'z', attributes: { x: 1 } }), createEndpoint(d));
    const { endpoints } = told.at(-1) as { endpoints: readonly { id: string; zone: string | null }[] };
    expect(endpoints.map(({ id }) => id)).toEqual(['pod-0', 'pod-0@2', d]);
    expect(endpoints[1]).toMatchObject({ zone: 'z', attributes: { x: 1 }, priority: 65_536 });
  });

  it('is not stopped by a resolver that throws, and wants resolvers', () => {
    expect(watch(failover([throws, fixed([a])])).news()).toEqual([[`${a}/65536`], 'mine']);
    expect(failover([fixed([a]), fixed([b])]).name).toBe(`${a} | ${b}`);
    expect(() => failover([])).toThrow('at least one resolver');
    expect(() => failover([fixed([a])], { patience: 1 } as never)).toThrow('did you mean patienceMs?');
    expect(() => failover([fixed([a])], { patienceMs: -1 })).toThrow('failover.patienceMs');
  });

  for (const [what, beside] of [
    ['before one that has nobody', (source: Resolver, nobody: Resolver) => [source, nobody]],
    ['after one that has nobody', (source: Resolver, nobody: Resolver) => [nobody, source]],
    ['before itself', (source: Resolver) => [source, source]],
  ] as const) {
    const source = () => {
      const [pushed, nobody] = [new PushedSource(), new PushedSource()];
      nobody.show([]);
      const resolver = failover(beside(pushed.resolver, nobody.resolver));
      return {
        resolver,
        show: (origins: readonly string[]) => pushed.show(origins),
        fail: () => pushed.fail(),
        garble: () => pushed.garble(),
        hang: () => pushed.hang(),
        held: () => pushed.held() + nobody.held(),
      };
    };
    // Before itself: the second is told a moment after the first, so not every snapshot is one of the source's.
    const cannot = what === 'before itself' ? (['change'] as const) : [];
    for (const { name, run } of resolverConformance({ source, cannot })) it(`${what} ${name}`, run);
  }

  it('sends calls to the next cluster while the endpoints of the first are ill, and back when they are well', async () => {
    const clock = new VirtualClock();
    const runtime = { clock };
    const events = recordEvents(runtime);
    const [near, far] = [new PushedSource(), new PushedSource()];
    near.show([a, b]);
    far.show([c, d]);
    const cluster = new Cluster({ service: 'payments', resolver: failover([near.resolver, far.resolver]), runtime });
    let ill = false;
    const backend = scripted((call: Call) => (ill && /10\.0\./.test(call.endpoint?.origin ?? '') ? refuse() : reply()));
    const layer = balance({ cluster, picker: { name: 'first', pick: (nodes) => nodes[0] } as Picker });
    const send = async (): Promise<string> => {
      const call = callTo('payments', { runtime });
      const sent = await clock.run(layer(call, backend).catch(() => null));
      sent?.body.cancel();
      return backend.calls.at(-1)?.endpoint?.origin ?? '';
    };
    expect(await send()).toBe(a);
    ill = true;
    for (let i = 0; i < 12; i++) await send();
    expect(events.filter(({ type }) => type === 'endpoint.ejected')).toHaveLength(2);
    expect(await send()).toBe(c);
    ill = false;
    await clock.advance(6_000);
    // One call each tries out whether they are well.
    await send();
    await send();
    expect(await send()).toBe(a);
    near.show([]);
    expect(await send()).toBe(c);
    near.show([b]);
    expect(await send()).toBe(b);
    near.fail();
    expect(await send()).toBe(b);
    cluster.close();
    expect(near.held() + far.held()).toBe(0);
    expect(clock.pending).toBe(0);
  });
});
