/**
 * @module What `import '@fairlead/kubernetes'` costs, beside the official client: time and memory, each in a process of its
 * own that has done nothing before. The official client is installed for this run into a temporary folder, since it weighs
 * 83 MB with what it needs; without a registry its rows and the bar on it are skipped.
 *
 * `npm run bench -- import`, or `-- import short`, which writes no results.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { rowOf } from './discovery/apart.ts';
import { check, median, type Row, save } from './measure.ts';

const short = process.argv.includes('short');
const rounds = short ? 5 : 21;
const official = '@kubernetes/client-node@2.0.1';
const load = fileURLToPath(new URL('start/load.mjs', import.meta.url));
const units = { wall: 'ms', cpu: 'ms', heap: 'bytes', rss: 'bytes' } as const;
type Sample = Record<keyof typeof units, number>;

const folder = mkdtempSync(join(tmpdir(), 'fairlead-import-'));
const cases = new Map<string, string>([['@fairlead/kubernetes', '@fairlead/kubernetes']]);
try {
  writeFileSync(join(folder, 'package.json'), '{"private":true,"type":"module"}\n');
  const install = ['install', '--no-audit', '--no-fund', '--ignore-scripts', '--loglevel=error', official];
  const { status } = spawnSync('npm', install, { cwd: folder, stdio: 'ignore', shell: process.platform === 'win32' });
  if (status !== 0) console.log(`skipped  ${official}: npm could not install it`);
  else {
    const client = join(folder, 'client.mjs');
    writeFileSync(client, "import '@kubernetes/client-node';\n");
    cases.set(official, pathToFileURL(client).href);
  }
  run();
} finally {
  rmSync(folder, { recursive: true, force: true });
}

function run(): void {
  const taken = new Map<string, Sample[]>([...cases.keys()].map((name) => [name, []]));
  // The first round finds nothing in the caches of the file system, and does not count.
  for (let i = 0; i <= rounds; i++) {
    for (const [name, specifier] of cases) {
      const { stdout, stderr } = spawnSync(process.execPath, ['--expose-gc', load, specifier], { encoding: 'utf8' });
      if (stdout === '') throw new Error(`importing ${name} failed: ${stderr}`);
      if (i > 0) taken.get(name)?.push(JSON.parse(stdout) as Sample);
    }
  }
  const values = (name: string, metric: keyof Sample): number[] => (taken.get(name) ?? []).map((each) => each[metric]);
  const rows: Row[] = [...cases.keys()].flatMap((name) =>
    (Object.keys(units) as (keyof Sample)[]).map((metric) => rowOf(name, metric, units[metric], values(name, metric))),
  );
  console.log(`\nimports in fresh processes, ${rounds} rounds`);
  console.table(
    rows.map(({ case: name, metric, unit, median: value, min, max }) => ({
      name,
      metric,
      unit,
      median: value,
      min,
      max,
    })),
  );
  check('memory of the process', median(values('@fairlead/kubernetes', 'rss')) / 1e6, 'MB', 10);
  if (cases.has(official)) {
    const theirs = values(official, 'wall');
    const ratios = values('@fairlead/kubernetes', 'wall').map((ms, i) => ms / (theirs[i] as number));
    check('time to import', median(ratios), `× ${official}`, 0.1);
  }
  if (!short) save('import', rows);
}
