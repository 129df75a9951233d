/**
 * @module What hedging is worth where answers straggle, and that it does no harm where everybody queues. The shipped layers
 * in virtual time, with fixed seeds.
 *
 * The first table is the read of 1,000 keys from 100 servers of Dean and Barroso, "The Tail at Scale" (CACM 2013): p99.9 of
 * the whole read fell from 1,800 ms to 74 ms by a second request after 10 ms, for 2 % more requests. The latency of one key
 * is fitted to these figures, so that the first two rows agree by construction. Copies are independent. A read is the
 * slowest of 1,000 keys, so its quantiles are quantiles of one key, far out; only keys that take more than 10 ms are
 * simulated, between 49 others that are answered in time and are there to be counted.
 *
 * The second table is `sim-hedging/under-load.ts`: clients before servers with one worker each and a queue.
 *
 * `npm run bench -- sim-hedging` takes some minutes; `short` some seconds, and writes no results; `-- sim-hedging 21 22` other
 * seeds, neither.
 */
import {
  type Clock,
  compose,
  createCall,
  createReply,
  discard,
  type Handler,
  type Runtime,
  Scope,
  type Timer,
} from '@fairlead/core';
import { type HedgeOptions, hedge } from '@fairlead/policies';
import { Prng } from '@fairlead/testing';
import { check, median, type Row, round, save } from './measure.ts';
import { Read } from './sim-hedging/read.ts';
import { CLIENTS, SERVERS, underLoad } from './sim-hedging/under-load.ts';

const short = process.argv.includes('short');
const rows: Row[] = [];

function row(name: string, metric: string, unit: string, value: number): void {
  const rounded = round(value);
  rows.push({ case: name, metric, unit, median: rounded, min: rounded, max: rounded, ratioTo: {} });
}

// ---- The Tail at Scale ------------------------------------------------------------------------------------------

/** Latency in ms, and the share of single keys that take longer: straight lines between these in log-log. */
const survival: readonly (readonly [number, number])[] = [
  [1, 1],
  [2, 0.5],
  [5, 0.1],
  [10, 0.02],
  [69, 1e-3],
  [1_800, 1e-6],
  [47_000, 1e-9],
];
const KEYS = 1_000;
/** Share of keys that take more than 10 ms. */
const SLOW = 0.02;

/** The latency that the share `above` of keys exceeds. */
function latencyOf(above: number): number {
  let i = 1;
  while (i < survival.length - 1 && above < (survival[i]?.[1] as number)) i++;
  const [[x0, s0], [x1, s1]] = [survival[i - 1], survival[i]] as [[number, number], [number, number]];
  return x0 * (x1 / x0) ** (Math.log(above / s0) / Math.log(s1 / s0));
}

/** A handful of timers, and a turn of microtasks between two of them: for one call at a time. */
class SmallClock implements Clock {
  #now = 0;
  readonly #timers: Timer[] = [];
  readonly #prng = new Prng(7);
  now(): number {
    return this.#now;
  }
  wall(): number {
    return this.#now;
  }
  random(): number {
    return this.#prng.random();
  }
  randomFill(bytes: Uint8Array): void {
    this.#prng.fill(bytes);
  }
  arm(timer: Timer, at: number): void {
    this.disarm(timer);
    timer.due = at;
    this.#timers.push(timer);
    this.#timers.sort((a, b) => a.due - b.due);
  }
  disarm(timer: Timer): void {
    const index = this.#timers.indexOf(timer);
    if (index >= 0) this.#timers.splice(index, 1);
  }
  async run(done: () => boolean): Promise<void> {
    for (;;) {
      // More than any chain of promises in these stacks is long.
      for (let i = 0; i < 12; i++) await null;
      if (done()) return;
      const timer = this.#timers.shift() as Timer;
      this.#now = timer.due;
      timer.fire();
    }
  }
}

