/**
 * Would catch: a watch that begins with what there is and is believed before it has said everything; a server that cannot
 * do that and is waited for; a fleet that comes back as one.
 */
import { type Call, createEndpoint, createReply, type ResolverUpdate, Scope } from '@fairlead/core';
import { checkLeaks, hang, refuse, reply, type Script, type Step, scripted, VirtualClock } from '@fairlead/testing';
import { describe, expect, it } from 'vitest';
import { type Access, type KubernetesOptions, kubernetes, kubernetesApi } from '../index.js';

const access: Access = { server: createEndpoint('https://api'), ca: null, namespace: 'prod', token: () => null };
const query = (call: Call): URLSearchParams => new URL(call.path, 'http://api.invalid').searchParams;
const begins = (call: Call): boolean => query(call).has('sendInitialEvents');
const isList = (call: Call): boolean => !query(call).has('watch');

const event = (type: string, object: object): string => `${JSON.stringify({ type, object })}\n`;
const slice = (name: string, version: number, ...hosts: number[]): object => ({
  metadata: { name, resourceVersion: `${version}` },
  addressType: 'IPv4',
  endpoints: hosts.map((host) => ({ addresses: [`10.0.0.${host}`] })),
  ports: [{ name: 'http', port: 80 }],
});
const added = (name: string, version: number, ...hosts: number[]): string =>
  event('ADDED', slice(name, version, ...hosts));
const mark = (version: number): string =>
  event('BOOKMARK', {
    metadata: { resourceVersion: `${version}`, annotations: { 'k8s.io/initial-events-end': 'true' } },
    addressType: '',
    endpoints: null,
    ports: null,
  });
const open = (...lines: string[]): Step => reply(200, { body: lines, stallAfter: lines.length, betweenMs: 100 });
const listed = (version: number, ...items: object[]): Step =>
  reply(200, { body: JSON.stringify({ metadata: { resourceVersion: `${version}` }, items }) });

interface Run {
  readonly clock: VirtualClock;
  readonly calls: readonly Call[];
  readonly told: string[];
  readonly scope: Scope;
  readonly check: () => void;
}

function describeUpdate(update: ResolverUpdate): string {
  if ('error' in update) return update.error.message;
  return update.endpoints.map(({ origin }) => origin.slice('http://10.0.0.'.length)).join(' ');
}

function run(script: Script, options: Partial<KubernetesOptions> = {}): Run {
  const clock = new VirtualClock();
  const scope = new Scope(clock);
  const backend = scripted(script);
  const told: string[] = [];
  kubernetes({ service: 's', access, handler: backend, ...options }).watch(
    (update) => void told.push(describeUpdate(update)),
    scope,
    { clock },
  );
  return { clock, calls: backend.calls, told, scope, check: () => checkLeaks({ clock, backend, scopes: [scope] }) };
}

