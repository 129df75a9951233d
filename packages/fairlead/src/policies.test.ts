// Catches: a policy that can be set and does nothing, stands in the wrong place, or acts in shadow; copies that go round in
// circles; faults in production; bad values that are not refused with everything else.
import { ConfigError, type FairleadEvent, headerOf } from '@fairlead/core';
import { reply, scripted, VirtualClock } from '@fairlead/testing';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type ClientInit, createClientOver, type OpenClient } from './client.js';

const open: OpenClient[] = [];
const at = 'http://10.0.0.5:8080';

afterEach(async () => {
  vi.unstubAllEnvs();
  await Promise.all(open.splice(0).map((client) => client.close()));
});

type Script = Parameters<typeof scripted>[0];

/** A client in virtual time over a backend that plays a script. */
function world(init: ClientInit, script: Script = reply()) {
  const clock = new VirtualClock({ seed: 7 });
  const backend = scripted(script);
  const events: FairleadEvent[] = [];
  const client = createClientOver(backend, { environment: false, clock, on: (event) => events.push(event), ...init });
  open.push(client);
  const get = async (service = 'a', method = 'GET'): Promise<number> => {
    const reply = await client.fetch(`http://${service}/`, { method });
    await reply.text();
    return reply.status;
  };
  const layers = (service = 'a'): readonly string[] => client.describe()[service]?.layers ?? [];
  const types = (): string[] => events.map(({ type }) => type);
  return { clock, backend, client, get, layers, events, types };
}

function problemsOf(init: ClientInit): Record<string, unknown>[] {
  try {
    createClientOver(scripted(reply()), { environment: false, ...init });
  } catch (error) {
    if (error instanceof ConfigError) return error.problems.map((each) => ({ ...each }));
    throw error;
  }
  throw new Error('was not refused');
}

it('none of these is in a stack that nobody asked for', () => {
  const { layers, client } = world({ services: { a: at } });
  for (const name of ['pace', 'mirror', 'injectFault', 'throttle', 'hedge']) expect(layers()).not.toContain(name);
  expect(client.describe().a?.settings).toMatchObject({
    pace: { value: 'off', from: 'default' },
    'mirror.to': { value: 'none' },
    injectFault: { value: 'off' },
  });
});

describe('hedge', () => {
  it('waits and observes as long as it is told, and takes the statuses that it is told for no answers', async () => {
    const environment = {
      FAIRLEAD_HEDGE_MIN_DELAY: '200ms',
      FAIRLEAD_HEDGE_MIN_CALLS: '100',
      FAIRLEAD_HEDGE_STATUSES: '500',
    };
    const options = { minWinRatio: 0, ratio: 1, attempts: 2 };
    const slow = reply(500, { afterMs: 1_000 });
    const { clock, get, types, events } = world(
      { environment, services: { a: { from: [at, 'http://10.0.0.6:8080'], attempts: 1, hedge: options } } },
      (call, n) => (call.attempt === 2 ? reply(200, { afterMs: 2_000 }) : n === 60 || n === 301 ? slow : reply()),
    );
    for (let n = 1; n < 301; n++) {
      await clock.run(get());
      await clock.advance(20);
    }
    // The 60th came before a hundred answers had been seen.
    expect(types().filter((type) => type.startsWith('hedge.'))).toEqual([]);
    // A 500 is there first, but it is no answer while another one may come.
    expect(await clock.run(get())).toBe(200);
    expect(events.filter(({ type }) => type === 'hedge.sent')).toMatchObject([{ afterMs: 200 }]);
  });

  it('refuses what no hedge takes, with everything else that is wrong', () => {
    const hedge = { minDelayMs: -1, minCalls: 19, statuses: [200] };
    expect(problemsOf({ services: { a: { from: at, hedge } } }).length).toBe(3);
  });
});

