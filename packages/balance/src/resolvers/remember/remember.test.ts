// Catches: a file that is believed although it is wrong, old, another's or half written; one that hides a source which
// answers; writes that storm, fail a call or are left in halves; a process that cannot start because the disk is full.
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createEndpoint, type FairleadEvent, type ResolverUpdate, Scope, sleep, systemClock } from '@fairlead/core';
import { checkLeaks, resolverConformance, VirtualClock } from '@fairlead/testing';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { PushedSource } from '../../../test/pushed-source.js';
import { Cluster } from '../../cluster.js';
import { type RememberOptions, remember, rememberDefaults } from './remember.js';
import { readRemembered, writeRemembered } from './remembered-file.js';

const one = 'http://10.0.0.1:8080';
const two = 'http://10.0.0.2:8080';
let folder = '';
const path = (): string => join(folder, 'payments.json');

beforeEach(() => {
  folder = join(mkdtempSync(join(tmpdir(), 'remember-')), 'deep', 'er');
});
afterEach(() => rmSync(join(folder, '..', '..'), { recursive: true, force: true }));

function start(options: Partial<RememberOptions> = {}, clock: VirtualClock = new VirtualClock()) {
  const source = new PushedSource();
  const scope = new Scope(clock);
  const told: (string | [age: number | null, ...origins: string[]])[] = [];
  const events: FairleadEvent[] = [];
  const resolver = remember({ resolver: source.resolver, service: 'payments', folder, ...options });
  const tell = (update: ResolverUpdate & { ageMs?: number }): void => {
    if ('error' in update) told.push(update.error.message);
    else told.push([update.ageMs ?? null, ...update.endpoints.map(({ origin }) => origin)]);
  };
  resolver.watch(tell, scope, { clock, on: (event) => void events.push(event) });
  const complaints = (): string[] =>
    events.flatMap((event) => (event.type === 'memory.failed' ? [event.error.message] : []));
  return { source, scope, told, clock, events, complaints, resolver };
}

/** Lets what the disk does come to its end; it has no clock but the real one. */
async function until(condition: () => boolean, what: string): Promise<void> {
  for (let i = 0; i < 1_000; i++) {
    if (condition()) return;
    await sleep(systemClock, 2);
  }
  throw new Error(`waited in vain for ${what}`);
}

const saved = (): { savedAt: number; endpoints: { origin: string }[] } => JSON.parse(readFileSync(path(), 'utf8'));
const origins = (): string[] => (existsSync(path()) ? saved().endpoints.map(({ origin }) => origin) : []);

/** A file as it is written, with changes. */
function put(changes: Record<string, unknown> = {}, clock: VirtualClock = new VirtualClock()): void {
  const endpoints = [createEndpoint(one, { zone: 'a', weight: 3, priority: 2, attributes: { node: 'n' } })];
  const of = { format: 'fairlead-endpoints/1', service: 'payments', source: 'pushed://payments' };
  mkdirSync(folder, { recursive: true });
  writeFileSync(path(), JSON.stringify({ ...of, savedAt: clock.wall() - 60_000, endpoints, ...changes }), {
    mode: 0o600,
  });
}

/** What is told of the file when the source fails at once. */
function toldOf(clock: VirtualClock = new VirtualClock(), options: Partial<RememberOptions> = {}) {
  const watch = start(options, clock);
  watch.source.fail();
  return watch;
}

