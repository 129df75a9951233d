/**
 * @module Millions of requests through everything on, to servers that misbehave and from callers that change their mind:
 * memory must not grow after the first tenth, and in the end no socket and no timer may be left.
 *
 * `npm run bench -- soak` makes 5 million requests, `-- soak short` 100,000, and writes no results; `-- soak 1000000` so many.
 */
import { once } from 'node:events';
import { sleep, systemClock } from 'fairlead';
import { startApart } from './apart.ts';
import { check, type Row, round, save } from './measure.ts';
import { everythingOn } from './overhead/fairlead.ts';
import { CountingClock } from './soak/counting-clock.ts';
import { spread } from './spread.ts';

const words = process.argv.slice(2);
const short = words.includes('short');
const asked = Number(words.find((word) => /^\d+$/.test(word)) ?? (short ? 100_000 : 5_000_000));
const IN_FLIGHT = 256;
/** Samples of the memory; the first tenth of them is for warming up. */
const SAMPLES = short ? 20 : 40;
/** Heap after the first tenth, at most: a part of it, and what a few live objects more or less make. */
const GROWTH = 1.05;
const SLACK = 512 * 1024;

if (globalThis.gc === undefined) throw new Error('run me with --expose-gc');
const gc = globalThis.gc;
const server = await startApart<string[]>('soak/faulty-server.mjs', '5');
// What is there without us: the channel to the server, and the console's stream, which is made when it is first used.
console.log('');
const before = resources();
const clock = new CountingClock();
const events: Record<string, number> = {};
const client = everythingOn(
  server.ready,
  { timeoutMs: 2_000, attemptTimeoutMs: 250, transport: { connections: 64, unreadBodyMs: 500 } },
  { clock, on: ({ type }) => void (events[type] = (events[type] ?? 0) + 1) },
);

const outcomes: Record<string, number> = {};
let calls = 0;
const samples: { requests: number; heap: number; rss: number }[] = [];
const begun = systemClock.now();
for (let i = 0; i < SAMPLES; i++) {
  await spread(Math.ceil(asked / SAMPLES), IN_FLIGHT, call);
  samples.push({ requests: calls, ...(await memory()) });
}
const seconds = (systemClock.now() - begun) / 1_000;
await client.close();
await settled();

console.log(`\n${calls} requests in ${Math.round(seconds)} s, ${IN_FLIGHT} at a time, with faults`);
console.table(outcomes);
console.table(events);
console.table(
  samples
    .filter((_, i) => i % (SAMPLES / 10) === SAMPLES / 10 - 1)
    .map(({ requests, heap, rss }) => ({ requests, 'heap KiB': heap >> 10, 'rss KiB': rss >> 10 })),
);
const warm = samples[SAMPLES / 10 - 1]?.heap as number;
const later = samples.slice(SAMPLES / 10).map(({ heap }) => heap);
const last = median3(later.slice(-3));
check('heap in the end, against the first tenth', last, 'bytes', Math.round(warm * GROWTH + SLACK));
check(
  'heap at its highest, against the first tenth',
  Math.max(...later),
  'bytes',
  Math.round(warm * GROWTH + 4 * SLACK),
);
const left = { timers: total(clock.armed()), handles: total(growth(before, resources())), connections: await open() };
console.log(clock.armed(), growth(before, resources()));
check('timers left', left.timers, '', 0);
check('sockets and other handles left', left.handles, '', 0);
check('connections that the servers still see', left.connections, '', 0);
if (words.length === 0) save('soak', rows());
process.exit();

/** One of those things that callers do. */
async function call(): Promise<void> {
  const point = calls++ % 1_000;
  const kind = point < 5 ? 'aborted' : point < 10 ? 'body canceled' : point < 12 ? 'body forgotten' : 'read';
  let outcome = kind;
  try {
    if (kind === 'aborted') {
      const controller = new AbortController();
      const promise = client.fetch('http://payments/charges/42', { signal: controller.signal });
      if (point % 2 === 0) await Promise.resolve();
      controller.abort();
      await (await promise).text();
    } else {
      const response = await client.fetch('http://payments/charges/42');
      if (kind === 'body canceled') await response.body?.cancel();
      else if (kind === 'read' && response.ok) await response.json();
      else if (kind === 'read') {
        outcome = `status ${response.status}`;
        await response.text();
      }
    }
  } catch (error) {
    const { name, cause } = error as Error & { cause?: { code?: string } };
    outcome = `${kind}: ${cause?.code ?? name}`;
  }
  outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
}

/** What is alive. Bodies that were forgotten are let go of first: their time is up 500 ms after they came. */
async function memory(): Promise<{ heap: number; rss: number }> {
  await sleep(systemClock, 600);
  // It forgets those that have fired.
  clock.armed();
  gc();
  await sleep(systemClock, 10);
  gc();
  const { heapUsed, external, rss } = process.memoryUsage();
  return { heap: heapUsed + external, rss };
}

/** Sockets close in their own time. */
async function settled(): Promise<void> {
  for (let tries = 0; tries < 50 && (total(growth(before, resources())) > 0 || (await open()) > 0); tries++) {
    await sleep(systemClock, 20);
  }
}

function resources(): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const type of process.getActiveResourcesInfo()) counts[type] = (counts[type] ?? 0) + 1;
  return counts;
}

function growth(from: Record<string, number>, to: Record<string, number>): Record<string, number> {
  const more = Object.entries(to).map(([type, count]) => [type, count - (from[type] ?? 0)] as const);
  return Object.fromEntries(more.filter(([, count]) => count > 0));
}

function total(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((sum, count) => sum + count, 0);
}

async function open(): Promise<number> {
  server.process.send('open');
  const [count] = (await once(server.process, 'message')) as [number];
  return count;
}

function median3(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] as number;
}

function rows(): Row[] {
  const bytes = (name: string, values: readonly number[]): Row => ({
    case: name,
    metric: 'retained',
    unit: 'bytes',
    median: round(median3(values)),
    min: round(Math.min(...values)),
    max: round(Math.max(...values)),
    ratioTo: {},
  });
  const heaps = samples.map(({ heap }) => heap);
  const tenth = SAMPLES / 10;
  return [
    bytes('heap, first tenth', heaps.slice(0, tenth)),
    bytes('heap, last tenth', heaps.slice(-tenth)),
    ...Object.entries(left).map(([name, count]) => ({
      case: `${name} left`,
      metric: 'count',
      unit: '',
      median: count,
      min: count,
      max: count,
      ratioTo: {},
    })),
  ];
}