describe('pace', () => {
  // bottleneck has timers and a clock of its own; here they are false, and move along with ours.
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'Date'] });
  });
  afterEach(() => {
    vi.useRealTimers();
  });
  const advance = async (clock: VirtualClock, ms: number): Promise<void> => {
    for (let i = 0; i < ms; i += 5) {
      await vi.advanceTimersByTimeAsync(5);
      await clock.advance(5);
    }
  };

  it.each<[string, ClientInit]>([
    ['code', { services: { a: { from: at, pace: { perSecond: 5 } } } }],
    ['a variable', { services: { a: at }, environment: { FAIRLEAD_SERVICE_A_PACE_PER_SECOND: '5' } }],
  ])('by %s lets calls go evenly spread, between limit and breaker', async (_by, init) => {
    const { clock, get, layers, backend } = world(init);
    const calls = Promise.all([get(), get(), get()]);
    await advance(clock, 150);
    expect(backend.calls).toHaveLength(1);
    await advance(clock, 100);
    expect(backend.calls).toHaveLength(2);
    await advance(clock, 200);
    expect(await calls).toEqual([200, 200, 200]);
    expect(layers()).toEqual(expect.arrayContaining(['pace']));
    expect(layers().indexOf('pace')).toBe(layers().indexOf('breaker') - 1);
  });

  it('lets the important go first, and refuses what does not fit', async () => {
    const priority = (call: { path: string }): number => (call.path === '/first' ? 0 : 9);
    const { clock, client, backend } = world({ services: { a: { from: at, pace: { maxQueue: 3, priority } } } });
    const calls = ['/', '/last', '/first', '/more'].map((path) =>
      client.fetch(`http://a${path}`).then(
        ({ status }) => status,
        ({ cause }) => cause.by,
      ),
    );
    await advance(clock, 500);
    expect(await Promise.all(calls)).toEqual([200, 200, 200, 'pace']);
    expect(backend.calls.map(({ path }) => path)).toEqual(['/first', '/', '/last']);
  });

  it('makes nothing wait in shadow, and says what would have', async () => {
    const { get, types } = world({ services: { a: { from: at, pace: { mode: 'shadow', perSecond: 1 } } } });
    expect(await Promise.all([get(), get()])).toEqual([200, 200]);
    expect(types()).toContain('policy.shadowed');
  });

  it('refuses a pace that cannot be kept, in words', () => {
    expect(problemsOf({ services: { a: { from: at, pace: { perSecond: 2_001 } } } })).toEqual([
      { name: 'services.a.pace.perSecond', value: 2_001, expected: 'a number from 0.001 to 2000' },
    ]);
    const environment = { FAIRLEAD_PACE_PER_SECOND: '0', FAIRLEAD_PACE_MODE: 'shadwo' };
    expect(problemsOf({ services: { a: at }, environment })).toMatchObject([
      { name: 'FAIRLEAD_PACE_PER_SECOND', expected: 'a number from 0.001 to 2000' },
      { name: 'FAIRLEAD_PACE_MODE', didYouMean: 'shadow' },
    ]);
  });
});

describe('mirror', () => {
  it.each<[string, ClientInit]>([
    ['code', { services: { a: { from: at, mirror: { to: 'b', ratio: 1 } }, b: at } }],
    [
      'variables',
      {
        services: { a: at, b: at },
        // Said of all services: the one that gets the copies makes none.
        environment: { FAIRLEAD_MIRROR: 'b', FAIRLEAD_MIRROR_RATIO: '100%' },
      },
    ],
  ])('by %s sends copies through the stack of the other service, and nobody waits for them', async (_by, init) => {
    const script = (call: { service: string }) => (call.service === 'b' ? reply(500, { afterMs: 500 }) : reply());
    const { clock, get, backend, events, layers } = world(init, script);
    expect(await get()).toBe(200);
    expect(await get('a', 'POST')).toBe(200);
    await clock.advance(1_000);
    expect(backend.calls.map(({ service }) => service).sort()).toEqual(['a', 'a', 'b']);
    const copy = backend.calls.find(({ service }) => service === 'b');
    expect(copy && headerOf(copy.headers, 'x-fairlead-mirrored')).toBe('1');
    expect(events.filter(({ type }) => type === 'mirror.ended')).toMatchObject([
      { service: 'a', to: 'b', status: 500 },
    ]);
    expect(layers().indexOf('mirror')).toBe(layers().indexOf('deadline') + 1);
    expect(layers('b')).not.toContain('mirror');
    expect(await clock.run(get('b'))).toBe(500);
  });

  it('sends nothing in shadow', async () => {
    const mirror = { to: 'b', ratio: 1, mode: 'shadow' } as const;
    const { clock, get, backend, types } = world({ services: { a: { from: at, mirror }, b: at } });
    await get();
    await clock.advance(10);
    expect([backend.calls.length, types().includes('policy.shadowed')]).toEqual([1, true]);
  });

  it('has to go to a service that there is, and that does not send it back', () => {
    const to = (name: string) => ({ from: at, mirror: { to: name } });
    expect(problemsOf({ services: { search: to('serch-next'), 'search-next': at } })).toEqual([
      {
        name: 'services.search.mirror.to',
        value: 'serch-next',
        expected: 'the name of another service',
        didYouMean: 'search-next',
      },
    ]);
    expect(problemsOf({ services: { a: to('b'), b: to('c'), c: to('a'), d: to('a') } })).toMatchObject(
      ['a', 'b', 'c'].map((name) => ({
        name: `services.${name}.mirror.to`,
        expected: `a service whose copies do not come back to ${name}`,
      })),
    );
    const environment = { FAIRLEAD_SERVICE_A_MIRROR: 'nobody' };
    expect(problemsOf({ services: { a: at }, environment })).toMatchObject([{ name: 'FAIRLEAD_SERVICE_A_MIRROR' }]);
  });
});