describe('what is remembered', () => {
  it('is told when the source fails, before its error, with its age', () => {
    put();
    expect(toldOf().told).toEqual([[60_000, one], 'down']);
  });

  it('is told when the source is silent for too long, and once only', async () => {
    put();
    const { told, clock, source } = start();
    await clock.advance(499);
    expect(told).toEqual([]);
    await clock.advance(1);
    expect(told).toEqual([[60_500, one]]);
    source.fail();
    await clock.advance(10_000);
    expect(told).toEqual([[60_500, one], 'down']);
    source.show([two]);
    expect(told.at(-1)).toEqual([null, two]);
    source.fail();
    expect(told.slice(3)).toEqual(['down']);
  });

  it('is not even looked at when the source answers in time', async () => {
    put({ format: 'other' });
    const { told, clock, source, events } = start();
    await clock.advance(400);
    source.show([two]);
    await clock.advance(5_000);
    source.fail();
    expect([told, events]).toEqual([[[null, two], 'down'], []]);
  });

  it('has all that is known of an endpoint', () => {
    put();
    const read = readRemembered(path(), { service: 'payments', source: 'pushed://payments' });
    expect(read?.endpoints).toEqual([
      createEndpoint(one, { zone: 'a', weight: 3, priority: 2, attributes: { node: 'n' } }),
    ]);
  });

  it('counts up to its age, forwards and backwards', () => {
    for (const [age, believed] of [
      [rememberDefaults.maxAgeMs, true],
      [rememberDefaults.maxAgeMs + 1, false],
      [-rememberDefaults.maxAgeMs, true],
      [-rememberDefaults.maxAgeMs - 1, false],
    ] as const) {
      const clock = new VirtualClock();
      put({ savedAt: clock.wall() - age });
      const { told, complaints, events } = toldOf(clock);
      expect(told).toEqual(believed ? [[Math.max(0, age), one], 'down'] : ['down']);
      expect(complaints()).toHaveLength(believed ? 0 : 1);
      const recalled = { type: 'memory.recalled', service: 'payments', ageMs: Math.max(0, age), total: 1 };
      expect(events).toEqual([
        believed
          ? expect.objectContaining(recalled)
          : expect.objectContaining({ type: 'memory.failed', during: 'read' }),
      ]);
    }
  });

  it.each([
    ['another format', { format: 'fairlead-endpoints/2' }, 'not in the format'],
    ['no format', { format: undefined }, 'not in the format'],
    ['another service', { service: 'ledger' }, 'about the service ledger'],
    ['another source', { source: 'dns://elsewhere' }, 'came from dns://elsewhere'],
    ['no time', { savedAt: '2026' }, 'when it was written'],
    ['no endpoints', { endpoints: null }, 'no endpoints'],
    ['something that is no endpoint', { endpoints: [createEndpoint(one), 7] }, 'expected an origin'],
    ['an endpoint without an id', { endpoints: [{ ...createEndpoint(one), id: '' }] }, 'no endpoint'],
    ['an endpoint without an origin', { endpoints: [{ ...createEndpoint(one), origin: null }] }, 'expected an origin'],
    ['an origin with a path', { endpoints: [{ ...createEndpoint(one), origin: 'http://a/b' }] }, 'expected an origin'],
    ['an origin in another form', { endpoints: [{ ...createEndpoint(one), origin: 'HTTP://A:80' }] }, 'no endpoint'],
    ['a weight of 0', { endpoints: [{ ...createEndpoint(one), weight: 0 }] }, 'a number above 0'],
    ['no attributes', { endpoints: [{ ...createEndpoint(one), attributes: null }] }, 'no endpoint'],
    ['a zone that is no text', { endpoints: [{ ...createEndpoint(one), zone: 7 }] }, 'no endpoint'],
  ])('is not believed with %s, and an event says why', (_, changes, why) => {
    put(changes);
    const { told, complaints } = toldOf();
    expect(told).toEqual(['down']);
    expect(complaints()[0]).toContain(path());
    expect(complaints()[0]).toContain(why);
  });

  it('is not believed if it is cut off anywhere, and never does harm', () => {
    put();
    const text = readFileSync(path(), 'utf8');
    for (let length = 0; length < text.length; length++) {
      writeFileSync(path(), text.slice(0, length));
      expect(toldOf().told).toEqual(['down']);
    }
  });

  it('is believed or not, whatever JSON it is, and tells nothing but endpoints', () => {
    put();
    fc.assert(
      fc.property(fc.json(), fc.jsonValue(), (text, endpoints) => {
        for (const content of [text, JSON.stringify({ ...saved(), endpoints })]) {
          put();
          writeFileSync(path(), content);
          const { told } = toldOf();
          expect(told.at(-1)).toBe('down');
        }
      }),
      { numRuns: 100 },
    );
  });

  it.runIf(process.getuid !== undefined)('is not believed if others can write it, or it is no file', () => {
    put();
    chmodSync(path(), 0o620);
    expect(toldOf().complaints()[0]).toContain('other users may write to it');
    rmSync(path());
    mkdirSync(path());
    expect(toldOf().complaints()).toHaveLength(1);
  });

  it('need not be there', () => {
    const { told, events } = toldOf();
    expect([told, events]).toEqual([['down'], []]);
  });

  it('lets a cluster serve at once, and never fails the calls that wait', async () => {
    put();
    const clock = new VirtualClock();
    const source = new PushedSource();
    const resolver = remember({ resolver: source.resolver, service: 'payments', folder });
    const cluster = new Cluster({ service: 'payments', resolver, runtime: { clock } });
    const ready = cluster.waitReady(new Scope(clock));
    source.fail();
    await ready;
    expect([cluster.state, cluster.members.map(({ endpoint }) => endpoint.origin), cluster.lastError?.message]).toEqual(
      ['ready', [one], 'down'],
    );
    cluster.close();
    expect(clock.pending).toBe(0);
  });
});

