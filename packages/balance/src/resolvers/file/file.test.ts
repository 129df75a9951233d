// Catches: a change of a file that is not noticed (written in place, renamed over, a ConfigMap that is rotated, a folder
// that appears later), a broken or missing file that costs endpoints, news that are none. With real files, since it is about
// what file systems tell.
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, renameSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, it } from 'vitest';
import { at, content, quiet, says, Watched } from '../../../test/watched-file.js';
import { resolverOf } from '../source.js';
import { file, fileDefaults } from './file.js';

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

  it('tells the very same again when nothing has changed, as a sign of life, and a trouble once', async () => {
    // In one step: it is read so often that half of a file would be seen.
    const replace = (text: string): void => {
      writeFileSync(at('new'), text);
      renameSync(at('new'), at('a.json'));
    };
    replace(content('a:1'));
    const watched = new Watched({ path: at('a.json'), refreshMs: 10 });
    await says(watched, 'a:1');
    replace(content('a:1'));
    await quiet();
    const snapshots = watched.told.map((update) => ('endpoints' in update ? update.endpoints : null));
    expect(snapshots.length).toBeGreaterThan(1);
    // Not read anew: the same list, which costs nobody anything.
    expect(new Set(snapshots).size).toBeLessThanOrEqual(2);
    replace('x');
    await says(watched, /line 1, column 1 = "x"/);
    await quiet();
    expect(watched.told.filter((update) => 'error' in update)).toHaveLength(1);
    expect(watched.told.at(-1)).toHaveProperty('error');
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
    expect(file({ path: '/a', settleMs: undefined } as never).name).toBe('file:///a');
    expect(() => file({} as never)).toThrow(/file\.path/);
    expect(() => file({ path: 'a', refresh: 1 } as never)).toThrow(/file\.refresh:/);
    expect(Object.isFrozen(fileDefaults)).toBe(true);
  });
});
