// Catches: a source that is not asked although everything it told is gone, one that is asked again and again for nothing,
// and a fleet that asks as one.
import { createEndpoint, type Endpoint, type Resolver, type ResolverUpdate, TransportError } from '@fairlead/core';
import { callTo, reply, scripted, VirtualClock } from '@fairlead/testing';
import { describe, expect, it } from 'vitest';
import { balance } from './balance.js';
import { Cluster } from './cluster.js';

const at = (n: number): Endpoint => createEndpoint(`http://10.0.0.${n}:80`);

function make(count: number, seed = 1) {
  const clock = new VirtualClock({ seed });
  const runtime = { clock };
  let tell: (update: ResolverUpdate) => void = () => {};
  const asked: number[] = [];
  const resolver: Resolver = {
    name: 'told://',
    watch: (given) => void (tell = given),
    refresh: () => void asked.push(clock.now()),
  };
  const cluster = new Cluster({ service: 'payments', resolver, runtime, idleMs: false });
  const layer = balance({ cluster });
  const backend = scripted(reply(200));
  const dead = new Set<string>();
  const show = (...endpoints: Endpoint[]): void => tell({ endpoints });
  cluster.start();
  show(...Array.from({ length: count }, (_, i) => at(i + 1)));
  /** So many calls, each of which ends before the next. */
  const calls = async (times: number): Promise<void> => {
    for (let i = 0; i < times; i++) {
      const sent = layer(callTo('payments', { runtime }), (call) => {
        if (!dead.has(call.endpoint?.origin ?? '')) return backend(call);
        return Promise.reject(new TransportError({ phase: 'connect', sent: 'no' }));
      });
      await sent.then(
        (answer) => answer.body.cancel(),
        () => {},
      );
    }
  };
  const kill = (...ns: number[]): void => {
    for (const n of ns) dead.add(at(n).origin);
  };
  return { clock, cluster, asked, calls, show, kill, dead };
}

describe('doubt in what discovery told', () => {
  it('asks it again within a second when most endpoints refuse connections', async () => {
    const { clock, asked, calls, kill } = make(4);
    kill(1, 2, 3);
    await calls(40);
    expect(asked).toEqual([]);
    await clock.advance(1_000);
    expect(asked).toHaveLength(1);
    expect(clock.pending).toBe(0);
  });

  it('does not with half of them, nor with errors of another kind', async () => {
    const { clock, asked, calls, kill } = make(4);
    kill(1, 2);
    await calls(40);
    await clock.advance(2_000);
    expect(asked).toEqual([]);
  });

  it('asks at a moment of its own in each process', async () => {
    const moments = new Set<number>();
    for (let seed = 1; seed <= 20; seed++) {
      const { clock, asked, calls, kill } = make(1, seed);
      kill(1);
      await calls(1);
      await clock.advance(1_000);
      moments.add(asked[0] as number);
    }
    expect(moments.size).toBe(20);
    expect(Math.max(...moments) - Math.min(...moments)).toBeGreaterThan(500);
  });

  it('asks less and less often while that is of no use, and soon again once somebody answered', async () => {
    const { clock, asked, calls, kill, dead } = make(2);
    kill(1, 2);
    for (let second = 0; second < 700; second++) {
      await calls(2);
      await clock.advance(1_000);
    }
    const gaps = asked.slice(1).map((ms, i) => Math.round((ms - (asked[i] as number)) / 1_000));
    expect(asked.length).toBeLessThanOrEqual(8);
    gaps.forEach((gap, i) => {
      const pause = Math.min(10 * 2 ** i, 300);
      expect(gap).toBeGreaterThanOrEqual(pause);
      expect(gap).toBeLessThanOrEqual(pause + 3);
    });
    dead.clear();
    await clock.advance(600_000);
    await calls(10);
    kill(1, 2);
    const before = asked.length;
    for (let second = 0; second < 20; second++) {
      await calls(4);
      await clock.advance(1_000);
    }
    expect(asked.length - before).toBe(2);
  });

  it('takes its question back when discovery tells of somebody new, and forgets who has left', async () => {
    const { clock, asked, calls, kill, show } = make(2);
    kill(1, 2);
    await calls(4);
    expect(clock.pending).toBe(1);
    show(at(2), at(3), at(4));
    expect(clock.pending).toBe(0);
    kill(3);
    await calls(20);
    await clock.advance(1_000);
    // Two of three now.
    expect(asked).toHaveLength(1);
    show(at(4));
    kill(4);
    await clock.advance(60_000);
    await calls(1);
    await clock.advance(1_000);
    expect(asked).toHaveLength(2);
  });

  it('counts nobody who has left, or has moved', async () => {
    const { clock, asked, calls, kill, show } = make(2);
    kill(1, 2);
    await calls(4);
    show(at(3), at(4), at(5));
    kill(3);
    await calls(20);
    await clock.advance(60_000);
    expect(asked).toEqual([]);
    const moved = (n: number): Endpoint => createEndpoint(at(n).origin, { id: 'pod' });
    show(moved(3));
    await calls(1);
    show(moved(4), at(5));
    await clock.advance(60_000);
    kill(5);
    await calls(20);
    await clock.advance(60_000);
    // One of two; the pod answers at its new place.
    expect(asked).toEqual([]);
  });

  it('asks nobody who cannot be asked, and leaves no timer when the cluster is closed', async () => {
    const { clock, cluster, asked, calls, kill } = make(1);
    kill(1);
    await calls(1);
    cluster.close();
    expect(clock.pending).toBe(0);
    expect(asked).toEqual([]);
  });
});
