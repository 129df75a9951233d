/**
 * Would catch: a watch that dies for good or hangs for ever, a busy loop, a set emptied by an error, a request or timer
 * that outlives the watch. Hours of virtual time against a scripted API server. Over 300 lines, because all of it needs the
 * same few lines of script, and a file of helpers in src would be published.
 */
import {
  type Call,
  createEndpoint,
  createReply,
  type Handler,
  type ResolverUpdate,
  Scope,
  TimeoutError,
} from '@fairlead/core';
import {
  checkLeaks,
  hang,
  refuse,
  reply,
  reset,
  type Script,
  type ScriptedBackend,
  type Step,
  scripted,
  VirtualClock,
} from '@fairlead/testing';
import { describe, expect, it } from 'vitest';
import { type Access, type KubernetesOptions, kubernetes } from '../index.js';

const endpoints = (...hosts: number[]): object[] => hosts.map((host) => ({ addresses: [`10.0.0.${host}`] }));

function slice(name: string, version: number, ...hosts: number[]): object {
  const ports = [{ name: 'http', port: 8080 }];
  return {
    metadata: { name, resourceVersion: `${version}` },
    addressType: 'IPv4',
    endpoints: endpoints(...hosts),
    ports,
  };
}

function listed(version: number, ...items: object[]): Step {
  return reply(200, { body: JSON.stringify({ metadata: { resourceVersion: `${version}` }, items }) });
}

const event = (type: string, object: object): string => `${JSON.stringify({ type, object })}\n`;
const bookmark = (version: number): string => event('BOOKMARK', { metadata: { resourceVersion: `${version}` } });
const failure = (code: number): string => event('ERROR', { kind: 'Status', code, message: `no. ${code}` });
/** A watch that brings `lines` and then nothing, for ever. */
const open = (...lines: string[]): Step => reply(200, { body: lines.join(''), stallAfter: 1 });
/** A watch that the server ends at its time. */
const full = (call: Call, ...lines: string[]): Step =>
  reply(200, { body: [`${lines.join('')}\n`], betweenMs: seconds(call) * 1_000 });

const query = (call: Call | undefined): URLSearchParams => new URL(call?.path ?? '', 'http://api.invalid').searchParams;
const isWatch = (call: Call): boolean => query(call).has('watch');
const seconds = (call: Call): number => Number(query(call).get('timeoutSeconds'));
const from = (call: Call | undefined): string | null => query(call).get('resourceVersion');

const server = createEndpoint('https://10.96.0.1');
const access: Access = { server, ca: null, namespace: 'prod', token: () => 'secret' };

interface Run {
  readonly clock: VirtualClock;
  readonly backend: ScriptedBackend;
  readonly scope: Scope;
  readonly updates: ResolverUpdate[];
  /** Hosts, or the message of the error. */
  readonly told: string[];
}

/** A server that refuses to begin a watch with what there is, so that everything begins with a list. */
function older(backend: Handler): Handler {
  return (call) =>
    query(call).has('sendInitialEvents') ? Promise.resolve(createReply({ status: 422 })) : backend(call);
}

function run(script: Script, options: Partial<KubernetesOptions> = {}, seed = 1): Run {
  const clock = new VirtualClock({ seed });
  const scope = new Scope(clock);
  const backend = scripted(script);
  const updates: ResolverUpdate[] = [];
  const told: string[] = [];
  const handler = older(backend);
  const resolver = kubernetes({ service: 'ledger', port: 'http', access, handler, ...options });
  resolver.watch(
    (update) => {
      updates.push(update);
      if ('error' in update) told.push(update.error.message);
      else
        told.push(
          update.endpoints.map(({ origin }) => origin.slice('http://10.0.0.'.length, -':8080'.length)).join(' '),
        );
    },
    scope,
    { clock },
  );
  return { clock, backend, scope, updates, told };
}

/** Lists as asked, and watches as `watches` say, one after another; the last again and again. */
function api(...watches: ((call: Call) => Step)[]): Script {
  let n = 0;
  return (call) =>
    (isWatch(call) ? watches[Math.min(n++, watches.length - 1)]?.(call) : undefined) ?? listed(5, slice('a', 3, 1));
}

