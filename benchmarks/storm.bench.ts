/**
 * @module The retry storm of Bronson et al., "Metastable Failures in Distributed Systems" (HotOS 2021), between real
 * processes: 280 calls per second, whatever becomes of them, to a server that does 300, in order. For ten seconds the server
 * is stopped (SIGSTOP): the kernel goes on accepting for it, nobody answers. Every call has a second, and three retries.
 *
 * One pair of processes after another for each way of calling. `plain` is a server as they are: what was asked is done,
 * also for callers who have left. `guarded` stands behind our guard, and passes over requests whose caller has left; it
 * sheds no load, which would help everybody.
 *
 * `npm run bench -- storm` takes six minutes; `short` two, and writes no results.
 */
import { once } from 'node:events';
import { sleep, systemClock } from 'fairlead';
import { type Apart, startApart } from './apart.ts';
import { check, type Row, round, save } from './measure.ts';

const short = process.argv.includes('short');
const PER_SECOND = 280;
const CAPACITY = 300;
/** In seconds from the first call. */
const [FROM, TO, END] = short ? [5, 10, 20] : [20, 30, 60];

interface Way {
  readonly name: string;
  readonly callers: string;
  readonly server: 'plain' | 'guarded';
}

const ways: readonly Way[] = [
  { name: 'fetch in a loop, a plain server', callers: 'loop', server: 'plain' },
  { name: 'p-retry around fetch, a plain server', callers: 'pRetry', server: 'plain' },
  { name: 'fetch in a loop, a guarded server', callers: 'loop', server: 'guarded' },
  { name: 'fairlead, a plain server', callers: 'fairlead', server: 'plain' },
  { name: 'fairlead with its breaker, a plain server', callers: 'breaker', server: 'plain' },
  { name: 'fairlead, a guarded server', callers: 'fairlead', server: 'guarded' },
];

/** What callers tell: for each tenth of a second, the calls that were begun then, and those of them that were answered well. */
interface Told {
  readonly begun: readonly number[];
  readonly good: readonly number[];
}

interface Result {
  /** Share of the calls begun before the blackout, and in the last five seconds, that were answered well. */
  readonly before: number;
  readonly after: number;
  /** Requests per second that arrived in the last five seconds. */
  readonly arrivals: number;
  /**
   * From the end of the blackout to the first second of whose calls 98 % of the share before were answered well; Infinity
   * if there is none. A share, so that a busy machine, on which all of this goes slower for a moment, does not decide.
   */
  readonly recoveryMs: number;
}

async function run({ callers, server }: Way): Promise<Result> {
  const database = await startApart<string>('storm/database.mjs', String(CAPACITY), server);
  const load = await startApart<string>('storm/callers.ts', callers, database.ready, String(PER_SECOND), String(END));
  const begun = systemClock.now();
  const at = (seconds: number): Promise<void> => sleep(systemClock, begun + seconds * 1_000 - systemClock.now());
  const told = once(load.process, 'message') as Promise<[Told]>;
  load.process.send('go');
  await at(FROM);
  database.process.kill('SIGSTOP');
  await at(TO);
  database.process.kill('SIGCONT');
  // The clock of the callers began a little later than this one, and their slots with it: by less than a slot.
  await at(END - 5);
  const arrived = await arrivals(database);
  await at(END);
  const more = (await arrivals(database)) - arrived;
  const [{ begun: calls, good }] = await told;
  for (const { process: each } of [load, database]) each.kill('SIGKILL');
  const sum = (of: readonly number[], from: number, to: number): number => {
    return of.slice(from * 10, to * 10).reduce((a, b) => a + b, 0);
  };
  const share = (from: number, to: number): number => sum(good, from, to) / sum(calls, from, to);
  const before = share(FROM / 2, FROM - 1);
  let recoveryMs = Number.POSITIVE_INFINITY;
  for (let slot = TO * 10; slot + 10 <= END * 10; slot++) {
    if (!(share(slot / 10, slot / 10 + 1) >= 0.98 * before)) continue;
    recoveryMs = (slot - TO * 10) * 100;
    break;
  }
  return { before, after: share(END - 5, END), arrivals: more / 5, recoveryMs };
}

async function arrivals({ process: server }: Apart<string>): Promise<number> {
  const told = once(server, 'message') as Promise<[number]>;
  server.send('how many?');
  return (await told)[0];
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1)} %`;
}

const rows: Row[] = [];
function row(name: string, metric: string, unit: string, value: number): void {
  // JSON has no Infinity: -1 is never.
  const rounded = Number.isFinite(value) ? round(value) : -1;
  rows.push({ case: name, metric, unit, median: rounded, min: rounded, max: rounded, ratioTo: {} });
}

console.log(`\n280 calls per second, a server of 300, stopped from ${FROM} to ${TO} s of ${END} s`);
for (const way of ways) {
  const { before, after, arrivals, recoveryMs } = await run(way);
  const recovered = Number.isFinite(recoveryMs) ? `after ${(recoveryMs / 1_000).toFixed(1)} s` : 'never';
  console.log(
    `  ${way.name.padEnd(42)} ${percent(before)} good before, ${percent(after)} at the end; ` +
      `${arrivals.toFixed(0)} requests/s; recovered ${recovered}`,
  );
  row(way.name, 'recovery, -1 is never', 'ms', recoveryMs);
  row(way.name, 'good before', '%', before * 100);
  row(way.name, 'good at the end', '%', after * 100);
  row(way.name, 'requests at the end', '1/s', arrivals);
  if (way.name === 'fairlead, a guarded server') {
    check('fairlead, a guarded server: back to 98 % of the goodput before', recoveryMs, 'ms', 1_000);
  }
}
if (!short) save('storm', rows);
process.exit();
