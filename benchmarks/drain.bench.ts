/**
 * @module A rolling restart of five replicas under load: SIGTERM, wait until it is gone, start it again, wait until it is
 * ready, then the next. Callers that keep their connections, of four kinds, must not see a single failure. Beside it what a
 * server does that only calls `close()`, and one that does nothing.
 *
 * Every process is real; the cluster is played. The news that a replica is no longer ready reaches callers 0.7 s after its
 * probe has said so. Fairlead knows the replicas themselves, from a file; the others call one address, as that of a Service:
 * see drain/service.ts.
 *
 * `npm run bench -- drain`, or `-- drain short`, which restarts two and writes no results.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createClient } from 'fairlead';
import { builtInFetch, type Caller, fairlead, httpAgent, wrk } from './drain/callers.ts';
import { openService } from './drain/service.ts';
import { PROPAGATION_MS } from './drain/timing.ts';
import { check, type Row, save } from './measure.ts';

const short = process.argv.includes('short');
const REPLICAS = 5;
const RESTARTS = short ? 2 : REPLICAS;
const PROBE_EVERY_MS = 100;
const folder = mkdtempSync(join(tmpdir(), 'fairlead-drain-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
const file = join(folder, 'orders.json');

const rows: Row[] = [];
const table: Record<string, unknown>[] = [];
for (const manner of ['exit', 'close', 'guard'] as const) {
  for (const each of await rollingRestart(manner)) {
    table.push({ replicas: manner, caller: each.name, ...each.tally, how: JSON.stringify(each.tally.how) });
    const share = { case: `${manner}: ${each.name}`, metric: 'failed', unit: 'requests', ratioTo: {} };
    rows.push({ ...share, median: each.tally.failed, min: each.tally.failed, max: each.tally.failed });
  }
}
console.log(
  `\n${RESTARTS} of ${REPLICAS} replicas restarted one after the other, ${PROPAGATION_MS} ms until callers know`,
);
console.table(table);
for (const { caller, replicas, requests, failed } of table) {
  if (replicas !== 'guard') continue;
  check(`${caller}: requests that failed, of ${requests}`, failed as number, '', 0);
}
if (!short) save('drain', rows);
process.exit();

async function rollingRestart(manner: string): Promise<{ name: string; tally: Awaited<ReturnType<Caller['stop']>> }[]> {
  const replicas = await Promise.all(Array.from({ length: REPLICAS }, () => start(manner, 0)));
  const service = await openService(replicas.map(({ port }) => port));
  const tell = (ready: readonly number[]): void => {
    service.ready = ready;
    // As one file: a reader must not find half of it.
    writeFileSync(`${file}.new`, JSON.stringify({ endpoints: ready.map((port) => `http://127.0.0.1:${port}`) }));
    renameSync(`${file}.new`, file);
  };
  tell(service.ready);
  const probing = setInterval(async () => {
    const answers = await Promise.all(replicas.map(async ({ port }) => ((await isReady(port)) ? port : 0)));
    const ready = answers.filter((port) => port !== 0);
    setTimeout(() => tell(ready), PROPAGATION_MS);
  }, PROBE_EVERY_MS);
  const client = createClient({ environment: false, services: { orders: { from: `file://${file}` } } });
  const callers = [fairlead(client), builtInFetch(service.port), httpAgent(service.port), wrk(service.port, 120)];
  if (callers.includes(null)) console.log('skipped  wrk: it is not installed. On Debian: apt-get install wrk');
  await pause(500);
  for (const replica of replicas.slice(0, RESTARTS)) {
    replica.process.kill('SIGTERM');
    await once(replica.process, 'exit');
    Object.assign(replica, await start(manner, replica.port));
    // As a rollout does, which goes on only when the new one is ready, and has been for a moment.
    await pause(PROPAGATION_MS + 3 * PROBE_EVERY_MS);
  }
  const tallies = [];
  for (const caller of callers) if (caller !== null) tallies.push({ name: caller.name, tally: await caller.stop() });
  clearInterval(probing);
  await client.close();
  await pause(PROPAGATION_MS);
  service.close();
  for (const { process } of replicas) process.kill('SIGKILL');
  return tallies;
}

async function start(manner: string, port: number): Promise<{ process: ChildProcess; port: number }> {
  const module = fileURLToPath(new URL('drain/replica.ts', import.meta.url));
  const child = fork(module, [String(port), manner]);
  const [listening] = (await once(child, 'message')) as [number];
  return { process: child, port: listening };
}

/** As a kubelet asks: over a connection of its own. */
function isReady(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const request = get({ port, host: '127.0.0.1', path: '/readyz', agent: false, timeout: 1_000 }, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    request.on('timeout', () => request.destroy());
    request.on('error', () => resolve(false));
  });
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
