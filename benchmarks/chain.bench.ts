/**
 * @module Five services in a row, each in a process of its own, each behind a guard, each calling the next with retries on;
 * and a caller before the first who has them on, too. How many requests does the last one get for each call, while it fails?
 * Three tries at each of five callers are 243 if nobody minds the others (Builders' Library).
 *
 * The guards shed no load: a machine that has other things to do would hide what retries do. From the first call on: what a
 * process allows itself at its start counts, too.
 *
 * `npm run bench -- chain` takes two minutes; `short` one, and writes no results.
 */
import { once } from 'node:events';
import { createClient, later, type ServiceOptions, systemClock } from 'fairlead';
import { type Apart, startApart } from './apart.ts';
import { plainLoop } from './chain/plain-loop.mjs';
import { check, type Row, round, save } from './measure.ts';

const short = process.argv.includes('short');
const SERVICES = 5;
const PER_SECOND = 200;
const BAR = 1.1;

interface Scenario {
  readonly name: string;
  readonly kind: 'fairlead' | 'loop';
  readonly fault: '503' | 'reset' | 'hang';
  /** Share of the requests that the last one fails. */
  readonly share: number;
  readonly calls: number;
  /** Settings of every client but the caller's place in the chain. */
  readonly settings?: ServiceOptions;
  /** Whether the bar is for it. */
  readonly held?: boolean;
}

const calls = short ? 600 : 2_000;
// Without its breaker: an open one would hide what retries do.
const retries: ServiceOptions = { breaker: false };
const scenarios: readonly Scenario[] = [
  { name: 'loops of three, always 503', kind: 'loop', fault: '503', share: 1, calls: 10 },
  { name: 'fairlead, always 503', kind: 'fairlead', fault: '503', share: 1, calls, settings: retries, held: true },
  { name: 'fairlead, always 503, breakers on', kind: 'fairlead', fault: '503', share: 1, calls, held: true },
  { name: 'fairlead, always resets', kind: 'fairlead', fault: 'reset', share: 1, calls, settings: retries, held: true },
  {
    name: 'fairlead, never answers',
    kind: 'fairlead',
    fault: 'hang',
    share: 1,
    calls,
    settings: { ...retries, timeoutMs: 1_000 },
    held: true,
  },
  { name: 'fairlead, 20 % 503', kind: 'fairlead', fault: '503', share: 0.2, calls, settings: retries },
];

interface Result {
  /** Requests that each service got for each call at the top, first to last. */
  readonly perCall: readonly number[];
  /** Share of the calls that were answered with 200. */
  readonly good: number;
}

async function run({ kind, fault, share, calls: total, settings = {} }: Scenario): Promise<Result> {
  process.env.CHAIN_CLIENT = JSON.stringify(settings);
  const services: Apart<string>[] = [];
  for (let i = 0, next = '-'; i < SERVICES; i++) {
    const service = await startApart<string>('chain/service.mjs', kind, next, fault, String(share));
    services.unshift(service);
    next = service.ready;
  }
  const first = services[0]?.ready as string;
  const client = createClient({ environment: false, services: { first: { from: [first], ...settings } } });
  const ask = kind === 'loop' ? plainLoop(first) : (): Promise<Response> => client.fetch('http://first/');
  let good = 0;
  const call = async (): Promise<void> => {
    try {
      const reply = await ask();
      await reply.text();
      if (reply.ok) good++;
    } catch {
      // An error is an answer, too: what it caused below is what counts.
    }
  };
  await evenly(total, call);
  await client.close();
  const perCall: number[] = [];
  for (const service of services) perCall.push((await requests(service)) / total);
  for (const service of services) service.process.kill('SIGKILL');
  return { perCall, good: good / total };
}

/** Makes `total` calls at their rate, whatever becomes of them, and waits for all. */
function evenly(total: number, call: () => Promise<void>): Promise<unknown> {
  const all: Promise<void>[] = [];
  const begun = systemClock.now();
  return new Promise((resolve) => {
    const turn = (): void => {
      const due = Math.min(total, ((systemClock.now() - begun) * PER_SECOND) / 1_000);
      while (all.length < due) all.push(call());
      if (all.length < total) later(systemClock, 4, turn);
      else resolve(Promise.all(all));
    };
    turn();
  });
}

async function requests({ process: service }: Apart<string>): Promise<number> {
  const told = once(service, 'message') as Promise<[number]>;
  service.send('how many?');
  return (await told)[0];
}

const rows: Row[] = [];
function row(name: string, metric: string, unit: string, value: number): void {
  const rounded = round(value);
  rows.push({ case: name, metric, unit, median: rounded, min: rounded, max: rounded, ratioTo: {} });
}

console.log(`\nRequests per call at each of ${SERVICES} services, first to last; every one of them retries`);
for (const scenario of scenarios) {
  const { name } = scenario;
  const { perCall, good } = await run(scenario);
  const last = perCall[SERVICES - 1] as number;
  console.log(
    `  ${name.padEnd(36)} ${perCall.map((each) => each.toFixed(2)).join(' → ')}; ${(good * 100).toFixed(1)} % of calls good`,
  );
  row(name, 'requests at the last, per call', '×', last);
  row(name, 'good calls', '%', good * 100);
  // To two digits, which is what is asked for.
  if (scenario.held) check(`${name}: requests at the last, per call at the top`, Number(last.toFixed(2)), '×', BAR);
}
if (!short) save('chain', rows);
process.exit();
