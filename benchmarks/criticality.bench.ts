/**
 * @module Of four classes of requests the least critical comes twelve times as often all of a sudden, which is more than twice
 * what the server can do: a service that burns 1 ms of CPU a request, under a load that does not wait, as in `overload`.
 * The most critical must not notice. Beside it the guard with callers that say nothing of themselves, and no guard.
 *
 * `npm run bench -- criticality`, or `-- criticality short`, which writes no results.
 */
import { type Apart, startApart } from './apart.ts';
import { check, type Row, round, save } from './measure.ts';
import { openLoop, rawSender } from './open-loop.ts';
import { turnsIn } from './overload/burn.ts';
import type { Facing } from './overload/facings.ts';
import { count, Watch } from './schedule.ts';
import { spread } from './spread.ts';

const short = process.argv.includes('short');
const TIMEOUT_MS = 500;
const CONNECTIONS = 2_000;
const classes = ['critical-plus', 'critical', 'sheddable-plus', 'sheddable'] as const;
/** Shares of the capacity: 0.6 in all, and 2.25 during the spike. */
const usual = [0.25, 0.1, 0.1, 0.15];
const spike = [0.25, 0.1, 0.1, 12 * 0.15];
const MOMENT_MS = 2_000;
const phaseMs = [3 * MOMENT_MS, short ? 5_000 : 20_000, 2 * MOMENT_MS];

const cases: { name: string; facing: Facing; told: boolean }[] = [
  { name: 'nothing', facing: 'nothing', told: true },
  { name: 'guard, nobody says a class', facing: 'guard', told: false },
  { name: 'guard', facing: 'classes', told: true },
];

const turns = turnsIn(1);
const rows: Row[] = [];
for (const { name, facing, told } of cases) {
  const server = await startApart<number>('overload/server.ts', facing, String(turns), '');
  const capacity = await capacityOf(server);
  const sender = rawSender({
    port: server.ready,
    requests: classes.map(
      (each) => `GET / HTTP/1.1\r\nhost: burner\r\n${told ? `x-request-criticality: ${each}\r\n` : ''}\r\n`,
    ),
    timeoutMs: TIMEOUT_MS,
  });
  await sender.open(CONNECTIONS);
  const watch = new Watch(server.pid);
  const phases = [usual, spike, usual].map((shares, i) => ({
    perSecond: shares.map((share) => share * capacity),
    ms: phaseMs[i] as number,
  }));
  const { outcomes, bounds } = await openLoop(phases, sender.send);
  watch.stop();
  sender.close();
  server.process.kill();

  const [begin, end] = [bounds[1] as number, bounds[2] as number];
  const { available } = watch.between(begin, end);
  console.log(
    `\n${name}: ${Math.round(capacity)} requests per second are its capacity;`,
    `${round(100 * (1 - available / (end - begin)))} % of the server's time went to other processes`,
  );
  const table = classes.map((each, kind) => {
    const of = (from: number, to: number): { sent: number; kept: number; p99: number } => {
      const sent = outcomes.take(from, to, (_status, _ms, which) => which === kind).count;
      const good = outcomes.take(from, to, (status, _ms, which) => which === kind && status === 200);
      return { sent, kept: good.count / sent, p99: good.p99 };
    };
    const before = of(begin - MOMENT_MS, begin);
    const during = of(begin, end);
    const after = of(end + MOMENT_MS, end + 2 * MOMENT_MS);
    rows.push(
      ...[
        { metric: 'kept in the spike', unit: '', value: during.kept },
        { metric: 'p99 in the spike', unit: 'ms', value: during.p99 },
      ].map(({ metric, unit, value }) => ({
        case: `${name}: ${each}`,
        metric,
        unit,
        // Four digits would make 1 of 0.99951.
        median: Math.round(value * 1e5) / 1e5,
        min: Math.round(value * 1e5) / 1e5,
        max: Math.round(value * 1e5) / 1e5,
        ratioTo: {},
      })),
    );
    return { class: each, sent: during.sent, kept: during.kept, p99: during.p99, before, after };
  });
  console.table(
    Object.fromEntries(
      table.map(({ class: each, sent, kept, p99, before, after }) => [
        each,
        {
          'kept before %': round(before.kept * 100),
          'p99 ms before': round(before.p99),
          'sent in the spike': sent,
          'kept %': Math.round(kept * 1e5) / 1e3,
          'p99 ms': round(p99),
          'kept after %': round(after.kept * 100),
        },
      ]),
    ),
  );
  if (facing !== 'classes') continue;
  const [most] = table as [(typeof table)[0]];
  check(`${name}: ${most.class} requests that failed in the spike, of ${most.sent}`, 1 - most.kept, 'of them', 0.0005);
}
if (!short) save('criticality', rows);
process.exit();

/** The least CPU time that a request was seen to cost, in a closed loop, makes the most that can be served. */
async function capacityOf(server: Apart<number>): Promise<number> {
  const { send, close } = rawSender({
    port: server.ready,
    requests: ['GET / HTTP/1.1\r\nhost: burner\r\n\r\n'],
    timeoutMs: 5_000,
  });
  let most = 0;
  for (let samples = 0; samples < 15; samples++) {
    const before = count(server.pid);
    await spread(100, 4, () => new Promise((resolve) => send(0, resolve)));
    const after = count(server.pid);
    most = Math.max(most, 100_000 / (after.at - before.at));
  }
  close();
  return most;
}
