/**
 * @module What the whole stack costs per request, beside the floor, the built-in fetch and what teams use today. The server
 * is another process on another core and answers canned bytes, so that the client is what is measured.
 *
 * `npm run bench -- overhead` takes some minutes. `short` takes half of one: it leaves the peers out, beside which undici is
 * dearer than by itself, and has results of its own. `gate` is what CI runs: short, and its bars are those results.
 */
import { startApart } from './apart.ts';
import { type Bar, measure, type Row, save } from './measure.ts';
import { cases as own } from './overhead/cases.ts';
import { regressed } from './overhead/regression.ts';
import { peers } from './peers/cases.ts';
import { spread } from './spread.ts';

const gate = process.argv.includes('gate');
const short = gate || process.argv.includes('short');
const ENDPOINTS = 5;
const ours = 'Fairlead, everything on, 5 endpoints';
/** Those that the README speaks of; the others are in the benchmark `peers`. */
const today = /^(axios|got|cockatiel|opossum)/;
const cases = short ? own : [...own, ...peers.filter(({ name }) => today.test(name))];
const { process: server, ready: origins } = await startApart<string[]>('canned-server.mjs', String(ENDPOINTS));

const bars: Readonly<Record<number, readonly Bar[]>> = {
  32: [
    { case: ours, metric: 'cpu', ratioTo: 'Pool.request', max: 1.2 },
    { case: ours, metric: 'cpu', ratioTo: 'built-in fetch', max: 0.35 },
    { case: ours, metric: 'cpu', over: 'Fairlead, bare face, 5 endpoints', max: 5 },
    { case: ours, metric: 'allocated', max: 12_288 },
  ],
  1: [
    { case: ours, metric: 'p50', over: 'Pool.request', max: 5 },
    { case: ours, metric: 'p99', over: 'Pool.request', max: 20 },
  ],
};

/** One at a time everything takes longer, and what it takes is mostly waiting. */
function amount(connections: number): { perRound: number; settle: number } {
  if (connections === 1) return short ? { perRound: 1_000, settle: 200 } : { perRound: 4_000, settle: 400 };
  return short ? { perRound: 8_000, settle: 1_000 } : { perRound: 16_000, settle: 1_000 };
}

async function measureWith(connections: number): Promise<Row[]> {
  const opened = await Promise.all(cases.map((each) => each.open(origins, connections)));
  const measured = await measure({
    name: `${connections} connection${connections > 1 ? 's' : ''}, GET of a small JSON, per request`,
    rounds: short ? 9 : 15,
    ...amount(connections),
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
    bars: gate ? [] : (bars[connections] ?? []),
  });
  await Promise.all(opened.map((each) => each.close()));
  return measured.map((row) => ({ ...row, case: `${row.case}, ${connections} connections` }));
}

if (gate) {
  // Three times before it counts: what a neighbour on the machine does to one run, it does not do to all.
  let over = regressed(await measureWith(32));
  for (let again = 0; again < 2 && over.length > 0; again++) over = regressed(await measureWith(32));
  for (const each of over) console.log(`DEARER  ${each}`);
  process.exitCode = over.length > 0 ? 1 : 0;
} else {
  const rows = [...(await measureWith(32)), ...(await measureWith(1))];
  save(short ? 'overhead.short' : 'overhead', rows);
}
server.kill();
process.exit();