describe('an answer', () => {
  it('is written at once, as a whole, for this user alone', async () => {
    const { source, clock } = start();
    source.endpoints(createEndpoint(one, { zone: 'a' }), createEndpoint(two));
    await clock.advance(0);
    await until(() => origins().length === 2, 'the file');
    expect(readdirSync(folder)).toEqual(['payments.json']);
    expect(statSync(path()).mode & 0o777).toBe(0o600);
    expect(statSync(folder).mode & 0o777).toBe(0o700);
    expect(saved()).toMatchObject({ format: 'fairlead-endpoints/1', savedAt: clock.wall(), service: 'payments' });
    const next = toldOf(clock);
    expect(next.told).toEqual([[0, one, two], 'down']);
  });

  it('is written no more often than it should, and the last one always', async () => {
    const { source, clock } = start();
    source.show([one]);
    await clock.advance(0);
    await until(() => origins().length === 1, 'the file');
    for (let i = 0; i < 80; i++) {
      source.show(i % 2 === 0 ? [two] : [one, two]);
      await clock.advance(100);
    }
    expect(origins()).toEqual([one]);
    await clock.advance(5_000);
    await until(() => origins().length === 2, 'the last answer');
  });

  it('that is the same in another order is not written again before the file gets old', async () => {
    const { source, clock } = start({ maxAgeMs: 1_000_000 });
    source.show([one, two]);
    await clock.advance(0);
    await until(() => origins().length === 2, 'the file');
    const { savedAt } = saved();
    for (let i = 0; i < 17; i++) {
      source.show(i % 2 === 0 ? [two, one] : [one, two]);
      await clock.advance(5_000);
      await sleep(systemClock, 2);
    }
    expect(saved().savedAt).toBe(savedAt);
    await clock.advance(50_000);
    await until(() => saved().savedAt > savedAt, 'a renewed file');
  });

  it('is renewed on disk while a quiet source is well, and keeps its time while it fails', async () => {
    const { source, clock } = start({ maxAgeMs: 1_000_000 });
    source.show([one]);
    await clock.advance(0);
    await until(() => origins().length === 1, 'the file');
    const { savedAt } = saved();
    await clock.advance(111_000);
    await until(() => saved().savedAt > savedAt, 'a renewed file');
    source.fail();
    const before = saved().savedAt;
    await clock.advance(900_000);
    await sleep(systemClock, 20);
    expect(saved().savedAt).toBe(before);
    // What was told shortly before the failure and is written after it has the time at which it was told.
    source.show([two]);
    const at = clock.wall();
    source.fail();
    await clock.advance(12_000);
    await until(() => origins()[0] === two, 'the file');
    expect(saved().savedAt).toBe(at);
  });

  it('of nobody is remembered by forgetting', async () => {
    put();
    const { source, clock } = start();
    source.show([]);
    await clock.advance(0);
    await until(() => !existsSync(path()), 'the file gone');
    expect(toldOf().told).toEqual(['down']);
  });

  it('that cannot be written is an event, nothing else, and is tried again', async () => {
    mkdirSync(join(folder, '..'), { recursive: true });
    writeFileSync(folder, 'in the way');
    const { source, clock, told, complaints, events } = start();
    source.show([one]);
    await clock.advance(0);
    await until(() => complaints().length === 1, 'an event');
    expect(complaints()[0]).toContain('could not be written');
    expect(events.at(-1)).toMatchObject({ type: 'memory.failed', during: 'write' });
    expect(told).toEqual([[null, one]]);
    rmSync(folder);
    await clock.advance(50_000);
    await sleep(systemClock, 10);
    expect(origins()).toEqual([]);
    await clock.advance(20_000);
    await until(() => origins().length === 1, 'the file');
    expect(complaints()).toHaveLength(1);
  });

  it('leaves nothing behind on disk if it cannot take its place', async () => {
    mkdirSync(path(), { recursive: true });
    const { source, clock, complaints } = start();
    source.show([one]);
    await clock.advance(0);
    await until(() => complaints().length === 1, 'an event');
    expect(readdirSync(folder)).toEqual(['payments.json']);
  });

  it('of many processes leaves one that is whole, at any moment', async () => {
    const of = { service: 'payments', source: 'pushed://payments' };
    let writing = 8;
    const writers = Array.from({ length: writing }, async (_, n) => {
      const clock = new VirtualClock({ seed: n + 1 });
      const endpoints = Array.from({ length: 200 * (n + 1) }, (_, i) => createEndpoint(`http://10.${n}.0.1:${i + 1}`));
      for (let i = 0; i < 10; i++) await writeRemembered(path(), { ...of, savedAt: i, endpoints }, clock);
      writing--;
    });
    let reads = 0;
    while (writing > 0) {
      const read = readRemembered(path(), of);
      if (read !== null) expect(read.endpoints.length % 200).toBe(0);
      reads++;
      await sleep(systemClock, 1);
    }
    await Promise.all(writers);
    expect(reads).toBeGreaterThan(0);
    expect(readdirSync(folder)).toEqual(['payments.json']);
  });

  it.each(['..', '../x', 'a/b', '.', 'payments:8080', '[::1]'])(
    'of the service %s stays within its folder',
    async (service) => {
      const { source, clock } = start({ service });
      source.show([one]);
      await clock.advance(0);
      await until(() => existsSync(folder) && readdirSync(folder).some((name) => name.endsWith('.json')), 'a file');
      expect(readdirSync(join(folder, '..'))).toEqual(['er']);
    },
  );
});

