/**
 * @module What importing `fairlead` adds to the start of a process, beside undici alone: time and memory, each in a process
 * of its own that has done nothing before. What an import of nothing shows is the error of the method.
 *
 * `npm run bench -- start`, or `-- start short`, which writes no results.
 */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { pin } from './apart.ts';
import { check, median, type Row, round, save } from './measure.ts';

const short = process.argv.includes('short');
const rounds = short ? 7 : 31;
const imports = [null, 'undici', 'fairlead'] as const;
const load = fileURLToPath(new URL('start/load.mjs', import.meta.url));
const units = { wall: 'ms', cpu: 'ms', heap: 'bytes', rss: 'bytes' } as const;
type Sample = Record<keyof typeof units, number>;
const metrics = Object.keys(units) as (keyof Sample)[];

pin(process.pid, 1);
const taken = new Map<string, Sample[]>(imports.map((name) => [named(name), []]));
// The first round finds nothing in the caches of the file system, and does not count.
for (let i = 0; i <= rounds; i++) {
  for (let k = 0; k < imports.length; k++) {
    const name = imports[(i + k) % imports.length] ?? null;
    const { stdout, stderr } = spawnSync(process.execPath, ['--expose-gc', load, ...(name === null ? [] : [name])], {
      encoding: 'utf8',
    });
    if (stdout === '') throw new Error(`importing ${name} failed: ${stderr}`);
    if (i > 0) taken.get(named(name))?.push(JSON.parse(stdout) as Sample);
  }
}

const rows = imports.flatMap((name) => metrics.map((metric) => row(named(name), metric)));
console.log(`\nimports in fresh processes, ${rounds} rounds, medians`);
console.table(
  Object.fromEntries(
    imports.map((name) => {
      const find = (metric: keyof Sample): number =>
        rows.find((each) => each.case === named(name) && each.metric === metric)?.median ?? 0;
      return [
        named(name),
        { 'wall ms': find('wall'), 'CPU ms': find('cpu'), 'heap KiB': kib(find('heap')), 'rss KiB': kib(find('rss')) },
      ];
    }),
  ),
);
check('fairlead over undici, time to import', more('wall'), 'ms', 25);
check('fairlead over undici, heap', more('heap') / 2 ** 20, 'MiB', 6);
check('fairlead over undici, memory of the process', more('rss') / 2 ** 20, 'MiB', 6);
if (!short) save('start', rows);

/** The median of the differences within rounds. */
function more(metric: keyof Sample): number {
  const [ours, theirs] = [values('fairlead', metric), values('undici', metric)];
  return median(ours.map((value, i) => value - (theirs[i] as number)));
}

function values(name: string, metric: keyof Sample): number[] {
  return (taken.get(name) ?? []).map((sample) => sample[metric]);
}

function row(name: string, metric: keyof Sample): Row {
  const own = values(name, metric);
  const base = values('undici', metric);
  return {
    case: name,
    metric,
    unit: units[metric],
    median: round(median(own)),
    min: round(Math.min(...own)),
    max: round(Math.max(...own)),
    ratioTo: name === 'undici' ? {} : { undici: round(median(own.map((value, i) => value / (base[i] as number)))) },
  };
}

function named(name: string | null): string {
  return name ?? 'nothing';
}

function kib(bytes: number): number {
  return Math.round(bytes / 1_024);
}