describe('a stand-in', () => {
  it.each<[string, ClientInit]>([
    ['code', { services: { a: { from: at, attempts: 1, fallback: { service: 'b', fromStatus: 500 } }, b: at } }],
    [
      'variables',
      {
        services: { a: at, b: at },
        environment: { FAIRLEAD_FALLBACK_SERVICE: 'b', FAIRLEAD_FALLBACK_FROM_STATUS: '500', FAIRLEAD_ATTEMPTS: '1' },
      },
    ],
  ])('by %s is what another service says, through its own stack', async (_by, init) => {
    const { get, backend, events, layers } = world(init, ({ service }) => reply(service === 'a' ? 500 : 200));
    expect(await get()).toBe(200);
    expect(backend.calls.map(({ service }) => service)).toEqual(['a', 'b']);
    expect(events.find(({ type }) => type === 'fallback.used')).toMatchObject({
      from: 'service',
      reason: 'status 500',
    });
    expect(layers('b')).not.toContain('fallback');
  });

  it('is the last good answer, if such are kept, and nothing in shadow', async () => {
    const options = { from: at, attempts: 1, fallback: { stale: true, fromStatus: 500 } };
    const body = { body: 'good', headers: { 'content-length': '4' } };
    const { client, events } = world({ services: { a: options } }, [reply(200, body), reply(503)]);
    for (let i = 0; i < 2; i++) expect(await (await client.fetch('http://a/')).text()).toBe('good');
    expect(events.find(({ type }) => type === 'fallback.used')).toMatchObject({ from: 'stale' });
    const fallback = { to: { status: 200 }, fromStatus: 500, mode: 'shadow' } as const;
    const shadow = world({ services: { a: { from: at, attempts: 1, fallback } } }, reply(503));
    expect([await shadow.get(), shadow.types().includes('policy.shadowed')]).toEqual([503, true]);
  });

  it('is one, and goes to a service that does not send it back', () => {
    const to = (service: string, more: object = {}) => ({ from: at, fallback: { service, ...more } });
    expect(problemsOf({ services: { a: to('b', { to: { status: 200 } }), b: at } })).toEqual([
      { name: 'services.a.fallback.service', value: 'b', expected: 'off beside fallback.to' },
    ]);
    expect(problemsOf({ services: { a: to('b'), b: to('a') } })).toMatchObject([
      { name: 'services.a.fallback.service', expected: 'a service whose calls do not come back to a' },
      { name: 'services.b.fallback.service' },
    ]);
    const environment = { FAIRLEAD_FALLBACK_STALE_MAX_AGE: 'ever', FAIRLEAD_FALLBACK_STALE_MAX_ENTRIES: '0' };
    expect(problemsOf({ services: { a: at }, environment })).toMatchObject([
      { name: 'FAIRLEAD_FALLBACK_STALE_MAX_AGE' },
      { name: 'FAIRLEAD_FALLBACK_STALE_MAX_ENTRIES' },
    ]);
    expect(problemsOf({ services: { a: { from: at, fallback: { stale: { key: 'x' } } } } } as never)).toMatchObject([
      { name: 'services.a.fallback.stale.key' },
    ]);
  });
});

