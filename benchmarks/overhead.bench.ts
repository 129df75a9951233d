/**
 * @module What the whole stack costs per request, beside the floor, the built-in fetch and what teams use today. The server
 * is another process on another core and answers canned bytes, so that the client is what is measured.
 *
 * `npm run bench -- overhead` takes some minutes; `npm run bench -- overhead short` half of one; it leaves
 * the peers out and writes no results.
 */
import { startApart } from './apart.ts';
import { measure, type Row, save } from './measure.ts';
import { cases as own } from './overhead/cases.ts';
import { peers } from './peers/cases.ts';
import { spread } from './spread.ts';

const short = process.argv.includes('short');
const ENDPOINTS = 5;
const ours = 'Fairlead, everything on, 5 endpoints';
/** Those that the README speaks of; the others are in the benchmark `peers`. */
const today = /^(axios|got|cockatiel|opossum)/;
const cases = short ? own : [...own, ...peers.filter(({ name }) => today.test(name))];
const { process: server, ready: origins } = await startApart<string[]>('canned-server.mjs', String(ENDPOINTS));

const rows: Row[] = [];
for (const connections of [32, 1]) {
  const opened = await Promise.all(cases.map((each) => each.open(origins, connections)));
  const measured = await measure({
    name: `${connections} connection${connections > 1 ? 's' : ''}, GET of a small JSON, per request`,
    rounds: short ? 5 : 15,
    perRound: short ? (connections === 1 ? 800 : 2_000) : 4_000,
    baseline: 'Pool.request',
    cases: cases.map(({ name, share }, i) => ({
      name,
      per: share,
      run: (n, latencies) => {
        const { call } = opened[i] as (typeof opened)[0];
        // With many at a time a latency is mostly the wait for the others.
        return spread(Math.max(1, Math.round(n * share)), connections, call, connections === 1 ? latencies : undefined);
      },
    })),
    bars:
      connections === 1
        ? [
            { case: ours, metric: 'p50', over: 'Pool.request', max: 5 },
            { case: ours, metric: 'p99', over: 'Pool.request', max: 20 },
          ]
        : [
            { case: ours, metric: 'cpu', ratioTo: 'Pool.request', max: 1.2 },
            { case: ours, metric: 'cpu', ratioTo: 'built-in fetch', max: 0.35 },
            { case: ours, metric: 'cpu', over: 'Fairlead, bare face, 5 endpoints', max: 5 },
            { case: ours, metric: 'allocated', max: 12_288 },
          ],
  });
  rows.push(...measured.map((row) => ({ ...row, case: `${row.case}, ${connections} connections` })));
  await Promise.all(opened.map((each) => each.close()));
}
if (!short) save('overhead', rows);
server.kill();
process.exit();