describe('a watch that begins with what there is', () => {
  it('is the only request; nothing is told before the mark, and every change after it', async () => {
    const { clock, calls, told, scope, check } = run(
      open(added('a', 9, 1), added('b', 3, 2), mark(12), added('c', 13, 3)),
    );
    await clock.advance(250);
    expect(told).toEqual([]);
    await clock.advance(100);
    expect(told).toEqual(['1 2']);
    await clock.advance(100);
    expect(told).toEqual(['1 2', '1 2 3']);
    const { timeoutSeconds, ...rest } = Object.fromEntries(query(calls[0] as Call));
    expect(Number(timeoutSeconds)).toBeGreaterThanOrEqual(240);
    expect(rest).toEqual({
      labelSelector: 'kubernetes.io/service-name=s',
      watch: 'true',
      allowWatchBookmarks: 'true',
      sendInitialEvents: 'true',
      resourceVersionMatch: 'NotOlderThan',
    });
    expect(calls).toHaveLength(1);
    scope.cancel();
    check();
  });

  it('goes on from the mark, and not from the version of an object', async () => {
    const { clock, calls } = run((_, n) =>
      n === 1 ? reply(200, { body: [added('a', 99, 1), mark(12)], betweenMs: 6_000, cutAfter: 2 }) : open(),
    );
    await clock.advance(400_000);
    expect(query(calls[1] as Call).get('resourceVersion')).toBe('12');
  });

  it('knows an empty Service by the mark alone', async () => {
    const { clock, told } = run(open(mark(12)));
    await clock.advance(100);
    expect(told[0]).toBe('');
  });

  it.each([
    ['ends', reply(200, { body: added('b', 3, 2) })],
    ['breaks', reply(200, { body: added('b', 3, 2), cutAfter: 1 })],
    ['says an error', reply(200, { body: [added('b', 3, 2), event('ERROR', { code: 500, message: 'deadline' })] })],
    ['is garbled', reply(200, { body: [added('b', 3, 2), 'x\n'] })],
  ])('that %s before the mark has said nothing', async (_, half) => {
    let n = 0;
    const whole = reply(200, { body: [added('a', 1, 1), mark(5), 'x\n'], betweenMs: 1_000 });
    const { clock, told } = run(() => [whole, half, open(added('c', 9, 3), mark(9))][Math.min(n++, 2)] as Step);
    await clock.advance(20_000);
    expect(told[0]).toBe('1');
    expect(told.slice(1, -1)).not.toContain('2');
    expect(told.slice(1, -1)).not.toContain('');
    expect(told.at(-1)).toBe('3');
  });

  it('forgets a slice that is not among what there is', async () => {
    const { clock, told } = run((_, n) =>
      n === 1
        ? reply(200, { body: [added('a', 1, 1) + added('b', 2, 2) + mark(5), event('ERROR', { code: 410 })] })
        : open(added('b', 2, 2), mark(9)),
    );
    await clock.advance(1_000);
    expect(told).toEqual(['1 2', '2']);
  });
});

describe('a server that cannot', () => {
  const body = '{"kind":"Status","message":"sendInitialEvents is forbidden"}';
  it.each([
    ['says 422', reply(422, { body }), 0],
    ['says 400', reply(400, { body: 'what?' }), 0],
    ['never sets the mark', open(added('a', 3, 1)), 10_100],
  ])('%s is asked for lists from then on, and once more after half an hour', async (_, cannot, afterMs) => {
    const { clock, calls, told } = run((call) => {
      if (begins(call)) return cannot;
      if (isList(call)) return listed(5, slice('a', 3, 1));
      const seconds = Number(query(call).get('timeoutSeconds'));
      return reply(200, { body: '\n', betweenMs: seconds * 1_000 });
    });
    await clock.advance(afterMs);
    expect(told).toEqual(['1']);
    await clock.advance(3_000_000);
    expect(calls.filter(begins)).toHaveLength(2);
    expect(calls.filter(isList)).toHaveLength(2);
    expect(new Set(told)).toEqual(new Set(['1']));
  });

  it('is not one that forbids, is busy, or is not there', async () => {
    const wrong = [reply(403), reply(429), reply(500), refuse(), hang()];
    const { clock, calls } = run((_, n) => wrong[n - 1] ?? open(mark(5)));
    await clock.advance(200_000);
    expect(calls.filter(isList)).toEqual([]);
    expect(calls).toHaveLength(wrong.length + 1);
  });

  it('may be slow, as long as something comes', async () => {
    const lines = Array.from({ length: 9 }, (_, i) => added(`s${i}`, i + 1, i + 1));
    const slow = reply(200, { body: [...lines, mark(20)], betweenMs: 9_000, stallAfter: 10 });
    const patient = run(() => slow, { requestTimeoutMs: 100_000 });
    await patient.clock.advance(90_000);
    expect(patient.told).toEqual(['1 2 3 4 5 6 7 8 9']);
    const hasty = run((call) => (begins(call) ? slow : hang()), { requestTimeoutMs: 30_000 });
    await hasty.clock.advance(30_000);
    expect(hasty.calls.map(isList)).toEqual([false, true]);
  });
});