describe('the loop', () => {
  it('tells the list, then what changes; a slice is replaced whole, and gone when it is deleted', async () => {
    const lines = [
      event('MODIFIED', slice('a', 6, 1, 2)),
      event('ADDED', slice('b', 7, 3)),
      event('DELETED', slice('a', 8, 1, 2)),
      event('DELETED', slice('b', 9, 3)),
    ];
    const { clock, told } = run(api(() => reply(200, { body: lines, betweenMs: 1_000, stallAfter: 4 })));
    await clock.advance(10_000);
    expect(told).toEqual(['1', '1 2', '1 2 3', '3', '', expect.stringContaining('no EndpointSlices')]);
  });

  it('acts once on all events of one read', async () => {
    const { clock, told } = run(api(() => open(event('ADDED', slice('b', 6, 2)), event('ADDED', slice('c', 7, 3)))));
    await clock.advance(0);
    expect(told).toEqual(['1', '1 2 3']);
  });

  it('resumes at once when a watch ends at its time, and says that all is as it was', async () => {
    const { clock, backend, told } = run(api((call) => full(call, bookmark(40))));
    await clock.advance(3_600_000);
    // Once for each list, and once for each watch but those that follow a list.
    expect(told).toEqual(backend.calls.slice(2).map(() => '1'));
    expect(backend.calls.filter((call) => !isWatch(call))).toHaveLength(2);
    expect(backend.calls.length).toBeGreaterThan(12);
    expect(backend.calls.length).toBeLessThan(18);
    expect(from(backend.calls[2])).toBe('40');
    expect(new Set(backend.calls.filter(isWatch).map(seconds)).size).toBeGreaterThan(5);
    expect(Math.min(...backend.calls.filter(isWatch).map(seconds))).toBeGreaterThanOrEqual(240);
  });

  it('is no busy loop where the server ends every watch at once', async () => {
    const { clock, backend, told } = run(api(() => reply(200)));
    await clock.advance(600_000);
    expect(backend.calls.length).toBeLessThan(60);
    expect(new Set(told)).toEqual(new Set(['1']));
  });

  it('gives up a watch that stays silent 10 s beyond its time, and resumes', async () => {
    const { clock, backend, told, updates } = run(
      api(
        () => open(bookmark(9)),
        () => open(),
      ),
    );
    await clock.advance(0);
    const dueMs = seconds(backend.calls[1] as Call) * 1_000 + 10_000;
    await clock.advance(dueMs - 1);
    expect(told).toEqual(['1']);
    await clock.advance(1_000);
    expect((updates[1] as { error: Error }).error).toBeInstanceOf(TimeoutError);
    expect([backend.calls.length, backend.open, from(backend.calls[2])]).toEqual([3, 1, '9']);
    expect(told[2]).toBe('1');
  });

  it('gives up a list that never comes, also half-way', async () => {
    const half = reply(200, { body: '{"metadata":', stallAfter: 1 });
    const { clock, backend, told } = run([hang(), half, listed(5, slice('a', 3, 1)), open()]);
    await clock.advance(70_000);
    expect(told).toEqual([
      'no answer from this attempt within 30000 ms',
      'no answer from this attempt within 30000 ms',
      '1',
    ]);
    expect(backend.calls).toHaveLength(4);
  });

  it('tries for ever, between 0.2 and 30 s apart, and less and less often', async () => {
    const times: number[] = [];
    const errors = [refuse(), reset(), reply(500), reply(403, { body: '{}' }), reply(401), reply(503, { body: 'x' })];
    const { clock, told } = run((call, n) => {
      times.push(call.at);
      return errors[n % errors.length] as Step;
    });
    await clock.advance(3_600_000);
    const gaps = times.slice(1).map((at, i) => at - (times[i] as number));
    expect(Math.min(...gaps)).toBeGreaterThanOrEqual(200);
    expect(Math.max(...gaps)).toBeLessThanOrEqual(30_000);
    expect(gaps[0]).toBeLessThanOrEqual(800);
    expect(times.length).toBeGreaterThan(180);
    expect(times.length).toBeLessThan(320);
    expect(told).toHaveLength(times.length);
  });

  it('keeps what it knows, and resumes where it was, whatever goes wrong', async () => {
    const wrong: Step[] = [
      ...[refuse(), reset(), reply(401), reply(403), reply(429), reply(500), reply(504)],
      ...[open(failure(500)), open(failure(504)), reply(200, { body: ['{"type"', ':'], cutAfter: 1, betweenMs: 5 })],
    ];
    const { clock, backend, updates } = run(api(...wrong.map((step) => () => step), () => open()));
    await clock.advance(300_000);
    expect(backend.calls).toHaveLength(wrong.length + 2);
    expect(backend.calls.slice(1).map(from)).toEqual(backend.calls.slice(1).map(() => '5'));
    expect(updates.filter((update) => 'endpoints' in update && update.endpoints.length !== 1)).toEqual([]);
  });

  it('forgets earlier failures after a sound watch, and tells the set again after an error', async () => {
    const sound = reply(200, { body: '\n', betweenMs: 2_000, cutAfter: 1 });
    const times: number[] = [];
    const script = api(() => sound);
    const { clock, told } = run(
      (call, n) => {
        times.push(call.at);
        return (script as (call: Call, n: number) => Step)(call, n);
      },
      { spreadMs: 2_000 },
    );
    await clock.advance(60_000);
    expect(Math.max(...times.slice(2).map((at, i) => at - (times[i + 1] as number)))).toBeLessThanOrEqual(6_200);
    expect(told.slice(0, 3)).toEqual(['1', expect.stringContaining('ECONNRESET'), '1']);
  });

  it('waits as long as Retry-After says, and not for ever', async () => {
    const busy = (value: string): Step => reply(429, { headers: { 'retry-after': value } });
    const { clock, backend } = run([busy('5'), busy('86400'), listed(5), open()]);
    await clock.advance(4_999);
    expect(backend.calls).toHaveLength(1);
    await clock.advance(801);
    expect(backend.calls).toHaveLength(2);
    await clock.advance(32_000);
    expect(backend.calls).toHaveLength(4);
  });
});

