// Catches: calls that go on to endpoints where nobody listens because too many are out already; the last one that is
// well ejected, or a service overloaded because who is back is left out; ejection for 5xx that forgets its limit.
import { compose, createEndpoint, type FairleadEvent } from '@fairlead/core';
import { callTo, refuse, reply, type Step, scripted, VirtualClock } from '@fairlead/testing';
import { describe, expect, it } from 'vitest';
import { balance } from './balance.js';
import { Cluster } from './cluster.js';
import { fixed } from './resolvers/fixed.js';

type State = 'well' | 'dead' | 'broken';
const steps: Readonly<Record<State, Step>> = { well: reply(), dead: refuse(), broken: reply(500) };

/** Endpoints in those states, which may be changed, and calls to them. */
function make(states: State[], priorities: readonly number[] = [], zones: readonly string[] = []) {
  const clock = new VirtualClock({ seed: 3 });
  const events: FairleadEvent[] = [];
  const runtime = { clock, on: (event: FairleadEvent) => events.push(event) };
  const endpoints = states.map((_, i) =>
    createEndpoint(`http://10.0.0.${i}:80`, { id: `e${i}`, priority: priorities[i] ?? 0, zone: zones[i] ?? null }),
  );
  const cluster = new Cluster({ service: 'payments', resolver: fixed(endpoints), runtime, idleMs: false, zone: 'a' });
  const index = (id = ''): number => Number(id.slice(1));
  const backend = scripted((call) => steps[states[index(call.endpoint?.id)] as State]);
  const handler = compose([balance({ cluster })], backend);
  /** How many of `times` calls, 10 ms apart, went to each. */
  const send = async (times: number): Promise<number[]> => {
    const counts = states.map(() => 0);
    for (let i = 0; i < times; i++) {
      const from = backend.calls.length;
      await clock.run(
        handler(callTo('payments', { runtime })).then(
          (got) => got.body.cancel(),
          () => {},
        ),
      );
      for (const { endpoint } of backend.calls.slice(from)) (counts[index(endpoint?.id)] as number)++;
      await clock.advance(10);
    }
    return counts;
  };
  const health = (): string[] => cluster.members.map((node) => node.health.state);
  return { states, clock, cluster, send, health, events };
}

describe('where nobody listens', () => {
  it('no calls go, if two of three are dead: the third gets them', async () => {
    const { send, health } = make(['dead', 'dead', 'well']);
    await send(20);
    expect(health()).toEqual(['ejected', 'ejected', 'healthy']);
    expect(await send(100)).toEqual([0, 0, 100]);
  });

  it('a dead one takes no place of one that is broken, whichever comes first', async () => {
    const first = make(['dead', 'well', 'well']);
    await first.send(20);
    first.states[1] = 'broken';
    await first.send(40);
    const second = make(['well', 'broken', 'well']);
    await second.send(40);
    second.states[0] = 'dead';
    await second.send(20);
    for (const { health, send } of [first, second]) {
      expect(health()).toEqual(['ejected', 'ejected', 'healthy']);
      expect((await send(100))[2]).toBe(100);
    }
  });

  it('of those that answer no more than the limit are ejected, also beside dead ones', async () => {
    const { send, health } = make(['dead', 'broken', 'broken', 'broken', 'broken']);
    await send(200);
    expect(health().filter((state) => state === 'ejected')).toHaveLength(3);
    const all = make(['broken', 'broken', 'broken']);
    await all.send(100);
    expect(all.health().filter((state) => state === 'ejected')).toHaveLength(1);
  });

  it('is asked every few seconds while too many are out, however long that has been so', async () => {
    const { send, states, clock, cluster, health } = make(['dead', 'dead', 'well']);
    for (let minute = 0; minute < 10; minute++) {
      await send(100);
      await clock.advance(60_000);
    }
    await send(10);
    for (const node of cluster.members) expect(node.health.until - clock.now()).toBeLessThanOrEqual(5_000);
    states.fill('well');
    await clock.advance(5_000);
    await send(10);
    expect(health()).toEqual(['healthy', 'healthy', 'healthy']);
  });

  it('is asked ever more seldom while no more are out than may be', async () => {
    const { send, clock, cluster } = make(['dead', 'well', 'well']);
    for (let minute = 0; minute < 10; minute++) {
      await send(100);
      await clock.advance(60_000);
    }
    await send(10);
    expect((cluster.members[0]?.health.until ?? 0) - clock.now()).toBeGreaterThan(60_000);
  });

  it('is asked ever more seldom where somebody of a later priority stands in', async () => {
    const { send, clock, cluster } = make(['dead', 'dead', 'dead', 'well'], [0, 0, 0, 1]);
    for (let minute = 0; minute < 10; minute++) {
      await send(100);
      await clock.advance(60_000);
    }
    await send(10);
    expect((cluster.members[0]?.health.until ?? 0) - clock.now()).toBeGreaterThan(5_000);
  });
});

describe('where nobody listens at all', () => {
  it('everybody is tried, and all are back within as many calls when one is', async () => {
    const { send, states, health } = make(['dead', 'dead', 'dead', 'dead', 'dead', 'dead']);
    const counts = await send(300);
    for (const count of counts) expect(count).toBeGreaterThan(20);
    states.fill('well');
    await send(8);
    expect(health()).toEqual(Array(6).fill('healthy'));
  });

  it('whoever is back first is found by the next few calls, also after an hour, and alone gets them', async () => {
    const { send, states, clock } = make(['dead', 'well']);
    for (let i = 0; i < 60; i++) {
      await send(10);
      await clock.advance(60_000);
    }
    states[1] = 'dead';
    await send(20);
    states[0] = 'well';
    await send(10);
    expect(await send(100)).toEqual([100, 0]);
  });

  it('other zones are tried as well', async () => {
    const { send, states } = make(['dead', 'dead', 'dead', 'dead'], [], ['a', 'a', 'b', 'b']);
    await send(50);
    states[3] = 'well';
    await send(10);
    expect((await send(20))[3]).toBeGreaterThan(15);
  });

  it('tells of each that is ejected once, not of each call', async () => {
    const { send, events } = make(['dead', 'dead', 'dead']);
    await send(100);
    expect(events.filter(({ type }) => type === 'endpoint.ejected')).toHaveLength(2);
  });
});
