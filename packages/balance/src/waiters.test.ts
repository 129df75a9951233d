// Catches: a queue without a bound, calls that wait for a source which never answers, ones sent away although there is
// something to serve them with, and timers, watchers or places in the queue that outlive the call.
import { createEndpoint, errorCode, type Resolver, type ResolverUpdate, Scope } from '@fairlead/core';
import { checkLeaks, VirtualClock } from '@fairlead/testing';
import { describe, expect, it } from 'vitest';
import { Cluster, type ClusterOptions } from './cluster.js';

function make(options: Partial<ClusterOptions> = {}) {
  const clock = new VirtualClock();
  let tell: (update: ResolverUpdate) => void = () => {};
  const watches: Scope[] = [];
  const resolver: Resolver = {
    name: 'told://',
    watch(given, scope) {
      tell = given;
      watches.push(scope);
    },
  };
  const cluster = new Cluster({ service: 'payments', resolver, runtime: { clock }, idleMs: false, ...options });
  const scopes: Scope[] = [];
  const wait = (): Promise<string> => {
    const scope = new Scope(clock);
    scopes.push(scope);
    return cluster.waitReady(scope).then(
      () => 'ready',
      (error: Error) => (errorCode(error) === 'ERR_NO_ENDPOINT' ? error.message : String(errorCode(error))),
    );
  };
  const endpoints = [createEndpoint('http://a')];
  return { clock, cluster, scopes, wait, watches, endpoints, tell: (update: ResolverUpdate) => tell(update) };
}

const silent = (ms: number): string => `payments: no endpoint, discovery has not answered yet (for ${ms} ms)`;

describe('calls that wait for discovery', () => {
  it('are refused beyond the bound, and those that wait keep their places', async () => {
    const { clock, cluster, scopes, wait, tell, endpoints } = make({ maxWaiting: 2 });
    const waits = [wait(), wait(), wait()];
    expect(await waits[2]).toBe('payments: no endpoint, discovery has not answered yet (2 calls wait for it already)');
    expect(cluster.waiting).toBe(2);
    scopes[0]?.cancel();
    expect(await waits[0]).toBe('ERR_CANCELED');
    const next = wait();
    expect(cluster.waiting).toBe(2);
    tell({ endpoints });
    expect(await Promise.all([waits[1], next])).toEqual(['ready', 'ready']);
    checkLeaks({ clock, scopes });
  });

  it('wait a thousand at a time by default, and none with a bound of 0', async () => {
    const { wait, cluster } = make();
    for (let i = 0; i < 1_000; i++) void wait();
    expect(await wait()).toContain('1000 calls wait');
    expect(cluster.waiting).toBe(1_000);
    expect(await make({ maxWaiting: 0 }).wait()).toContain('0 calls wait');
  });

  it('are refused together once discovery has been silent for long enough, and then at once, until it answers', async () => {
    const { clock, scopes, wait, tell, endpoints } = make({ readyTimeoutMs: 3_000 });
    const early = wait();
    await clock.advance(2_000);
    const late = wait();
    expect(await clock.run(Promise.all([early, late]))).toEqual([silent(3_000), silent(3_000)]);
    expect(clock.now()).toBe(3_000);
    await clock.advance(500);
    expect(await wait()).toBe(silent(3_500));
    checkLeaks({ clock, scopes });
    tell({ endpoints });
    expect(await wait()).toBe('ready');
  });

  it('are refused after five seconds by default, and never with false', async () => {
    const { clock, wait } = make();
    expect(await clock.run(wait())).toBe(silent(5_000));
    const patient = make({ readyTimeoutMs: false });
    const waiting = patient.wait();
    expect(patient.clock.pending).toBe(0);
    await patient.clock.advance(3_600_000);
    patient.tell({ endpoints: [] });
    expect(await waiting).toBe('ready');
  });

  it('have all their time again after discovery was given up for want of calls', async () => {
    const { clock, wait, watches } = make({ idleMs: 10_000 });
    expect(await clock.run(wait())).toBe(silent(5_000));
    await clock.advance(60_000);
    const again = wait();
    expect(watches).toHaveLength(2);
    expect(await clock.run(again)).toBe(silent(5_000));
  });

  it('leave with their own deadline, which an empty queue does not outlive', async () => {
    const { clock, cluster, scopes } = make();
    const scope = new Scope(clock);
    scope.expireAt(100, 'attempt', 100);
    scopes.push(scope);
    await expect(clock.run(cluster.waitReady(scope))).rejects.toMatchObject({ code: 'ERR_TIMEOUT' });
    await expect(cluster.waitReady(scope)).rejects.toMatchObject({ code: 'ERR_TIMEOUT' });
    expect([clock.now(), cluster.waiting]).toEqual([100, 0]);
    checkLeaks({ clock, scopes });
  });

  it('ten thousand of them have one timer, and leave nothing when they are canceled at once', async () => {
    const { clock, cluster, scopes, wait } = make({ maxWaiting: 10_000 });
    const waits = Array.from({ length: 10_000 }, wait);
    expect([cluster.waiting, clock.pending]).toEqual([10_000, 1]);
    for (const scope of scopes) scope.cancel();
    expect(new Set(await Promise.all(waits))).toEqual(new Set(['ERR_CANCELED']));
    expect(cluster.waiting).toBe(0);
    checkLeaks({ clock, scopes });
  });

  it('go on with what was known, after an idle time, where one more would be too many', async () => {
    const { clock, cluster, wait, tell, endpoints } = make({ idleMs: 1_000, maxWaiting: 1, readyTimeoutMs: 1 });
    cluster.start();
    tell({ endpoints });
    await clock.advance(5_000);
    expect(cluster.watching).toBe(false);
    const waits = [wait(), wait()];
    expect(await waits[1]).toBe('ready');
    expect([cluster.waking, cluster.waiting]).toEqual([true, 1]);
    // A second, however short the time is before the first answer.
    expect(await clock.run(waits[0] as Promise<string>)).toBe('ready');
    expect(clock.now()).toBe(6_000);
  });

  it.each([
    [{ maxWaiting: -1 }, /maxWaiting = -1/],
    [{ maxWaiting: 1.5 }, /maxWaiting = 1\.5/],
    [{ readyTimeoutMs: 0 }, /readyTimeoutMs = 0/],
    [{ readyTimeoutMs: true as never }, /readyTimeoutMs = true/],
    [{ zone: '' }, /zone = ""/],
  ])('say what is wrong with %j', (options, message) => {
    expect(() => make(options)).toThrow(message);
  });
});
