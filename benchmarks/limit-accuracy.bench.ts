/**
 * @module How exact limits are under bursts: what they admit of the same requests, over what a token bucket of the textbook
 * admits, and by how much they ever exceed burst and rate together. The buckets of one process run in virtual time, with a
 * fixed window beside them. Those of a fleet run on a real redis-server, in 1, 5 and 50 processes, of which at most five are
 * real and the others clients of their own within one of those, and run in real time.
 *
 * In real time nobody knows when exactly Redis decided: some time between question and answer. What counts as too many is
 * what was certainly decided within a window. With a part of the burst held ahead, that part may be missing.
 *
 * `npm run bench -- limit-accuracy`, or `-- limit-accuracy short`, which writes no results.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { keyedBuckets, tokenBucket } from 'fairlead';
import { RedisServer, redisInstalled } from '../packages/redis/tests/redis-server.ts';
import { type Admitted, idealCount, type Limit, worstExcess } from './limit-accuracy/ideal.ts';
import { type Pattern, patterns, timesOf } from './limit-accuracy/patterns.ts';
import { check, type Row, round, save } from './measure.ts';

const short = process.argv.includes('short');
const limit: Limit = { perSecond: 1_000, burst: 500 };
const SECONDS = short ? 3 : 5;
const rows: Row[] = [];
const table: Record<string, unknown>[] = [];
const bars: (() => void)[] = [];

/** When requests came, in order, and what was admitted. */
interface Run {
  readonly asked: readonly number[];
  readonly admitted: readonly Admitted[];
}

for (const pattern of patterns) {
  const times = timesOf(pattern, SECONDS * 1_000, chance(1));
  tell('tokenBucket', pattern, inVirtualTime(bucketGate(), times), 0);
  tell('keyedBuckets', pattern, inVirtualTime(keyed(), times), 0);
  tell('a fixed window of 1 s', pattern, inVirtualTime(fixedWindow(), times), null);
}
if (redisInstalled('limit-accuracy')) {
  const server = new RedisServer();
  await server.start();
  for (const [processes, members] of [
    [1, 1],
    [5, 1],
    [5, 10],
  ] as const) {
    for (const aheadRatio of [0, 0.2]) {
      const fleet = await startFleet(server.port, processes, members, aheadRatio);
      const name = `fleet of ${processes * members}${aheadRatio > 0 ? `, ${aheadRatio} ahead` : ''}`;
      for (const pattern of short ? patterns.slice(0, 2) : patterns) {
        tell(name, pattern, await inRealTime(fleet, pattern), aheadRatio);
      }
      for (const each of fleet) each.kill();
    }
  }
  await server.close();
}
console.log(`\n${limit.perSecond} per second, burst ${limit.burst}, ${SECONDS} s of each pattern`);
console.table(table);
for (const bar of bars) bar();
if (!short) save('limit-accuracy', rows);
process.exit();

function inVirtualTime(admit: (at: number) => boolean, asked: number[]): Run {
  return { asked, admitted: asked.filter(admit).map((at) => [at, at]) };
}

function bucketGate(): (at: number) => boolean {
  const gate = tokenBucket(limit);
  return (at) => !(gate.enter({ at, service: 's', runtime: {} } as Parameters<typeof gate.enter>[0]) instanceof Error);
}

function keyed(): (at: number) => boolean {
  const buckets = keyedBuckets(limit);
  return (at) => buckets.take('caller', at).allowed;
}

/** What express-rate-limit and @fastify/rate-limit do: so many in each second, whenever in it. */
function fixedWindow(): (at: number) => boolean {
  let [window, count] = [-1, 0];
  return (at) => {
    const now = Math.floor(at / 1_000);
    if (now !== window) [window, count] = [now, 0];
    return ++count <= limit.perSecond;
  };
}

async function startFleet(
  port: number,
  processes: number,
  members: number,
  aheadRatio: number,
): Promise<ChildProcess[]> {
  const { perSecond, burst } = limit;
  const args = [port, members, perSecond, burst, processes * members, aheadRatio].map(String);
  const module = fileURLToPath(new URL('limit-accuracy/process.ts', import.meta.url));
  const fleet = Array.from({ length: processes }, () => fork(module, args));
  await Promise.all(fleet.map((each) => once(each, 'message')));
  return fleet;
}

async function inRealTime(fleet: readonly ChildProcess[], pattern: Pattern): Promise<Run> {
  const random = chance(2);
  const asks: number[][] = fleet.map(() => []);
  for (const at of timesOf(pattern, SECONDS * 1_000, random)) asks[Math.floor(random() * fleet.length)]?.push(at);
  const begin = performance.timeOrigin + performance.now() + 100;
  const answers = fleet.map(async (each, i) => {
    const answer = once(each, 'message');
    each.send([begin, asks[i], `limit-accuracy:${begin}:`]);
    return (await answer)[0] as [asked: number, known: number, allowed: boolean, shared: boolean][];
  });
  const all = (await Promise.all(answers)).flat();
  const alone = all.filter(([, , , shared]) => !shared).length;
  if (alone > 0) console.log(`${pattern.name}: ${alone} of ${all.length} decided without Redis`);
  return {
    asked: all.map(([asked]) => asked).sort((a, b) => a - b),
    admitted: all.filter(([, , allowed]) => allowed).map(([asked, known]) => [asked, known]),
  };
}

/** @param aheadRatio the part of each burst that may be missing; null for what has no bars */
function tell(who: string, { name: pattern }: Pattern, { asked, admitted }: Run, aheadRatio: number | null): void {
  const count = admitted.length;
  const ideal = idealCount(limit, asked);
  const least = idealCount({ ...limit, burst: limit.burst * (1 - (aheadRatio ?? 0)) }, asked);
  const excess = worstExcess(limit, admitted);
  const share = Math.round((count / ideal) * 1e4) / 1e4;
  table.push({
    who,
    pattern,
    asked: asked.length,
    ideal,
    admitted: count,
    'of the ideal': share,
    'too many': round(excess),
  });
  if (aheadRatio !== null) {
    bars.push(() => check(`${who}, ${pattern}: over burst and rate`, excess, 'requests', 0));
    bars.push(() => check(`${who}, ${pattern}: more than the ideal`, Math.max(0, count / ideal - 1), 'of it', 0.01));
    const of = aheadRatio === 0 ? 'of it' : `of that of ${1 - aheadRatio} of the burst`;
    bars.push(() => check(`${who}, ${pattern}: less than the ideal`, Math.max(0, 1 - count / least), of, 0.01));
  }
  const row = { case: `${who}, ${pattern}`, ratioTo: {} };
  rows.push({ ...row, metric: 'admitted', unit: 'of the ideal', median: share, min: share, max: share });
  rows.push({
    ...row,
    metric: 'too many',
    unit: 'requests',
    median: round(excess),
    min: round(excess),
    max: round(excess),
  });
}

/** Repeatable. */
function chance(seed: number): () => number {
  let state = seed * 2_654_435_769;
  return () => {
    // mulberry32
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}
