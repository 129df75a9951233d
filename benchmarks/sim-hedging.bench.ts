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
 * The second table is clients before servers with one worker each and a queue, Poisson arrivals, exponential work; the work
 * of a request that was canceled is done nevertheless, which is the worst case.
 *
 * `npm run bench -- sim-hedging` takes a minute; `short` some seconds, and writes no results.
 */
import { balance, Cluster, fixed } from '@fairlead/balance';
import {
  type Call,
  type Clock,
  compose,
  createCall,
  createReply,
  discard,
  type Handler,
  later,
  type Reply,
  type Runtime,
  Scope,
  type ScopeWatcher,
  Timer,
} from '@fairlead/core';
import { type HedgeOptions, hedge } from '@fairlead/policies';
import { Prng, VirtualClock } from '@fairlead/testing';
import { check, median, type Row, round, save } from './measure.ts';

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

/** One request that is answered after a time, or canceled. */
class Read extends Timer implements ScopeWatcher {
  readonly call: Call;
  readonly resolve: (reply: Reply) => void;
  readonly reject: (reason: unknown) => void;
  constructor(call: Call, resolve: (reply: Reply) => void, reject: (reason: unknown) => void) {
    super();
    this.call = call;
    this.resolve = resolve;
    this.reject = reject;
  }
  fire(): void {
    this.call.scope.unwatch(this);
    this.resolve(createReply({ at: this.call.runtime.clock.now() }));
  }
  onCancel(reason: unknown): void {
    this.call.runtime.clock.disarm(this);
    this.reject(reason);
  }
}

async function readKeys(name: string, options: Partial<HedgeOptions> | null, published: string): Promise<number[]> {
  const clock = new SmallClock();
  const runtime: Runtime = { clock };
  const prng = new Prng(42);
  const n = short ? 10_000 : 200_000;
  let sent = 0;
  let inTime = true;
  const answered = Promise.resolve(createReply());
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

const SERVERS = 20;
const CLIENTS = 4;
const WORK_MS = 10;

/** One worker and a queue. `straggles`: a hundredth of its requests take twenty times as long. */
class Server {
  #freeAt = 0;
  accept(now: number, workMs: number): number {
    this.#freeAt = Math.max(now, this.#freeAt) + workMs;
    return this.#freeAt;
  }
}

interface Scenario {
  readonly load: number;
  readonly straggles: boolean;
  readonly options: Partial<HedgeOptions> | null;
  readonly seed: number;
}

/** What calls took in the second half, in ms, and how many more requests there were, in percent. */
async function underLoad({ load, straggles, options, seed }: Scenario): Promise<{ took: number[]; extra: number }> {
  const clock = new VirtualClock({ seed });
  const runtime: Runtime = { clock };
  // What arrives when and how long it takes is the same with and without hedges.
  const [arrivals, works, copies] = [new Prng(seed), new Prng(seed + 1), new Prng(seed + 2)];
  const exponential = (prng: Prng): number => -Math.log(1 - prng.random());
  const mean = straggles ? WORK_MS / 1.19 : WORK_MS;
  const workMs = (prng: Prng): number => {
    const straggler = straggles && prng.random() < 0.01;
    return exponential(prng) * mean * (straggler ? 20 : 1);
  };
  const origins = Array.from({ length: SERVERS }, (_, i) => `http://10.0.0.${i + 1}:8080`);
  const servers = new Map(origins.map((origin) => [origin, new Server()]));
  let sent = 0;
  const transport: Handler = (call) => {
    sent++;
    const work = workMs(call.attempt === 1 ? works : copies);
    const server = servers.get(call.endpoint?.origin as string) as Server;
    const at = server.accept(clock.now(), work);
    return new Promise((resolve, reject) => {
      const read = new Read(call, resolve, reject);
      call.scope.watch(read);
      clock.arm(read, at);
    });
  };
  const clusters: Cluster[] = [];
  const clients = Array.from({ length: CLIENTS }, () => {
    const cluster = new Cluster({ service: 's', resolver: fixed(origins), runtime });
    clusters.push(cluster);
    return compose([...(options === null ? [] : [hedge(options)]), balance({ cluster })], transport);
  });
  const total = short ? 8_000 : 40_000;
  const warm = total / 2;
  const took: number[] = [];
  const every = WORK_MS / (SERVERS * load);
  let n = 0;
  const done = new Promise<void>((resolve) => {
    const arrive = (): void => {
      const i = n++;
      if (i < total) later(clock, exponential(arrivals) * every, arrive);
      const scope = new Scope(clock);
      const began = clock.now();
      (clients[i % CLIENTS] as Handler)(createCall({ service: 's', runtime, scope })).then((reply) => {
        discard(reply);
        scope.close();
        if (i >= warm) took.push(clock.now() - began);
        if (i === total) resolve();
      });
    };
    arrive();
  });
  await clock.run(done);
  for (const cluster of clusters) cluster.close();
  return { took, extra: ((sent - n) / n) * 100 };
}

function p99(took: number[]): number {
  took.sort((a, b) => a - b);
  return took[Math.floor(took.length * 0.99)] as number;
}

const seeds = short ? [1] : [1, 2, 3, 4, 5];
for (const straggles of [false, true]) {
  console.log(
    `\n${CLIENTS} clients, ${SERVERS} servers, ${straggles ? 'a hundredth of the work takes 20 times as long' : 'exponential work'}`,
  );
  for (const load of [0.6, 0.8, 0.9, 0.95]) {
    // All seeds together: near saturation the p99 of one run says more of its luck than of anything else.
    const [plain, hedged]: [number[], number[]] = [[], []];
    const extras: number[] = [];
    for (const seed of seeds) {
      plain.push(...(await underLoad({ load, straggles, options: null, seed })).took);
      const { took, extra } = await underLoad({ load, straggles, options: {}, seed });
      hedged.push(...took);
      extras.push(extra);
    }
    const [without, ratio] = [p99(plain), p99(hedged) / p99(plain)];
    const name = `${straggles ? 'stragglers' : 'exponential'}, load ${load * 100} %`;
    row(name, 'p99 with hedging', '× without', ratio);
    row(name, 'extra', '%', median(extras));
    console.log(
      `  load ${load * 100} %: p99 ${without.toFixed(0)} ms, with hedging × ${ratio.toFixed(3)}; ${median(extras).toFixed(2)} % more requests`,
    );
    if (load >= 0.8) check(`${name}, p99 with hedging over p99 without`, round(ratio), '×', 1);
  }
}

if (!short) save('sim-hedging', rows);
