/**
 * @module A service that burns 1 ms of CPU a request, under a load that does not wait: 0.7, 2, 10 and again 0.7 times its
 * capacity. What it still does in time, how late, how fast it says no, and how soon it is itself again: with the guard, with
 * our client in front as well, and with what teams use today. Server and senders have a core each.
 *
 * The bound is what a server can do at most that has to refuse the rest: of the time that the scheduler let it have, less
 * what the refusals that were made cost at the guard, by the CPU time of one request. Both costs are
 * measured in closed loops. In time is an answer within 500 ms, after which callers give up. The first second of a phase is for
 * learning, and has a column of its own.
 *
 * `npm run bench -- overload`, or `-- overload short`, which writes no results; other words pick rows: `-- overload short guard`.
 */
import { createClient } from 'fairlead';
import { type Apart, startApart } from './apart.ts';
import { check, type Row, round, save } from './measure.ts';
import { type Outcomes, openLoop, type RawSender, rawSender, type Send } from './open-loop.ts';
import { turnsIn } from './overload/burn.ts';
import type { Facing } from './overload/facings.ts';
import { count, Watch } from './schedule.ts';
import { spread } from './spread.ts';

const words = process.argv.slice(2);
const short = words.includes('short');
const wanted = words.filter((word) => word !== 'short');
const TIMEOUT_MS = 500;
const loads = [0.7, 2, 10, 0.7];
/** Open before the load comes: those of many callers. */
const CONNECTIONS = 2_000;
const PHASE_MS = short ? 3_000 : 5_000;
const LEARNING_MS = 1_000;
/** A caller's own refusal of a request, which the server never sees. */
const AT_HOME = 1;
const request = 'GET / HTTP/1.1\r\nhost: burner\r\nuser-agent: bench\r\naccept: */*\r\n\r\n';

type Server = Apart<number>;
const cases: { name: string; facing: Facing; throttled: boolean }[] = [
  { name: 'nothing', facing: 'nothing', throttled: false },
  { name: 'a fixed limit of 0.9', facing: 'fixed limit', throttled: false },
  { name: '@fastify/under-pressure', facing: 'under-pressure', throttled: false },
  { name: 'guard', facing: 'guard', throttled: false },
  { name: 'guard and throttle', facing: 'guard', throttled: true },
];

const turns = turnsIn(1);
const bare = await start('nothing');
const { ms: bareMs, perSecond: capacity } = await closedLoop(bare, 200, 4);
bare.process.kill();
const refusing = await start('refusals');
// As many at a time as an overload brings: refusals come cheaper by the dozen.
const { ms: refusalMs } = await closedLoop(refusing, 503, 64);
refusing.process.kill();
console.log(
  `capacity ${Math.round(capacity)} requests per second; a refusal of the guard costs ${round(refusalMs * 1_000)} µs`,
);

const rows: Row[] = [];
for (const { name, facing, throttled } of cases) {
  if (wanted.length > 0 && !wanted.some((word) => name.includes(word))) continue;
  const server = await start(facing);
  // The others would refuse a part of a closed loop, and cost next to nothing themselves.
  const before = facing === 'guard' ? await closedLoop(server, 200, 4) : { ms: bareMs };
  const sender = throttled ? ours(server.ready) : raw(server.ready);
  await sender.open(CONNECTIONS);
  const watch = new Watch(server.pid);
  const phases = loads.map((load) => ({ perSecond: [load * capacity], ms: PHASE_MS }));
  const { outcomes, bounds } = await openLoop(phases, sender.send);
  watch.stop();
  sender.close();
  const after = facing === 'guard' ? await closedLoop(server, 200, 4) : before;
  server.process.kill();
  // The machine has moods: what is between them was in between.
  const servedMs = (before.ms + after.ms) / 2;
  judge(name, facing === 'guard', throttled, outcomes, bounds, watch, servedMs);
}
if (!short && wanted.length === 0) save('overload', rows);
process.exit();

function start(facing: Facing): Promise<Server> {
  return startApart<number>(
    'overload/server.ts',
    facing,
    String(turns),
    facing === 'fixed limit' ? String(capacity * 0.9) : '',
  );
}

function raw(port: number): RawSender {
  return rawSender({ port, requests: [request], timeoutMs: TIMEOUT_MS });
}

/** Our client, with what it does by default, and the throttle. */
function ours(port: number): RawSender {
  const client = createClient({
    environment: false,
    services: { burner: { from: [`http://127.0.0.1:${port}`], throttle: true, timeoutMs: TIMEOUT_MS } },
  });
  const send: Send = (_kind, done) => {
    client.fetch('http://burner/').then(
      (response) => {
        // A body that nobody reads keeps its connection.
        response.arrayBuffer().then(
          () => done(response.status),
          () => done(0),
        );
      },
      (error: { cause?: { code?: string } }) => done(error.cause?.code === 'ERR_REJECTED' ? AT_HOME : 0),
    );
  };
  return { send, open: async () => {}, close: () => void client.close() };
}

/**
 * CPU time per request where nothing queues and all are answered with `status`, and how many there are per second: medians
 * of many samples, the first of which, in which V8 still compiles, are left out.
 */
