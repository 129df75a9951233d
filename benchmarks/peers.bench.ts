/**
 * @module Everything on, beside what teams use today with their usual resilience on: CPU time and garbage per request. The
 * server is another process on another core and answers canned bytes.
 *
 * `npm run bench -- peers` takes some minutes; `npm run bench -- peers short` half of one, and writes no results.
 */
import { startApart } from './apart.ts';
import { measure, save } from './measure.ts';
import { cases } from './overhead/cases.ts';
import { peers } from './peers/cases.ts';
import { spread } from './spread.ts';

const short = process.argv.includes('short');
const CONNECTIONS = 32;
const ours = 'Fairlead, everything on, 5 endpoints';

const server = await startApart<string[]>('canned-server.mjs', '5');
const all = [...cases.filter(({ name }) => name !== 'Fairlead, everything on, 1 endpoint'), ...peers];
const opened = await Promise.all(all.map((each) => each.open(server.ready, CONNECTIONS)));
const rows = await measure({
  name: `GET of a small JSON over ${CONNECTIONS} connections, per request`,
  rounds: short ? 5 : 15,
  perRound: short ? 1_000 : 4_000,
  baseline: ours,
  cases: all.map(({ name, share }, i) => ({
    name,
    per: share,
    run: (n) => spread(Math.max(1, Math.round(n * share)), CONNECTIONS, (opened[i] as (typeof opened)[0]).call),
  })),
  // Cheaper than all of them; only the bare floor may be below.
  bars: peers.map(({ name }) => ({
    says: `everything on against ${name}`,
    unit: 'of its CPU',
    max: 1,
    of: (figure) => figure(ours, 'cpu') / figure(name, 'cpu'),
  })),
});
await Promise.all(opened.map((each) => each.close()));
if (!short) save('peers', rows);
process.exit();
