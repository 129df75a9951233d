// Catches: a call that fails because the file with the endpoints was replaced, rotated, broken or gone while calls run; an
// endpoint that is not known in time; a watch that outlives its client.
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '@fairlead/core';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { attempts, type Got, get, type Told, tally, until, worlds } from '../../test/world.js';

const world = worlds();
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'fairlead-faults-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

interface Load {
  readonly got: Got[];
  /** Lets what is under way finish. */
  stop(): Promise<void>;
}

/** Calls, 32 at a time, until they are stopped. */
function steady(client: Told): Load {
  const got: Got[] = [];
  let on = true;
  const callers = Array.from({ length: 32 }, async () => {
    while (on) got.push(await get(client.fetch));
  });
  return {
    got,
    async stop() {
      on = false;
      await Promise.all(callers);
    },
  };
}

const origins = (client: Told): readonly string[] =>
  client
    .describe()
    .svc?.endpoints.map(({ origin }) => origin)
    .sort() ?? [];
const troubleOf = (client: Told): string | null => client.describe().svc?.error ?? null;

describe('a service from a file, under load', () => {
  it('loses no call while the file is garbage, cut off, empty and gone, and then names others', async () => {
    const path = join(folder, 'svc.json');
    const write = (...all: readonly { readonly origin: string }[]): void =>
      writeFileSync(path, JSON.stringify([{ targets: all.map(({ origin }) => new URL(origin).host) }]));
    const [a, b, c, d] = await Promise.all([1, 2, 3, 4].map(() => world.replica({ DELAY: '5' })));
    if (!a || !b || !c || !d) throw new Error('four replicas');
    write(a, b);
    const client = world.client({ services: { svc: `file://${path}` } });
    const calls = steady(client);
    await until(() => a.requests > 50 && b.requests > 50, 'requests at the first two');

    const during = async (expected: RegExp): Promise<void> => {
      await until(() => expected.test(troubleOf(client) ?? ''), `${expected}, but ${troubleOf(client)}`);
      const [before, done] = [a.requests, calls.got.length];
      await until(() => a.requests > before + 50 && calls.got.length > done + 100, 'calls that go on');
      expect(origins(client)).toEqual([a.origin, b.origin].sort());
    };
    writeFileSync(path, '\u0000\u0001 garbage');
    await during(/svc\.json: 1 problem\n {2}line 1, column 1/);
    writeFileSync(path, '[{ "targets": ["127.0.0.1:1"');
    await during(/the JSON is cut off here/);
    writeFileSync(path, '');
    await during(/content = ""/);
    rmSync(path);
    await during(/ENOENT/);

    write(c, d);
    await until(() => c.requests > 50 && d.requests > 50, 'requests at the other two');
    expect([origins(client), troubleOf(client)]).toEqual([[c.origin, d.origin].sort(), null]);
    // Nobody is sent there any more, so nobody notices.
    a.process.kill('SIGKILL');
    b.process.kill('SIGKILL');
    const { length } = calls.got;
    await until(() => calls.got.length > length + 200, 'calls that go on');
    await calls.stop();
    expect(tally(calls.got)).toEqual({ 200: calls.got.length });
    expect(attempts(client)).toBe(calls.got.length);
    expect(client.events.filter(({ type }) => type === 'resolver.failed').length).toBeGreaterThanOrEqual(4);
  });

  it('loses no call while a ConfigMap is rotated again and again', async () => {
    const sites = await Promise.all(
      Array.from({ length: 6 }, () => world.http((_request, response) => void response.end('ok'))),
    );
    let last = '';
    // As the kubelet does it: a new folder, a link renamed over `..data`, the old folder removed.
    const rotate = (n: number): readonly string[] => {
      const present = sites.filter((_, i) => (i + n) % 3 === 0).map(({ origin }) => origin);
      const now = `..2026_11_23_${n}`;
      mkdirSync(join(folder, now));
      writeFileSync(join(folder, now, 'services.json'), JSON.stringify({ services: { svc: present, other: [] } }));
      symlinkSync(now, join(folder, '..data_tmp'));
      renameSync(join(folder, '..data_tmp'), join(folder, '..data'));
      if (last === '') symlinkSync('..data/services.json', join(folder, 'services.json'));
      else rmSync(join(folder, last), { recursive: true });
      last = now;
      return present.sort();
    };
    rotate(0);
    const client = world.client({ services: { svc: `file://${folder}/services.json#svc` } });
    const calls = steady(client);
    let slowest = 0;
    for (let n = 1; n <= 15; n++) {
      const present = rotate(n);
      const at = systemClock.now();
      await until(() => String(origins(client)) === String(present), `rotation ${n}`);
      slowest = Math.max(slowest, systemClock.now() - at);
      const { length } = calls.got;
      await until(() => calls.got.length > length + 20, 'calls');
    }
    await calls.stop();
    expect(tally(calls.got)).toEqual({ 200: calls.got.length });
    expect(attempts(client)).toBe(calls.got.length);
    expect(client.events.filter(({ type }) => type === 'resolver.failed')).toEqual([]);
    // Noticed, not found by looking every 30 s.
    expect(slowest).toBeLessThan(3_000);
    await client.close();
    const told = client.events.length;
    const other = world.client({ services: { svc: `file://${folder}/services.json#svc` } });
    await get(other.fetch);
    const present = rotate(16);
    // Who still looks has seen it.
    await until(() => String(origins(other)) === String(present), 'the last rotation');
    expect(client.events.length).toBe(told);
  });
});