describe('a version that is too old', () => {
  it.each([
    ['as an event', open(failure(410))],
    ['as a status', reply(410, { body: '{"message":"gone"}' })],
  ])('is listed anew at once, without an error the first time (%s)', async (_, gone) => {
    const lists = [listed(5, slice('a', 3, 1)), listed(8, slice('a', 7, 2)), listed(9, slice('a', 9, 3))];
    const { clock, told, backend } = run((call) => (isWatch(call) ? gone : (lists.shift() ?? listed(10))));
    await clock.advance(150);
    expect(told).toEqual(['1', '2', expect.stringContaining('410')]);
    expect(backend.calls.map(isWatch)).toEqual([false, true, false, true]);
    await clock.advance(850);
    expect(told[3]).toBe('3');
  });

  it('between two pages: the list begins anew, in one page, and nothing of the first is left', async () => {
    const page = reply(200, {
      body: JSON.stringify({ metadata: { resourceVersion: '5', continue: 'x' }, items: [slice('gone', 3, 9)] }),
    });
    const { clock, told, backend } = run([page, reply(410), listed(7, slice('a', 6, 1)), open()]);
    await clock.advance(0);
    expect(told).toEqual(['1']);
    expect(backend.calls.slice(0, 3).map((call) => [query(call).get('limit'), query(call).get('continue')])).toEqual([
      ['500', null],
      ['500', 'x'],
      [null, null],
    ]);
  });

  it('is not waited for because of failures before it', async () => {
    const lost = Array.from({ length: 8 }, () => () => refuse());
    const { clock, backend, told } = run(
      api(
        ...lost,
        () => reply(410),
        () => open(),
      ),
    );
    await clock.advance(600_000);
    const [gone, list] = backend.calls.slice(9, 11) as [Call, Call];
    expect([isWatch(gone), isWatch(list)]).toEqual([true, false]);
    expect(list.at - gone.at).toBe(0);
    expect(told.at(-1)).toBe('1');
  });

  it('that is newer than the server (restored from a backup) is found out by the list that comes now and then', async () => {
    let restored = false;
    const { clock, backend, told } = run(
      (call) => {
        if (isWatch(call)) return full(call);
        return restored ? listed(2, slice('z', 1, 9)) : listed(900, slice('a', 3, 1));
      },
      { relistMs: 600_000 },
    );
    await clock.advance(100_000);
    restored = true;
    await clock.advance(900_000);
    expect(told[0]).toBe('1');
    expect(told.at(-1)).toBe('9');
    expect(from(backend.calls.at(-1))).toBe('2');
  });
});