describe('after a cut', () => {
  /** What `count` processes do against a server that runs, is away, and runs again; times of first requests after that. */
  async function fleet(count: number, downMs: number, services = 1): Promise<number[][]> {
    const clock = new VirtualClock({ seed: 7 });
    const scope = new Scope(clock);
    const cutAt = 90_000;
    const upAt = cutAt + downMs;
    const back: number[][] = [];
    for (let i = 0; i < count; i++) {
      const times: number[] = [];
      back.push(times);
      const handler = scripted((call) => {
        const now = clock.now();
        if (now >= cutAt && now < upAt) return refuse();
        if (now >= upAt) times.push(now);
        const lines = begins(call) ? mark(5) : '\n';
        // Some bytes every 9 s, ten times, and then the cut.
        const beats = [lines, ...Array.from({ length: 9 }, () => '\n')];
        return now < cutAt ? reply(200, { body: beats, betweenMs: 9_000, cutAfter: 10 }) : open(lines);
      });
      const api = kubernetesApi({ access, handler, requestTimeoutMs: 200_000 });
      for (let s = 0; s < services; s++) {
        const tell = (): void => {};
        api.resolver({ service: `s${s}`, namespace: null, port: null }).watch(tell, scope, { clock });
      }
    }
    await clock.advance(cutAt + downMs + 170_000);
    scope.cancel();
    return back;
  }

  it.each([0, 10_000, 60_000, 200_000])(
    'of %i ms no second sees more than its share of the fleet',
    async (downMs) => {
      const back = await fleet(2_000, downMs);
      const seconds = new Map<number, number>();
      for (const [first] of back) {
        expect(first).toBeDefined();
        const second = Math.floor((first as number) / 1_000);
        seconds.set(second, (seconds.get(second) ?? 0) + 1);
      }
      // 2,000 over 75 s are 27 a second, and a second with twice that is a matter of chance in a fleet this small.
      expect(Math.max(...seconds.values())).toBeLessThan(54);
      const times = back.map(([first]) => first as number);
      expect(Math.max(...times) - Math.min(...times)).toBeLessThanOrEqual(77_000);
    },
    30_000,
  );

  it('a process comes back with all of its watches', async () => {
    for (const times of await fleet(20, 10_000, 10)) {
      expect(times).toHaveLength(10);
      expect(Math.max(...times) - Math.min(...times)).toBeLessThanOrEqual(1_000);
    }
  });

  it('waits no longer than it is told to', async () => {
    const cut = (call: Call): Step =>
      reply(200, { body: [begins(call) ? mark(5) : '\n', '\n'], betweenMs: 2_000, cutAfter: 1 });
    const { clock, calls } = run((call) => cut(call), { spreadMs: 1_000 });
    await clock.advance(60_000);
    const gaps = calls.slice(1).map(({ at }, i) => at - (calls[i] as Call).at);
    expect(Math.max(...gaps)).toBeLessThanOrEqual(5_100);
  });
});

