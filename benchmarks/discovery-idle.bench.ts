/**
 * @module What 100 watched Services cost a process while nothing happens: CPU over half a minute, and memory.
 *
 * `npm run bench -- discovery-idle` takes some two minutes; `-- discovery-idle short` half a minute, and writes no results.
 */
import { startApart } from './apart.ts';
import { rowOf, type Server, watching } from './discovery/apart.ts';
import { check, median, save } from './measure.ts';

const short = process.argv.includes('short');
const rounds = short ? 1 : 5;
const seconds = short ? 10 : 25;
const name = '100 idle Services';
const { ready: server } = await startApart<Server>('discovery/server.ts', '100', '1', '5');

const told = Array.from({ length: rounds }, () => watching(server, 100, seconds));
const rows = [
  rowOf(
    name,
    'share of a core',
    '',
    told.map(({ core }) => core),
  ),
  rowOf(
    name,
    'kept for each',
    'bytes',
    told.map(({ kept }) => kept),
  ),
];
console.log(`\n${name} of 5 endpoints each, ${rounds} × ${seconds} s`);
console.table(rows.map(({ metric, unit, median: value, min, max }) => ({ metric, unit, median: value, min, max })));
check('CPU', median(told.map(({ core }) => core)) * 100, '% of a core', 0.1);
check('memory for each Service', median(told.map(({ kept }) => kept)) / 1_000, 'KB', 20);
if (!short) save('discovery-idle', rows);
process.exit();
