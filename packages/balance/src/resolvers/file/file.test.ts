// Catches: a change of a file that is not noticed (written in place, renamed over, a ConfigMap that is rotated, a folder
// that appears later), a broken or missing file that costs endpoints, news that are none, and a watch, timer or reading
// that outlives its scope. With real files, since it is about what file systems tell.
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type Clock, type Endpoint, type ResolverUpdate, Scope, sleep, systemClock } from '@fairlead/core';
import { checkLeaks, VirtualClock } from '@fairlead/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { resolverOf } from '../source.js';
import { type FileOptions, file, fileDefaults } from './file.js';

const linux = process.platform === 'linux';
let folder: string;
let scopes: Scope[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'fairlead-file-'));
  scopes = [];
});

afterEach(() => {
  for (const scope of scopes) scope.cancel();
  rmSync(folder, { recursive: true, force: true });
});

const at = (...names: string[]): string => join(folder, ...names);
const content = (...hosts: string[]): string => JSON.stringify({ endpoints: hosts.map((host) => `http://${host}`) });

class Watched {
  readonly told: ResolverUpdate[] = [];
  readonly scope: Scope;
  constructor(options: Partial<FileOptions> & { readonly path: string }, clock: Clock = systemClock) {
    this.scope = new Scope(clock);
    scopes.push(this.scope);
    file({ settleMs: 5, ...options }).watch((update) => this.told.push(update), this.scope, { clock });
  }
  /** The hosts, or the message of the error, that was told last. */
  get last(): string | undefined {
    const update = this.told.at(-1);
    return update && ('error' in update ? update.error.message : hosts(update.endpoints));
  }
}

function hosts(endpoints: readonly Endpoint[]): string {
  return endpoints.map(({ origin }) => origin.slice('http://'.length)).join(' ');
}

/** Real time: what is waited for comes from the file system. */
async function until(condition: () => boolean, what: () => unknown): Promise<void> {
  const end = systemClock.now() + 5_000;
  while (!condition()) {
    if (systemClock.now() > end) throw new Error(`it is still ${JSON.stringify(what())}: ${condition}`);
    await sleep(systemClock, 2);
  }
}

async function says(watched: Watched, expected: string | RegExp): Promise<void> {
  const right = (): boolean =>
    typeof expected === 'string' ? watched.last === expected : expected.test(watched.last ?? '');
  await until(right, () => [watched.last, String(expected)]);
}

/** Long enough for everything that may happen by mistake: notices come within a few ms. */
async function quiet(): Promise<void> {
  await sleep(systemClock, 60);
}

/** What this process watches in the file system, as Linux counts it: Node itself does not tell of what keeps nothing alive. */
function watches(): number {
  const folder = '/proc/self/fdinfo';
  if (!linux) return 0;
  const lines = readdirSync(folder).flatMap((fd) => {
    try {
      return readFileSync(join(folder, fd), 'utf8').split('\n');
    } catch {
      return []; // Closed meanwhile.
    }
  });
  return lines.filter((line) => line.startsWith('inotify wd:')).length;
}