describe('remember', () => {
  it('is named as what it remembers', () => {
    expect(start().resolver.name).toBe('pushed://payments');
  });

  it('lists every wrong option', () => {
    expect(() => remember({ resolver: {}, service: '', folder: 7, maxAgeMs: 1, patience: 1 } as never)).toThrow(
      /5 problems/,
    );
    expect(() => remember({} as never)).toThrow(/remember\.resolver[\s\S]*remember\.service[\s\S]*remember\.folder/);
  });

  it('stops midway and leaves nothing behind', async () => {
    for (const prepare of [(s: PushedSource) => s.show([one]), (s: PushedSource) => s.fail(), () => {}]) {
      const { scope, clock, source } = start();
      prepare(source);
      scope.cancel();
      checkLeaks({ clock, scopes: [scope] });
      expect(source.held()).toBe(0);
    }
    // In the middle of a write.
    const { scope, clock, source } = start();
    source.show([one, two]);
    await clock.advance(0);
    scope.cancel();
    await until(() => origins().length === 2, 'the file');
    checkLeaks({ clock, scopes: [scope] });
  });

  const source = () => {
    const pushed = new PushedSource();
    const resolver = remember({ resolver: pushed.resolver, service: 'payments', folder });
    return {
      resolver,
      show: (shown: readonly string[]) => pushed.show(shown),
      fail: () => pushed.fail(),
      garble: () => pushed.garble(),
      hang: () => pushed.hang(),
      held: () => pushed.held(),
    };
  };
  for (const { name, run } of resolverConformance({ source })) it(name, run);
});