describe('what is known', () => {
  it('is told again whenever a watch is resumed, as the very same list', async () => {
    const updates: ResolverUpdate[] = [];
    const clock = new VirtualClock();
    const scope = new Scope(clock);
    const handler = scripted((call) => {
      const seconds = Number(query(call).get('timeoutSeconds'));
      return reply(200, { body: [begins(call) ? added('a', 1, 1) + mark(5) : '\n', '\n'], betweenMs: seconds * 500 });
    });
    kubernetes({ service: 's', access, handler }).watch((update) => void updates.push(update), scope, { clock });
    await clock.advance(1_700_000);
    expect(updates.length).toBeGreaterThan(5);
    for (const update of updates) expect(update).toEqual(updates[0]);
    for (const update of updates.slice(1)) {
      expect((update as { endpoints: unknown }).endpoints).toBe((updates[0] as { endpoints: unknown }).endpoints);
    }
  });

  it('stays the same endpoint for endpoint when everything is told anew', async () => {
    const updates: ResolverUpdate[] = [];
    const clock = new VirtualClock();
    const scope = new Scope(clock);
    const handler = scripted((_, n) => {
      const lines = [added('a', 1, 1, 2) + added('b', n, n + 2) + mark(5), event('ERROR', { code: 410 })];
      return reply(200, { body: lines, betweenMs: 2_000 });
    });
    kubernetes({ service: 's', access, handler }).watch((update) => void updates.push(update), scope, { clock });
    await clock.advance(7_000);
    const [first, second] = updates as { endpoints: readonly object[] }[];
    expect(second?.endpoints).not.toEqual(first?.endpoints);
    expect(second?.endpoints[0]).toBe(first?.endpoints[0]);
    expect(second?.endpoints[1]).toBe(first?.endpoints[1]);
    scope.cancel();
  });

  it('stays when rights are taken away, the server is frozen, or what answers is no API server', async () => {
    const wrong = [
      reply(401),
      reply(403),
      hang(),
      reply(200, { body: '<html>' }),
      reply(302),
      reply(404, { body: 'x' }),
    ];
    const { clock, told } = run((_, n) =>
      n === 1 ? reply(200, { body: [added('a', 1, 1) + mark(5), '\n'], betweenMs: 1_000 }) : (wrong[n % 6] as Step),
    );
    await clock.advance(7_200_000);
    expect(told.length).toBeGreaterThan(100);
    expect(told).not.toContain('');
  });

  it('goes when the server says so', async () => {
    const gone = event('DELETED', slice('a', 6, 1));
    const { clock, told } = run(open(added('a', 1, 1), mark(5), gone));
    await clock.advance(1_000);
    expect(told).toEqual(['1', '', expect.stringContaining('ExternalName')]);
  });
});

it('does not wait for credentials that never come', async () => {
  const token = (): Promise<string> => new Promise(() => {});
  const { clock, told, scope, check } = run(() => open(), { access: { ...access, token } });
  await clock.advance(70_000);
  expect(told.length).toBeGreaterThanOrEqual(2);
  expect(told[0]).toContain('30000 ms');
  scope.cancel();
  await clock.advance(0);
  check();
});

it('makes an error of whatever credentials throw', async () => {
  const token = (): string => {
    throw 'no luck';
  };
  const { clock, told } = run([], { access: { ...access, token } });
  await clock.advance(0);
  expect(told).toEqual(['no luck']);
});

it('tells the access that a token was refused', async () => {
  const refused: unknown[] = [];
  const tokens = ['old', 'new'];
  const own: Access = { ...access, token: () => tokens[0] as string, refused: (token) => refused.push(token) };
  const { clock, told } = run(
    (call) => {
      if (call.headers.includes('Bearer new')) return open(added('a', 1, 1), mark(5));
      tokens.shift();
      return reply(401);
    },
    { access: own },
  );
  await clock.advance(2_000);
  expect([refused, told.at(-1)]).toEqual([['old'], '1']);
});

it('asks below the path of a gateway, with the headers of the access', async () => {
  const headers = ['impersonate-user', 'jane'];
  const paths: string[] = [];
  const handler = (call: Call): Promise<ReturnType<typeof createReply>> => {
    paths.push(`${call.path.split('?')[0]} ${call.headers.join(' ')}`);
    return Promise.resolve(createReply({ status: 403 }));
  };
  const own: Access = { ...access, basePath: '/k8s/c-1', headers, authorization: () => 'Basic xyz' };
  const { clock } = run([], { access: own, handler });
  await clock.advance(0);
  expect(paths).toEqual([
    '/k8s/c-1/apis/discovery.k8s.io/v1/namespaces/prod/endpointslices accept application/json authorization Basic xyz impersonate-user jane',
  ]);
});