describe('file', () => {
  it('tells what is in it, and again when it is written in place', async () => {
    writeFileSync(at('a.json'), content('a:1', 'b:2'));
    const watched = new Watched({ path: at('a.json') });
    await says(watched, 'a:1 b:2');
    writeFileSync(at('a.json'), content('c:3'));
    await says(watched, 'c:3');
    expect(watched.told).toHaveLength(2);
  });

  it('notices a file that is renamed over it, again and again', async () => {
    writeFileSync(at('a.json'), content('a:0'));
    const watched = new Watched({ path: at('a.json') });
    await says(watched, 'a:0');
    for (let i = 1; i <= 5; i++) {
      writeFileSync(at('a.json.tmp'), content(`a:${i}`));
      renameSync(at('a.json.tmp'), at('a.json'));
      await says(watched, `a:${i}`);
    }
    expect(watched.told.every((update) => 'endpoints' in update)).toBe(true);
  });

  it('follows a ConfigMap through its rotations, also by a link from elsewhere', async () => {
    mkdirSync(at('mount'));
    mkdirSync(at('etc'));
    // As the kubelet does it (AtomicWriter): a new folder, a link beside `..data`, renamed over it, the old folder removed.
    const rotate = (n: number): void => {
      const [now, before] = [n, n - 1].map((each) => `..2026_11_23_00_00_0${each}.42`) as [string, string];
      mkdirSync(at('mount', now));
      writeFileSync(at('mount', now, 'a.json'), content(`a:${n}`));
      symlinkSync(now, at('mount', '..data_tmp'));
      renameSync(at('mount', '..data_tmp'), at('mount', '..data'));
      if (n === 1) symlinkSync('..data/a.json', at('mount', 'a.json'));
      else rmSync(at('mount', before), { recursive: true });
    };
    rotate(1);
    symlinkSync('../mount/a.json', at('etc', 'b.json'));
    const [direct, linked] = [new Watched({ path: at('mount', 'a.json') }), new Watched({ path: at('etc', 'b.json') })];
    for (let n = 1; n <= 6; n++) {
      if (n > 1) rotate(n);
      await says(direct, `a:${n}`);
      await says(linked, `a:${n}`);
    }
    for (const { told } of [direct, linked]) expect(told.filter((update) => 'error' in update)).toEqual([]);
  });

  it('notices that a folder is turned elsewhere, and that another folder has taken its place', async () => {
    for (const name of ['one', 'two', 'three']) {
      mkdirSync(at(name));
      writeFileSync(at(name, 'a.json'), content(`${name}:1`));
    }
    symlinkSync('one', at('current'));
    const watched = new Watched({ path: at('current', 'a.json') });
    await says(watched, 'one:1');
    symlinkSync('two', at('next'));
    renameSync(at('next'), at('current'));
    await says(watched, 'two:1');
    renameSync(at('two'), at('old'));
    await says(watched, /ENOENT/);
    renameSync(at('three'), at('two'));
    await says(watched, 'three:1');
    writeFileSync(at('two', 'a.json'), content('three:2'));
    await says(watched, 'three:2');
    // So fast that nobody sees it missing: another folder by the same name.
    mkdirSync(at('four'));
    writeFileSync(at('four', 'a.json'), content('four:1'));
    renameSync(at('two'), at('older'));
    renameSync(at('four'), at('two'));
    await says(watched, 'four:1');
    await quiet();
    writeFileSync(at('two', 'a.json'), content('four:2'));
    await says(watched, 'four:2');
  });

  it('waits for a file, and for folders, that are not there yet', async () => {
    const watched = new Watched({ path: at('x', 'y', 'a.json') });
    await says(watched, /a\.json cannot be read: ENOENT/);
    mkdirSync(at('x'));
    await quiet();
    mkdirSync(at('x', 'y'));
    await quiet();
    writeFileSync(at('x', 'y', 'a.json'), content('a:1'));
    await says(watched, 'a:1');
    expect(watched.told).toHaveLength(2);
  });

  it('keeps what it knew, and says why, when the file vanishes; tells it again when it is back', async () => {
    writeFileSync(at('a.json'), content('a:1'));
    const watched = new Watched({ path: at('a.json') });
    await says(watched, 'a:1');
    unlinkSync(at('a.json'));
    await says(watched, /ENOENT/);
    writeFileSync(at('a.json'), content('a:1'));
    await says(watched, 'a:1');
    expect(watched.told.map((update) => Object.keys(update)[0])).toEqual(['endpoints', 'error', 'endpoints']);
  });

  it('takes a file without endpoints for nobody, and one without anything for an error', async () => {
    writeFileSync(at('a.json'), content('a:1'));
    const watched = new Watched({ path: at('a.json') });
    await says(watched, 'a:1');
    writeFileSync(at('a.json'), '');
    await says(watched, /a\.json: 1 problem\n {2}content = "": expected JSON/);
    writeFileSync(at('a.json'), content());
    await says(watched, '');
    expect(watched.told.at(-1)).toEqual({ endpoints: [] });
  });

  it('keeps what it knew when the content is wrong, and says all that is', async () => {
    writeFileSync(at('a.json'), content('a:1'));
    const watched = new Watched({ path: at('a.json') });
    await says(watched, 'a:1');
    writeFileSync(at('a.json'), '{ "endpoints": ["nowhere", { "origin": "http://b", "weigth": 1 }] }');
    await says(watched, /a\.json: 2 problems\n {2}endpoints\[0\] = "nowhere".*\n {2}endpoints\[1\]\.weigth.*weight\?$/);
    writeFileSync(at('a.json'), content('b:1'));
    await says(watched, 'b:1');
  });

  it('tells nothing when nothing has changed, and a trouble once', async () => {
    writeFileSync(at('a.json'), content('a:1'));
    const watched = new Watched({ path: at('a.json'), refreshMs: 10 });
    await says(watched, 'a:1');
    writeFileSync(at('a.json'), content('a:1'));
    await quiet();
    expect(watched.told).toHaveLength(1);
    writeFileSync(at('a.json'), 'x');
    await says(watched, /line 1, column 1 = "x"/);
    await quiet();
    expect(watched.told.length).toBeLessThanOrEqual(3);
    expect(watched.told.filter((update) => 'error' in update && /= "x"/.test(update.error.message))).toHaveLength(1);
  });

  it.each([
    ['a folder', (path: string) => mkdirSync(path), /it is not a file/],
    ['a pipe', (path: string) => execFileSync('mkfifo', [path]), /it is not a file/],
    ['too long', (path: string) => writeFileSync(path, content('a:1').padEnd(101)), /longer than 100 bytes/],
    ['a link to itself', (path: string) => symlinkSync(path, path), /ELOOP/],
    ['below a file', (path: string) => symlinkSync(`${path}.x/a`, path), /ENOTDIR/],
    ['a link to nowhere', (path: string) => symlinkSync('nowhere/at/all', path), /ENOENT/],
  ])('says so if it is %s, and reads what takes its place', async (_, make, expected) => {
    writeFileSync(at('a.json.x'), '');
    make(at('a.json'));
    const watched = new Watched({ path: at('a.json'), maxBytes: 100 });
    await says(watched, expected);
    rmSync(at('a.json'), { recursive: true });
    writeFileSync(at('a.json'), content('a:1'));
    await says(watched, 'a:1');
  });

  // For root every file can be read.
  it.skipIf(process.getuid?.() === 0)('says so if it may not be read, and reads it when it may', async () => {
    writeFileSync(at('a.json'), content('a:1'));
    chmodSync(at('a.json'), 0);
    const watched = new Watched({ path: at('a.json') });
    await says(watched, /EACCES/);
    chmodSync(at('a.json'), 0o600);
    await says(watched, 'a:1');
  });

  it('reads a file of 20,000 endpoints', async () => {
    const many = Array.from({ length: 20_000 }, (_, i) => `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}:8080`);
    writeFileSync(at('a.json'), content(...many));
    const watched = new Watched({ path: at('a.json') });
    await says(watched, many.join(' '));
  });

  it('takes a path from where the process stands, and one service of several', async () => {
    const services = { payments: ['http://a:1'], 'le dger': ['http://b:1'] };
    writeFileSync(at('a,b #1.json'), JSON.stringify({ services }));
    const path = relative(process.cwd(), at('a,b #1.json'));
    const watched = new Watched({ path, service: 'le dger' });
    await says(watched, 'b:1');
    const url = pathToFileURL(at('a,b #1.json')).href.replaceAll(',', '%2C');
    const resolver = resolverOf(`${url}#le%20dger`);
    expect(resolver.name).toBe(`${pathToFileURL(at('a,b #1.json')).href}#le%20dger`);
    expect(resolverOf('file:./a.json').name).toBe(pathToFileURL(join(process.cwd(), 'a.json')).href);
    expect(resolverOf('FILE:a.json#b').name).toBe(`${pathToFileURL(join(process.cwd(), 'a.json')).href}#b`);
  });

  it.each(['file://relative.json', 'file:', 'file:#payments', 'file:a.json#', 'file:///%', 'file:a.json#%'])(
    'refuses %s',
    (source) => {
      expect(() => resolverOf(source)).toThrow(/expected file:\/\/\/path\/of\/file\.json or file:\.\/file\.json/);
    },
  );

  it('refuses options that are wrong, all at once', () => {
    expect(() => file({ path: '', service: '', settleMs: -1, refreshMs: 0, maxBytes: 0 })).toThrow(/5 problems/);
    expect(() => file({} as never)).toThrow(/file\.path/);
    expect(() => file({ path: 'a', refresh: 1 } as never)).toThrow(/file\.refresh:/);
    expect(Object.isFrozen(fileDefaults)).toBe(true);
  });
});