async function closedLoop(server: Server, status: number, width: number): Promise<{ ms: number; perSecond: number }> {
  const { send, close } = raw(server.ready);
  let others = 0;
  const call = (): Promise<void> =>
    new Promise((resolve) =>
      send(0, (got) => {
        if (got !== status) others++;
        resolve();
      }),
    );
  const n = 25 * width;
  const [costs, rates]: [number[], number[]] = [[], []];
  const end = performance.now() + (short ? 1_000 : 2_000);
  for (let samples = 0; samples < 5 || performance.now() < end; samples++) {
    const before = count(server.pid);
    await spread(n, width, call);
    const after = count(server.pid);
    costs.push((after.cpu - before.cpu) / n);
    rates.push((n * 1_000) / (after.at - before.at));
  }
  close();
  if (others > 0) console.log(`${others} answers in a closed loop were not ${status}: costs are wrong`);
  return { ms: laterMedian(costs), perSecond: laterMedian(rates) };
}

function laterMedian(values: readonly number[]): number {
  const later = values.slice(Math.floor(values.length / 3)).sort((a, b) => a - b);
  return later[later.length >> 1] as number;
}

function judge(
  name: string,
  barred: boolean,
  throttled: boolean,
  outcomes: Outcomes,
  bounds: readonly number[],
  watch: Watch,
  servedMs: number,
): void {
  const inTime = (status: number, ms: number): boolean => status === 200 && ms <= TIMEOUT_MS;
  const table: Record<string, unknown>[] = [];
  const late = outcomes.lateMs.subarray(0, outcomes.count).slice().sort();
  const disturbed =
    1 -
    watch.between(bounds[0] as number, bounds.at(-1) as number).available /
      ((bounds.at(-1) as number) - (bounds[0] as number));
  console.log(
    `\n${name}: a request costs ${round(servedMs * 1_000)} µs of CPU;`,
    `sender late by ${round(late[Math.floor(late.length * 0.99)] as number)} ms (p99),`,
    `${round(disturbed * 100)} % of the server's time went to other processes`,
  );
  let unloaded = Number.NaN;
  const figures: { load: number; ofBound: number; p99: number; refusedP99: number }[] = [];
  loads.forEach((load, i) => {
    const [begin, end] = [bounds[i] as number, bounds[i + 1] as number];
    const from = begin + LEARNING_MS;
    const seconds = (end - from) / 1_000;
    const good = outcomes.take(from, end, inTime);
    const early = outcomes.take(begin, from, inTime);
    const refused = outcomes.take(from, end, (status) => status === 503 || status === 429);
    const atHome = outcomes.take(from, end, (status) => status === AT_HOME);
    const all = outcomes.take(from, end, () => true);
    const { cpu, available } = watch.between(from, end);
    const bound = Math.min(all.count, (available - refused.count * refusalMs) / servedMs) / seconds;
    if (i === 0) unloaded = good.p99;
    figures.push({ load, ofBound: good.count / seconds / bound, p99: good.p99, refusedP99: refused.p99 });
    table.push({
      load,
      'in time per s': Math.round(good.count / seconds),
      'bound per s': Math.round(bound),
      'of the bound': round(good.count / seconds / bound),
      'in the 1st s': Math.round(early.count / (LEARNING_MS / 1_000)),
      'p50 ms': round(good.p50),
      'p99 ms': round(good.p99),
      'refused per s': Math.round(refused.count / seconds),
      'p99 ms of them': round(refused.p99),
      ...(throttled ? { 'at home per s': Math.round(atHome.count / seconds) } : {}),
      'no answer per s': Math.round((all.count - good.count - refused.count - atHome.count) / seconds),
      busy: round(cpu / available),
    });
  });
  const back = recovery(outcomes, bounds.at(-2) as number, bounds.at(-1) as number, unloaded * 1.5);
  console.table(table);
  console.log(`normal again after ${back} ms`);
  const [, twice, tenfold] = figures as [(typeof figures)[0], (typeof figures)[0], (typeof figures)[0]];
  if (barred) {
    for (const { load, ofBound, p99, refusedP99 } of [twice, tenfold]) {
      const short_ = load === 2 || throttled ? 0.05 : 0.12;
      check(`${name}, ${load} times: short of the bound`, 1 - ofBound, 'of it', short_);
      check(`${name}, ${load} times: p99 of what is admitted`, p99 / unloaded, '× unloaded', 1.5);
      // Our client has paused and tried again before it passes a refusal on.
      if (!throttled) check(`${name}, ${load} times: p99 of refusals`, refusedP99, 'ms', 50);
    }
    check(`${name}: normal again`, back, 'ms', 1_000);
  }
  const row = (metric: string, unit: string, value: number): Row => ({
    case: name,
    metric,
    unit,
    median: round(value),
    min: round(value),
    max: round(value),
    ratioTo: {},
  });
  for (const { load, ofBound, p99, refusedP99 } of figures.slice(0, 3)) {
    rows.push(row(`goodput at ${load} times`, 'of the bound', ofBound), row(`p99 at ${load} times`, 'ms', p99));
    if (refusedP99 >= 0) rows.push(row(`p99 of refusals at ${load} times`, 'ms', refusedP99));
  }
  rows.push(row('normal again', 'ms', back));
}

/**
 * After how many ms of a phase it is as if nothing had been: of the next 500 ms, 98 % are answered, within `slowMs`.
 * Infinity if that does not come.
 */
function recovery(outcomes: Outcomes, begin: number, end: number, slowMs: number): number {
  for (let from = begin; from + 500 <= end; from += 100) {
    const all = outcomes.take(from, from + 500, () => true).count;
    const well = outcomes.take(from, from + 500, (status, ms) => status === 200 && ms <= slowMs).count;
    if (well >= 0.98 * all) return Math.round(from - begin);
  }
  return Number.POSITIVE_INFINITY;
}