describe('faults on purpose', () => {
  it.each<[string, ClientInit]>([
    ['code', { services: { a: { from: at, injectFault: { ratio: 1, abortStatus: 503 } } } }],
    [
      'variables',
      {
        services: { a: at },
        environment: { FAIRLEAD_INJECT_FAULT_RATIO: '1', FAIRLEAD_INJECT_FAULT_ABORT_STATUS: '503' },
      },
    ],
  ])('by %s hit every attempt, right above the transport', async (_by, init) => {
    const { clock, get, backend, layers, types } = world(init);
    expect(await clock.run(get())).toBe(503);
    expect(backend.calls).toEqual([]);
    expect(types().filter((type) => type === 'fault.injected')).toHaveLength(3);
    expect(types().filter((type) => type === 'attempt.ended')).toHaveLength(3);
    expect(layers().at(-2)).toBe('injectFault');
  });

  it('hit only what carries the header, and count in shadow', async () => {
    const injectFault = { ratio: 1, header: 'x-chaos', reset: true } as const;
    const { clock, client, get } = world({ services: { a: { from: at, attempts: 1, injectFault } } });
    expect(await get()).toBe(200);
    const hit = client.fetch('http://a/', { headers: { 'x-chaos': '1' } });
    await expect(clock.run(hit)).rejects.toMatchObject({ cause: { code: 'ERR_TRANSPORT' } });
    const shadow = world({ services: { a: { from: at, injectFault: { ratio: 1, reset: true, mode: 'shadow' } } } });
    expect([await shadow.get(), shadow.types().includes('policy.shadowed')]).toEqual([200, true]);
  });

  it('are refused in production unless forced, and told by the name under which they were given', () => {
    vi.stubEnv('NODE_ENV', 'production');
    expect(problemsOf({ services: { a: { from: at, injectFault: true } } })).toEqual([
      { name: 'services.a.injectFault.force', value: false, expected: 'true where NODE_ENV is production' },
    ]);
    expect(world({ services: { a: { from: at, injectFault: { force: true } } } }).layers()).toContain('injectFault');
    const environment = { FAIRLEAD_INJECT_FAULT_RESET: 'on', FAIRLEAD_INJECT_FAULT_ABORT_STATUS: '500' };
    expect(problemsOf({ services: { a: at, b: at }, environment })).toMatchObject([
      { name: 'FAIRLEAD_INJECT_FAULT_RESET', expected: 'false beside abortStatus' },
    ]);
  });
});

describe('shadow', () => {
  it('lets retries be counted, and repeats nothing', async () => {
    const { get, backend, types } = world({ services: { a: { from: at, retry: { mode: 'shadow' } } } }, reply(503));
    expect([await get(), backend.calls.length, types().includes('policy.shadowed')]).toEqual([503, 1, true]);
  });

  it('lets limit and timeouts count, by variables', async () => {
    const environment = {
      FAIRLEAD_LIMIT: '0.001/s;burst=1',
      FAIRLEAD_LIMIT_MODE: 'shadow',
      FAIRLEAD_TIMEOUT: '200ms',
      FAIRLEAD_TIMEOUT_MODE: 'shadow',
      FAIRLEAD_ATTEMPT_TIMEOUT: '100ms',
      FAIRLEAD_ATTEMPT_TIMEOUT_MODE: 'shadow',
    };
    const { clock, get, events } = world({ services: { a: at }, environment }, reply(200, { afterMs: 1_000 }));
    expect(await clock.run(Promise.all([get(), get()]))).toEqual([200, 200]);
    const shadowed = events.flatMap((event) => (event.type === 'policy.shadowed' ? [event.policy] : []));
    expect(new Set(shadowed)).toEqual(new Set(['tokenBucket', 'deadline', 'attemptTimeout']));
    expect(problemsOf({ services: { a: { from: at, timeoutMode: 'none' } } } as never)).toMatchObject([
      { name: 'services.a.timeoutMode', expected: 'one of on, shadow, off' },
    ]);
  });

  it('lets a breaker learn, and refuse nothing', async () => {
    const breaker = { mode: 'shadow', minCalls: 5 } as const;
    const { get, backend, types } = world(
      { services: { a: { from: at, attempts: 1, health: false, breaker } } },
      reply(500),
    );
    for (let i = 0; i < 10; i++) expect(await get()).toBe(500);
    expect(backend.calls).toHaveLength(10);
    expect(types()).toEqual(expect.arrayContaining(['breaker.opened', 'policy.shadowed']));
  });

  it('lets a throttle learn, with its options', async () => {
    const run = async (mode: 'on' | 'shadow') => {
      const { get, types } = world(
        {
          services: {
            a: { from: at, attempts: 1, health: false, breaker: false, throttle: { mode, k: 1.1, minCalls: 5 } },
          },
        },
        reply(429),
      );
      const all = await Promise.all([get()]);
      for (let i = 0; i < 40; i++) all.push(await get().catch(() => 0));
      return { refused: all.filter((status) => status === 0).length, shadowed: types().includes('policy.shadowed') };
    };
    const acting = await run('on');
    expect(acting.refused).toBeGreaterThan(20);
    expect([acting.shadowed, await run('shadow')]).toEqual([false, { refused: 0, shadowed: true }]);
  });
});