describe('the time of a file', () => {
  it('is read every refreshMs, ±10 %, where nothing tells of a change', async () => {
    const clock = new VirtualClock();
    writeFileSync(at('a.json'), content('a:1'));
    const watched = new Watched({ path: at('a.json'), refreshMs: 30_000 }, clock);
    await says(watched, 'a:1');
    await until(
      () => clock.pending === 1,
      () => clock.pending,
    );
    const dues = new Set<number>();
    for (let i = 0; i < 5; i++) {
      const due = (clock.armed[0]?.due as number) - clock.now();
      expect(due).toBeGreaterThanOrEqual(27_000);
      expect(due).toBeLessThanOrEqual(33_000);
      dues.add(due);
      await clock.advance(due);
      await until(
        () => clock.pending === 1,
        () => clock.pending,
      );
    }
    expect(dues.size).toBe(5);
    expect(clock.pendingForeground).toBe(0);
    // Notices are one thing, time is another: at a clock that stands still a change waits for settleMs.
    writeFileSync(at('a.json'), content('b:1'));
    await until(
      () => clock.armed[0]?.due === clock.now() + 5,
      () => clock.armed[0]?.due,
    );
    expect(watched.last).toBe('a:1');
    await clock.advance(5);
    await says(watched, 'b:1');
  });

  it('is read once more if it has changed while it was read', async () => {
    const clock = new VirtualClock();
    writeFileSync(at('a.json'), content('a:1'));
    const watched = new Watched({ path: at('a.json') }, clock);
    await says(watched, 'a:1');
    const idle = (): boolean => clock.pending === 1;
    await until(idle, () => clock.pending);
    // The notice of it comes in the next turn; a reading takes several.
    clock.armed[0]?.fire();
    writeFileSync(at('a.json'), content('b:1'));
    await says(watched, 'b:1');
    expect(clock.armed[0]?.due).toBe(clock.now() + 5);
  });

  it('is not put off by changes that never cease, and other files are no changes', async () => {
    const clock = new VirtualClock();
    writeFileSync(at('a.json'), content('a:1'));
    const watched = new Watched({ path: at('a.json'), settleMs: 100 }, clock);
    await says(watched, 'a:1');
    await until(
      () => clock.pending === 1,
      () => clock.pending,
    );
    const idle = clock.armed[0]?.due;
    writeFileSync(at('b.json'), content('b:1'));
    await quiet();
    expect(clock.armed[0]?.due).toBe(idle);
    writeFileSync(at('a.json'), 'half');
    await until(
      () => clock.armed[0]?.due === clock.now() + 100,
      () => clock.armed[0]?.due,
    );
    await clock.advance(60);
    writeFileSync(at('a.json'), content('c:1'));
    await quiet();
    expect(clock.armed[0]?.due).toBe(100);
    await clock.advance(40);
    await says(watched, 'c:1');
    expect(watched.told).toHaveLength(2);
  });

  it('ends with its scope: no timer, no watcher, no late news', async () => {
    const before = watches();
    const clock = new VirtualClock();
    writeFileSync(at('a.json'), content('a:1'));
    const [one, two] = [new Watched({ path: at('a.json') }, clock), new Watched({ path: at('a.json') }, clock)];
    await says(one, 'a:1');
    await says(two, 'a:1');
    if (linux) expect(watches()).toBeGreaterThan(before);
    one.scope.cancel();
    // The other goes on: they share nothing.
    await until(
      () => clock.pending === 1,
      () => clock.pending,
    );
    writeFileSync(at('a.json'), content('b:1'));
    await until(
      () => clock.armed[0]?.due === clock.now() + 5,
      () => clock.armed[0]?.due,
    );
    await clock.advance(5);
    await says(two, 'b:1');
    two.scope.cancel();
    await quiet();
    expect([one.told.length, two.told.length, watches() - before]).toEqual([1, 2, 0]);
    checkLeaks({ clock, scopes });
  });

  it('ends in the middle of a reading', async () => {
    const before = watches();
    const clock = new VirtualClock();
    writeFileSync(at('a.json'), content('a:1'));
    const all = Array.from({ length: 20 }, () => new Watched({ path: at('a.json') }, clock));
    for (const [i, { scope }] of all.entries()) {
      for (let turns = 0; turns < i; turns++) await new Promise((resolve) => process.nextTick(resolve));
      if (i > 10) await sleep(systemClock, 1);
      scope.cancel();
    }
    await quiet();
    expect(watches() - before).toBe(0);
    checkLeaks({ clock, scopes });
    const already = new Watched({ path: at('a.json') }, clock);
    already.scope.cancel();
    await quiet();
    expect(already.told).toEqual([]);
  });
});