async function readKeys(name: string, options: Partial<HedgeOptions> | null, published: string): Promise<number[]> {
  const clock = new SmallClock();
  const runtime: Runtime = { clock };
  const prng = new Prng(42);
  const n = short ? 10_000 : 200_000;
  let sent = 0;
  let inTime = true;
  let answered = Promise.resolve(createReply());
  const backend: Handler = (call) => {
    if (inTime) return answered;
    sent++;
    const above = prng.random() * (call.attempt === 1 ? SLOW : 1);
    return new Promise((resolve, reject) => {
      const read = new Read(call, resolve, reject);
      call.scope.watch(read);
      clock.arm(read, clock.now() + latencyOf(above));
    });
  };
  const handler = compose(options === null ? [] : [hedge(options)], backend);
  const took = new Float64Array(n);
  const fast = new Scope(clock);
  for (let i = 0; i < n; i++) {
    inTime = true;
    // After 2 ms, as half of them; to know when they came is a part of what hedging goes by.
    answered = Promise.resolve(createReply({ at: clock.now() + 2 }));
    for (let k = 1; k < 1 / SLOW && options !== null; k++) {
      void handler(createCall({ service: 'bigtable', runtime, scope: fast }));
    }
    for (let k = 0; k < 6; k++) await null;
    inTime = false;
    const scope = new Scope(clock);
    const began = clock.now();
    let over = false;
    handler(createCall({ service: 'bigtable', runtime, scope })).then((reply) => {
      discard(reply);
      took[i] = clock.now() - began;
      over = true;
    });
    await clock.run(() => over);
    scope.close();
  }
  took.sort();
  // The read takes longer than x if one of its keys does.
  const quantile = (q: number): number => {
    const share = (1 - q ** (1 / KEYS)) / SLOW;
    return took[Math.max(0, n - 1 - Math.floor(n * share))] as number;
  };
  const extra = ((sent - n) / n) * SLOW * 100;
  const figures = [quantile(0.5), quantile(0.99), quantile(0.999), extra];
  console.log(
    `  ${name.padEnd(34)} p50 ${figures[0]?.toFixed(1)}  p99 ${figures[1]?.toFixed(0)}  p99.9 ${figures[2]?.toFixed(1)} ms,` +
      ` ${extra.toFixed(2)} % more requests${published}`,
  );
  row(name, 'p99.9', 'ms', figures[2] as number);
  row(name, 'extra', '%', extra);
  return figures;
}

console.log('\n1,000 keys from 100 servers');
await readKeys('no hedging', null, '   (published: 1,800 ms)');
await readKeys('one hedge after 10 ms', { delayMs: 10, attempts: 2 }, '   (published: 74 ms, 2 %)');
const [, , tail = 0, extra = 0] = await readKeys('two hedges, after 10 and 20 ms', { delayMs: 10 }, '');
check('two hedges, p99.9 of the read', tail, 'ms', 30);
check('two hedges, more requests', extra, '%', 2.1);

// ---- Under load ---------------------------------------------------------------------------------------------------

function p99(took: number[]): number {
  took.sort((a, b) => a - b);
  return took[Math.floor(took.length * 0.99)] as number;
}

const given = process.argv
  .slice(2)
  .map(Number)
  .filter((seed) => seed > 0);
const total = short ? 8_000 : 40_000;
const seeds = given.length > 0 ? given : short ? [1, 2, 3] : Array.from({ length: 20 }, (_, i) => i + 1);
for (const straggles of [false, true]) {
  console.log(
    `\n${CLIENTS} clients, ${SERVERS} servers, ${straggles ? 'a hundredth of the work takes 20 times as long' : 'exponential work'}`,
  );
  for (const load of [0.6, 0.8, 0.9, 0.95]) {
    // A ratio for each seed, in which both sides met the same calls; the median counts. Near saturation the p99 of one run
    // says more of its luck than of anything else, and all runs thrown together say most of the luckless ones.
    const ratios: number[] = [];
    const plain: number[] = [];
    const extras: number[] = [];
    for (const seed of seeds) {
      const without = p99((await underLoad({ load, straggles, options: null, seed, total })).took);
      const { took, extra } = await underLoad({ load, straggles, options: {}, seed, total });
      plain.push(without);
      ratios.push(p99(took) / without);
      extras.push(extra);
    }
    const logs = ratios.map(Math.log);
    const mean = logs.reduce((a, b) => a + b, 0) / logs.length;
    const error = Math.sqrt(logs.reduce((sum, each) => sum + (each - mean) ** 2, 0) / logs.length / (logs.length - 1));
    const ratio = median(ratios);
    const name = `${straggles ? 'stragglers' : 'exponential'}, load ${load * 100} %`;
    const [least, most] = [round(Math.min(...ratios)), round(Math.max(...ratios))];
    rows.push({
      case: name,
      metric: 'p99 with hedging',
      unit: '× without',
      median: round(ratio),
      min: least,
      max: most,
      ratioTo: {},
    });
    row(name, 'extra', '%', median(extras));
    console.log(
      `  load ${load * 100} %: p99 ${median(plain).toFixed(0)} ms, with hedging × ${ratio.toFixed(3)}` +
        ` (${least} … ${most}, mean ${Math.exp(mean).toFixed(3)} ± ${error.toFixed(3)}); ${median(extras).toFixed(2)} % more requests`,
    );
    // To two digits, which is what is asked for.
    if (load >= 0.8) check(`${name}, p99 with hedging over p99 without`, Number(ratio.toFixed(2)), '×', 1);
  }
}

if (!short && given.length === 0) save('sim-hedging', rows);
