/**
 * Would catch: a watch for each listener instead of one for a Service; a listener that hears nothing because it came late,
 * or goes on hearing after it left; a watch that goes on for nobody; two clocks in one watch.
 */
import { type Call, createEndpoint, type ResolverUpdate, Scope } from '@fairlead/core';
import { checkLeaks, refuse, reply, type Step, scripted, VirtualClock } from '@fairlead/testing';
import { describe, expect, it } from 'vitest';
import { type Access, type KubernetesApi, kubernetesApi } from './index.js';

const access: Access = { server: createEndpoint('https://api'), ca: null, namespace: 'prod', token: () => null };
const line = (type: string, object: object): string => `${JSON.stringify({ type, object })}\n`;
const mark = { metadata: { resourceVersion: '5', annotations: { 'k8s.io/initial-events-end': 'true' } } };
const slice = (version: number, ...hosts: number[]): object => ({
  metadata: { name: 'a', resourceVersion: `${version}` },
  addressType: 'IPv4',
  endpoints: hosts.map((host) => ({ addresses: [`10.0.0.${host}`] })),
  ports: [
    { name: 'http', port: 80 },
    { name: 'admin', port: 81 },
  ],
});
/** One endpoint at once, and a second after 10 s. */
const answer = (): Step =>
  reply(200, {
    body: [line('ADDED', slice(1, 1)) + line('BOOKMARK', mark), line('MODIFIED', slice(9, 1, 2))],
    betweenMs: 10_000,
    stallAfter: 2,
  });

function world(step: (call: Call, n: number) => Step = answer) {
  const clock = new VirtualClock();
  const backend = scripted(step);
  const api = kubernetesApi({ access, handler: backend });
  return { clock, backend, api };
}

function listen(api: KubernetesApi, clock: VirtualClock, service = 's', port: string | null = 'http') {
  const scope = new Scope(clock);
  const told: string[] = [];
  const resolver = api.resolver({ service, namespace: null, port });
  const tell = (update: ResolverUpdate): void => {
    told.push(
      'error' in update ? update.error.message : update.endpoints.map(({ origin }) => origin.slice(14)).join(' '),
    );
  };
  resolver.watch(tell, scope, { clock });
  return { scope, told };
}

