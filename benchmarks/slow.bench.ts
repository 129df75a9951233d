/**
 * @module Slow senders and slow readers against a server behind `harden`: slowhttptest's header, body and read attacks, with a
 * thousand connections each. What a caller notices who behaves, on connections that are kept and on new ones, and what is
 * left of the attack when the timeouts of the server (4 and 6 s) have passed although it goes on.
 *
 * `npm run bench -- slow`, or `-- slow short`, which writes no results. It needs slowhttptest: `apt-get install slowhttptest`.
 * With `ethernet` the loopback has packets of 1,500 bytes while it runs, as networks have; that takes root. With its own, of
 * 64 KiB, the kernel holds 2.6 MB for each connection that is not read, and a thousand of those are all that it gives to TCP:
 * what others then notice is neither the server nor slow.
 */
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { Agent, get } from 'node:http';
import { startApart } from './apart.ts';
import { check, type Row, round, save } from './measure.ts';
import { openLoop } from './open-loop.ts';
import { attacks, begin, isInstalled } from './slow/attacks.ts';

const short = process.argv.includes('short');
const CONNECTIONS = short ? 300 : 1_000;
const ATTACK_S = 14;
/** When everything that the server cuts has been cut: its longest timeout after the last connection was opened, and a bit. */
const CUT_AFTER_MS = 11_000;
const PER_SECOND = 200;

if (!isInstalled()) {
  console.log('skipped  slow: slowhttptest is not installed. On Debian: apt-get install slowhttptest');
  process.exit();
}
if (process.argv.includes('ethernet')) ethernet();
const server = await startApart<number>('slow/server.ts');
const origin = `http://127.0.0.1:${server.ready}`;
const kept = new Agent({ keepAlive: true });
const rows: Row[] = [];
const table: Record<string, Record<string, unknown>> = {};
await behave(2_000);
const calm = await behave(short ? 3_000 : 8_000);
tell('nobody', calm, null);
for (const attack of attacks) {
  const attacker = begin(attack, origin, CONNECTIONS, ATTACK_S);
  const gone = once(attacker, 'exit');
  const most = highest();
  const during = behave(CUT_AFTER_MS);
  const met = await during;
  const { peak } = most.stop();
  const left = await open();
  // A connection or two are its own probes, and the caller's are kept.
  tell(attack.name, met, { peak, left });
  check(`${attack.name}: callers that failed, of ${met.count}`, met.failed, '', 0);
  check(`${attack.name}: p99 of the others`, met.p99, 'ms', Math.max(1.5 * calm.p99, calm.p99 + 5));
  check(
    `${attack.name}: connections of the attack that are left, of ${peak}`,
    left,
    '',
    Math.max(20, CONNECTIONS / 50),
  );
  attacker.kill('SIGKILL');
  await gone;
}
console.log(`\n${CONNECTIONS} connections of an attacker, ${PER_SECOND} requests per second of others`);
console.table(table);
if (!short) save('slow', rows);
process.exit();

/** Gives the loopback packets as large as those of a network, until the process ends. */
function ethernet(): void {
  const file = '/sys/class/net/lo/mtu';
  const before = readFileSync(file, 'utf8').trim();
  writeFileSync(file, '1500');
  process.on('exit', () => writeFileSync(file, before));
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));
}

interface Met {
  readonly count: number;
  /** Of them without an answer, or with another than 200. */
  readonly failed: number;
  /** Of those, by the guard, for lack of room. */
  readonly refused: number;
  readonly p50: number;
  readonly p99: number;
}

/** Asks as ordinary callers do, half of them on a new connection. */
async function behave(ms: number): Promise<Met> {
  const send = (kind: number, done: (status: number) => void): void => {
    const request = get({ port: server.ready, host: '127.0.0.1', agent: kind === 0 ? kept : false }, (response) => {
      response.resume();
      response.on('end', () => done(response.statusCode ?? 0));
      response.on('error', () => done(0));
    });
    request.setTimeout(5_000, () => request.destroy());
    request.on('error', () => done(0));
  };
  const { outcomes } = await openLoop([{ perSecond: [PER_SECOND / 2, PER_SECOND / 2], ms }], send);
  const all = outcomes.take(0, Number.POSITIVE_INFINITY, () => true);
  const failed = outcomes.take(0, Number.POSITIVE_INFINITY, (status) => status !== 200).count;
  const refused = outcomes.take(0, Number.POSITIVE_INFINITY, (status) => status === 503).count;
  return { ...all, failed, refused };
}

/** Connections that the server has, but for those that the ordinary callers keep. */
async function open(): Promise<number> {
  server.process.send('open');
  const [count] = (await once(server.process, 'message')) as [number];
  const own = Object.values({ ...kept.sockets, ...kept.freeSockets }).reduce(
    (sum, each) => sum + (each?.length ?? 0),
    0,
  );
  return Math.max(0, count - own);
}

function highest(): { stop(): { peak: number } } {
  let peak = 0;
  const timer = setInterval(async () => void (peak = Math.max(peak, await open())), 500);
  return {
    stop: () => {
      clearInterval(timer);
      return { peak };
    },
  };
}

function tell(attack: string, met: Met, connections: { peak: number; left: number } | null): void {
  table[attack] = {
    requests: met.count,
    failed: met.failed,
    'refused of them': met.refused,
    'p50 ms': round(met.p50),
    'p99 ms': round(met.p99),
    ...(connections === null ? {} : { 'most connections': connections.peak, 'left of them': connections.left }),
  };
  const row = (metric: string, unit: string, value: number): Row => ({
    case: `attack: ${attack}`,
    metric,
    unit,
    median: round(value),
    min: round(value),
    max: round(value),
    ratioTo: {},
  });
  rows.push(row('failed', 'requests', met.failed), row('p50', 'ms', met.p50), row('p99', 'ms', met.p99));
  if (connections !== null) rows.push(row('connections left', '', connections.left));
}
