/**
 * @module What the whole stack costs per request, beside the floor and beside the built-in fetch. The server is another
 * process on another core and answers canned bytes, so that the client is what is measured.
 *
 * `npm run bench -- overhead` takes some minutes; `npm run bench -- overhead short` half of one, and writes no results.
 */
import { startApart } from './apart.ts';
import { measure, type Row, save } from './measure.ts';
import { cases } from './overhead/cases.ts';
import { spread } from './spread.ts';

const short = process.argv.includes('short');
const ENDPOINTS = 5;
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
            { case: 'Fairlead, everything on, 5 endpoints', metric: 'p50', over: 'Pool.request', max: 5 },
            { case: 'Fairlead, everything on, 5 endpoints', metric: 'p99', over: 'Pool.request', max: 20 },
          ]
        : [{ case: 'Fairlead, everything on, 5 endpoints', metric: 'cpu', ratioTo: 'Pool.request', max: 1.35 }],
  });
  const cpu = (name: string): number => measured.find((row) => row.case === name && row.metric === 'cpu')?.median ?? 0;
  const share = cpu('Fairlead, everything on, 5 endpoints') / cpu('built-in fetch');
  if (connections > 1 && share >= 0.5) process.exitCode = 1;
  console.log(
    `${share < 0.5 ? 'met   ' : 'MISSED'}  everything on: ${share.toFixed(3)} × built-in fetch, less than 0.5`,
  );
  rows.push(...measured.map((row) => ({ ...row, case: `${row.case}, ${connections} connections` })));
  await Promise.all(opened.map((each) => each.close()));
}
if (!short) save('overhead', rows);
server.kill();
process.exit();