describe('one Service', () => {
  it('is watched once however many listen, each of whom hears everything, whenever it came', async () => {
    const { clock, backend, api } = world();
    const first = listen(api, clock);
    const second = listen(api, clock);
    await clock.advance(10_000);
    const third = listen(api, clock);
    expect([first.told, second.told, third.told]).toEqual([['1'], ['1'], ['1']]);
    await clock.advance(10_000);
    expect([first.told, second.told, third.told].map((told) => told.at(-1))).toEqual(['1 2', '1 2', '1 2']);
    expect([backend.calls.length, api.watched]).toEqual([1, ['prod/s']]);
  });

  it('is watched until the last has left', async () => {
    const { clock, backend, api } = world();
    const [first, second] = [listen(api, clock), listen(api, clock)];
    await clock.advance(10_000);
    first.scope.cancel();
    await clock.advance(10_000);
    expect([first.told, second.told]).toEqual([['1'], ['1', '1 2']]);
    second.scope.cancel();
    expect(api.watched).toEqual([]);
    await clock.advance(0);
    checkLeaks({ clock, backend, scopes: [first.scope, second.scope] });
    // Who comes after that begins anew.
    const third = listen(api, clock);
    await clock.advance(10_000);
    expect([third.told, backend.calls.length]).toEqual([['1'], 2]);
  });

  it('is asked for everything once more when somebody wants another of its ports', async () => {
    const { clock, backend, api } = world();
    const first = listen(api, clock);
    await clock.advance(15_000);
    const second = listen(api, clock, 's', 'admin');
    expect(second.told).toEqual([]);
    await clock.advance(10_000);
    expect([first.told, second.told]).toEqual([['1', '1'], ['1:81']]);
    await clock.advance(10_000);
    expect([first.told.at(-1), second.told.at(-1)]).toEqual(['1 2', '1:81 2:81']);
    expect([backend.calls.length, backend.open]).toEqual([2, 1]);
  });

  it('begins anew also if the other port is asked for in the midst of a read', async () => {
    const all = [line('ADDED', slice(1, 1)) + line('BOOKMARK', mark) + line('MODIFIED', slice(9, 1, 2))];
    const half = [line('ADDED', slice(9, 1)), line('BOOKMARK', mark)];
    const { clock, api } = world((_, n) => reply(200, { body: n === 1 ? all : half, betweenMs: 1_000, stallAfter: 2 }));
    const scope = new Scope(clock);
    let other: ReturnType<typeof listen> | null = null;
    const tell = (): void => void (other ??= listen(api, clock, 's', 'admin'));
    api.resolver({ service: 's', namespace: null, port: 'http' }).watch(tell, scope, { clock });
    await clock.advance(2_500);
    expect((other as ReturnType<typeof listen> | null)?.told).toEqual([]);
    await clock.advance(1_000);
    expect((other as ReturnType<typeof listen> | null)?.told).toEqual(['1:81']);
  });

  it('is asked for everything once more when somebody doubts it, at a moment of its own, and once', async () => {
    const moments: number[] = [];
    for (let seed = 1; seed <= 12; seed++) {
      const clock = new VirtualClock({ seed });
      const asked: number[] = [];
      const backend = scripted((call) => {
        asked.push(clock.now());
        // From a version on, nothing; without one, everything there is.
        const from = call.path.includes('&resourceVersion=');
        return reply(200, { body: from ? [] : [line('ADDED', slice(1, 1)) + line('BOOKMARK', mark)], stallAfter: 1 });
      });
      const api = kubernetesApi({ access, handler: backend });
      const resolver = api.resolver({ service: 's', namespace: null, port: 'http' });
      resolver.refresh?.();
      const { scope, told } = listen(api, clock);
      // Not while it is being asked anyway.
      resolver.refresh?.();
      await clock.advance(10_000);
      expect([asked, clock.pendingForeground]).toEqual([[0], 0]);
      for (let n = 0; n < 3; n++) resolver.refresh?.();
      api.resolver({ service: 'other', namespace: null, port: 'http' }).refresh?.();
      await clock.advance(75_000);
      expect(asked).toHaveLength(2);
      moments.push(asked[1] as number);
      expect(told).toEqual(['1', '1']);
      scope.cancel();
      resolver.refresh?.();
      await clock.advance(0);
      checkLeaks({ clock, backend, scopes: [scope] });
    }
    expect(Math.max(...moments) - Math.min(...moments)).toBeGreaterThan(30_000);
  });

  it('begins with everything where its watch ends before the doubt is followed', async () => {
    const body = [line('ADDED', slice(1, 1)) + line('BOOKMARK', mark), line('MODIFIED', slice(9, 1))];
    const ended = reply(200, { body, betweenMs: 5_000 });
    const paths: string[] = [];
    const { clock, api } = world((call, n) => {
      paths.push(call.path);
      return n === 1 ? ended : answer();
    });
    const { scope } = listen(api, clock);
    await clock.advance(6_000);
    api.resolver({ service: 's', namespace: null, port: 'http' }).refresh?.();
    await clock.advance(100_000);
    expect(paths.length).toBeGreaterThan(1);
    for (const path of paths.slice(0, 2)) expect(path).toContain('sendInitialEvents=true');
    scope.cancel();
  });

  it('is not asked out of turn while it is in trouble', async () => {
    const { clock, backend, api } = world(() => refuse());
    const { scope } = listen(api, clock);
    await clock.advance(20_000);
    const before = backend.calls.length;
    const resolver = api.resolver({ service: 's', namespace: null, port: 'http' });
    for (let n = 0; n < 50; n++) resolver.refresh?.();
    await clock.advance(0);
    expect(backend.calls.length).toBe(before);
    scope.cancel();
  });

  it('tells the same function twice that asked twice, until each has left', async () => {
    const { clock, api } = world();
    const scopes = [new Scope(clock), new Scope(clock)];
    const resolver = api.resolver({ service: 's', namespace: null, port: 'http' });
    let told = 0;
    const tell = (): void => void told++;
    for (const scope of scopes) resolver.watch(tell, scope, { clock });
    await clock.advance(10_000);
    expect(told).toBe(2);
    scopes[0]?.cancel();
    await clock.advance(10_000);
    expect(told).toBe(3);
    scopes[1]?.cancel();
  });

  it('that is in trouble tells so to whoever comes, after what it knows', async () => {
    const { clock, api } = world((_, n) =>
      n === 1 ? reply(200, { body: [line('ADDED', slice(1, 1)) + line('BOOKMARK', mark), 'x\n'] }) : refuse(),
    );
    listen(api, clock);
    await clock.advance(60_000);
    const late = listen(api, clock);
    expect(late.told).toEqual(['1', expect.stringContaining('ECONNREFUSED')]);
  });

  it('can be left by what it tells, by one and by all', async () => {
    const { clock, backend, api } = world();
    const scope = new Scope(clock);
    const resolver = api.resolver({ service: 's', namespace: null, port: 'nonesuch' });
    let told = 0;
    const leave = (): void => {
      told++;
      scope.cancel();
    };
    resolver.watch(leave, scope, { clock });
    const other = listen(api, clock);
    await clock.advance(60_000);
    expect(told).toBe(1);
    expect(other.told.at(-1)).toBe('1 2');
    other.scope.cancel();
    await clock.advance(0);
    checkLeaks({ clock, backend, scopes: [scope, other.scope] });
  });
});

it('different Services, and different clocks, have nothing to do with each other', async () => {
  const { clock, backend, api } = world();
  const other = new VirtualClock();
  const scopes = [listen(api, clock, 'a'), listen(api, clock, 'b'), listen(api, other, 'a')].map(({ scope }) => scope);
  await clock.advance(0);
  await other.advance(0);
  expect([backend.calls.length, api.watched]).toEqual([3, ['prod/a', 'prod/b', 'prod/a']]);
  for (const scope of scopes) scope.cancel();
  expect(api.watched).toEqual([]);
});