describe('off', () => {
  const off = { mode: 'off' } as const;
  const services: ClientInit['services'] = {
    a: {
      from: at,
      timeoutMode: 'off',
      attemptTimeoutMode: 'off',
      limit: { perSecond: 1 },
      limitMode: 'off',
      retry: off,
      hedge: off,
      breaker: off,
      throttle: off,
      pace: off,
      fallback: { to: { status: 204 }, ...off },
      mirror: { to: 'b', ...off },
      injectFault: { ratio: 1, reset: true, ...off },
    },
    b: { from: at, attempts: 3, hedge: true, retry: off },
  };

  it('leaves no layer of a policy in the stack', () => {
    const { layers } = world({ services, on: null });
    const bare = ['trace', 'balance', 'propagate', 'fetch'];
    expect(layers()).toEqual(bare);
    // Hedges are paid from a budget that calls pay into at the retries.
    expect(layers('b')).toEqual(expect.arrayContaining(['retry', 'hedge']));
    const named = ['BREAKER', 'RETRY', 'TIMEOUT', 'ATTEMPT_TIMEOUT'];
    const environment = Object.fromEntries(named.map((name) => [`FAIRLEAD_${name}_MODE`, 'off']));
    expect(world({ environment, services: { a: at }, on: null }).layers()).toEqual(bare);
  });

  it('takes nothing from the time of attempts', () => {
    const time = (options: object): unknown =>
      world({ services: { a: { from: at, timeoutMs: 1_000, ...options } } }).client.describe().a?.settings
        .attemptTimeoutMs?.value;
    expect([time({}), time({ retry: off }), time({ timeoutMode: 'off' })]).toEqual(['500ms', '10s', '10s']);
  });
});

describe('the breaker of a service', () => {
  it('can be looked into, opened by hand, saved and restored', async () => {
    const services = {
      a: { from: at, attempts: 1, breaker: { minCalls: 2 } },
      b: { from: at, breaker: false },
    } as const;
    const { client, get } = world({ services });
    const breaker = client.breaker('a');
    await get();
    expect(breaker?.snapshot()).toMatchObject({ state: 'closed', calls: 1, failures: 0 });
    breaker?.forceOpen();
    await expect(get()).rejects.toMatchObject({ cause: { by: 'breaker' } });
    expect(await get('b')).toBe(200);

    const next = world({ services });
    next.client.breaker('a')?.restore(JSON.parse(JSON.stringify(breaker?.snapshot())), { clock: next.clock });
    await expect(next.get()).rejects.toMatchObject({ cause: { by: 'breaker' } });
    next.client.breaker('a')?.reset();
    expect(await next.get()).toBe(200);
  });

  it('is null where there is none, and an error where there is no service', () => {
    const { client } = world({
      services: { a: { from: at, breaker: false }, b: { from: at, breaker: { mode: 'off' } } },
    });
    expect([client.breaker('a'), client.breaker('b')]).toEqual([null, null]);
    expect(() => client.breaker('c')).toThrow(ConfigError);
  });
});
