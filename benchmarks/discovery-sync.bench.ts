/**
 * @module How long a process needs to know a Service of 20,000 endpoints, and how much memory on the way. Each round is a
 * fresh process that asks a server in another one over loopback, HTTP/2 as clients speak to API servers: 200 slices of 100 endpoints, 6.5 MB.
 *
 * `npm run bench -- discovery-sync`; `-- discovery-sync short` writes no results.
 */
import { startApart } from './apart.ts';
import { rowOf, type Server, watching } from './discovery/apart.ts';
import { check, median, save } from './measure.ts';

const short = process.argv.includes('short');
const rounds = short ? 3 : 21;
const name = '20,000 endpoints in 200 slices';
const { ready: server } = await startApart<Server>('discovery/server.ts', '1', '200');

const told = Array.from({ length: rounds }, () => watching(server, 1, 0));
for (const { endpoints } of told) if (endpoints !== 20_000) throw new Error(`${endpoints} endpoints instead of 20,000`);
const rows = [
  rowOf(
    name,
    'after the last byte',
    'ms',
    told.map(({ afterLastByte }) => afterLastByte),
  ),
  rowOf(
    name,
    'from the request on',
    'ms',
    told.map(({ total }) => total),
  ),
  rowOf(
    name,
    'peak over base',
    'bytes',
    told.map(({ peak }) => peak),
  ),
  rowOf(
    name,
    'kept',
    'bytes',
    told.map(({ kept }) => kept),
  ),
];
console.log(`\n${name}, ${rounds} fresh processes`);
console.table(rows.map(({ metric, unit, median: value, min, max }) => ({ metric, unit, median: value, min, max })));
check('known after the last byte', median(told.map(({ afterLastByte }) => afterLastByte)), 'ms', 150);
check('peak of the process over its base', median(told.map(({ peak }) => peak)) / 1e6, 'MB', 40);
if (!short) save('discovery-sync', rows);
process.exit();