describe('what cannot be read', () => {
  it.each([
    ['no JSON', '{"type":\n'],
    ['HTML', '<html>\n'],
    ['no object', '7\n'],
    ['null', 'null\n'],
    ['an unknown type', event('RENAMED', slice('a', 6, 1))],
    ['no type', '{}\n'],
    ['a slice without a name', event('ADDED', { metadata: { resourceVersion: '6' } })],
    ['a deletion of nobody', event('DELETED', { metadata: { resourceVersion: '6' } })],
    ['no version', event('ADDED', { ...slice('b', 6, 2), metadata: { name: 'b' } })],
    ['no object in it', '{"type":"ADDED"}\n'],
  ])('%s in a watch: what came before it counts, then everything is listed', async (_, line) => {
    const lists = [listed(5, slice('a', 3, 1)), listed(9, slice('a', 8, 7))];
    const first = open(event('ADDED', slice('good', 6, 4)), line, event('ADDED', slice('late', 7, 5)));
    const { clock, told, backend } = run((call, n) =>
      isWatch(call) ? (n === 2 ? first : open()) : (lists.shift() as Step),
    );
    await clock.advance(1_000);
    expect(told.slice(0, 2)).toEqual(['1', expect.stringMatching(/^1 4/)]);
    expect(told.slice(2)).toEqual([expect.not.stringMatching(/Cannot|not a function/), '7']);
    expect(backend.open).toBe(1);
  });

  it.each([
    '',
    'x',
    'null',
    '[]',
    '{}',
    '{"metadata":{"resourceVersion":7}}',
    '{"metadata":{"resourceVersion":"7"},"items":{}}',
  ])('%j for a list is an error, and no empty Service', async (body) => {
    const { clock, told } = run([reply(200, { body }), listed(5, slice('a', 3, 1)), open()]);
    await clock.advance(1_000);
    expect(told).toEqual([expect.stringContaining('list'), '1']);
  });

  it('a line without end is cut off', async () => {
    const megabyte = new Uint8Array(1_048_576).fill(0x20);
    const endless = reply(200, { body: Array.from({ length: 20 }, () => megabyte), betweenMs: 1 });
    const { clock, told, backend } = run(
      api(
        () => endless,
        () => open(),
      ),
    );
    await clock.advance(2_000);
    expect(told).toEqual(['1', 'a line is longer than 8388608 bytes', '1']);
    expect(backend.open).toBe(1);
  });

  it('a watch that comes byte by byte is read like any other', async () => {
    const text = event('ADDED', { ...slice('ü-日本-🛟', 6, 2) }) + bookmark(7);
    const bytes = [...new TextEncoder().encode(text)].map((byte) => Uint8Array.of(byte));
    const { clock, told } = run(api(() => reply(200, { body: bytes, betweenMs: 10, stallAfter: bytes.length })));
    await clock.advance(bytes.length * 10);
    expect(told).toEqual(['1', '1 2']);
  });
});

describe('credentials', () => {
  it('are asked for with every request; what they throw is an error of that request', async () => {
    const tokens = [new Error('no token'), 'refused to stream', 'one', 'two'];
    const token = async (): Promise<string> => {
      const next = tokens.shift();
      if (typeof next !== 'string') throw next;
      return next;
    };
    const { clock, told, backend } = run([listed(5), open()], { access: { ...access, token } });
    await clock.advance(1_000);
    expect(told).toEqual(['no token', '', expect.stringContaining('no EndpointSlices')]);
    expect(backend.calls.map(({ headers }) => headers)).toEqual([
      ['accept', 'application/json', 'authorization', 'Bearer one'],
      ['accept', 'application/json', 'authorization', 'Bearer two'],
    ]);
    expect(backend.calls[0]?.endpoint).toBe(server);
  });

  it('may be none', async () => {
    const { clock, backend } = run([listed(5), open()], { access: { ...access, token: () => null } });
    await clock.advance(0);
    expect(backend.calls[0]?.headers).toEqual(['accept', 'application/json']);
  });
});

describe('canceled midway', () => {
  const eventful = (call: Call, n: number): Step => {
    if (!isWatch(call))
      return reply(200, { body: ['{"metadata":{"resourceVersion":"5"},', '"items":[]}'], afterMs: 20, betweenMs: 20 });
    if (n % 3 === 0) return refuse({ afterMs: 10 });
    return reply(200, { body: [event('ADDED', slice('a', n, n)), '{"ty', 'x\n'], afterMs: 10, betweenMs: 15 });
  };

  it('leaves nothing behind, and tells nothing more, at whatever moment', async () => {
    for (let at = 0; at < 1_500; at += 7) {
      const { clock, backend, scope, told } = run(eventful, {}, at);
      await clock.advance(at);
      scope.cancel();
      const before = told.length;
      checkLeaks({ clock, scopes: [scope] });
      await clock.advance(100_000);
      checkLeaks({ clock, backend, scopes: [scope] });
      expect(told).toHaveLength(before);
    }
  });

  it('does nothing in a scope that is canceled before', async () => {
    const clock = new VirtualClock();
    const scope = new Scope(clock);
    scope.cancel();
    const backend = scripted([]);
    const resolver = kubernetes({ service: 'ledger', port: 'http', access, handler: older(backend) });
    resolver.watch(() => expect.unreachable(), scope, { clock });
    await clock.advance(100_000);
    expect(backend.calls).toEqual([]);
  });

  it('can be canceled by what it tells', async () => {
    const clock = new VirtualClock();
    const scope = new Scope(clock);
    const backend = scripted([listed(5, slice('a', 3, 1)), open()]);
    let told = 0;
    const resolver = kubernetes({ service: 'ledger', port: 'other', access, handler: older(backend) });
    const tell = (): void => {
      told++;
      scope.cancel();
    };
    resolver.watch(tell, scope, { clock });
    await clock.advance(100_000);
    expect(told).toBe(1);
    checkLeaks({ clock, backend, scopes: [scope] });
  });

  it('does not keep a process alive by waiting', async () => {
    const { clock } = run(refuse());
    await clock.advance(0);
    expect([clock.pending, clock.pendingForeground]).toEqual([1, 0]);
  });
});
