/**
 * @module What the whole stack costs per request, beside the floor and beside what teams use today. The server is another
 * process on another core and answers canned bytes, so that the client is what is measured.
 *
 * `npm run bench -- overhead` takes some minutes; `npm run bench -- overhead short` half of one, and writes no results.
 */
import { fork, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { measure, type Row, save } from './measure.ts';
import { cases } from './overhead/cases.ts';

const short = process.argv.includes('short');
const ENDPOINTS = 5;
const server = fork(fileURLToPath(new URL('canned-server.mjs', import.meta.url)), [String(ENDPOINTS)]);
const [origins] = (await once(server, 'message')) as [string[]];
pin(server.pid as number, 0);
pin(process.pid, 1);

const rows: Row[] = [];
for (const connections of [32, 1]) {
  const opened = await Promise.all(cases.map((each) => each.open(origins, connections)));
  const measured = await measure({
    name: `${connections} connection${connections > 1 ? 's' : ''}, GET of a small JSON, per request`,
    rounds: short ? 5 : 15,
    perRound: connections === 1 ? 800 : short ? 2_000 : 4_000,
    baseline: 'Pool.request',
    cases: cases.map(({ name, share }, i) => ({
      name,
      per: share,
      run: (n) => spread(Math.max(1, Math.round(n * share)), connections, (opened[i] as (typeof opened)[0]).call),
    })),
    bars:
      connections === 1
        ? []
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

/** Makes `total` calls, `width` of them at a time. */
async function spread(total: number, width: number, call: () => Promise<unknown>): Promise<void> {
  let left = total;
  const worker = async (): Promise<void> => {
    while (left-- > 0) await call();
  };
  await Promise.all(Array.from({ length: width }, worker));
}

/** Keeps a process, all of its threads, on one core where the system can do that. */
function pin(pid: number, core: number): void {
  spawnSync('taskset', ['-acp', String(core), String(pid)], { stdio: 'ignore' });
}
