/**
 * @module Measures cases against each other: interleaved rounds in one process, CPU time rather than wall-clock time,
 * medians, and ratios that are taken within a round, where both sides met the same machine in the same mood.
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { GCProfiler, getHeapStatistics } from 'node:v8';
import { systemClock } from '@fairlead/core';

/** Something to be measured. */
export interface Case {
  readonly name: string;
  /** Does it `n` times. Whoever wants percentiles tells `latencies` how long each took; reading clocks is not free. */
  readonly run: (n: number, latencies: Latencies) => Promise<void> | void;
  /** How many operations one run of `run(1)` is; figures are per operation. Default 1. */
  readonly per?: number;
  /** Name of a case of the same measurement whose cost is no part of this one's, and is taken off, round by round. */
  readonly less?: string;
  /** Other processes that work for this case: their CPU time counts, and is told apart as well. Linux only. */
  readonly also?: readonly number[];
}

/** A figure that must not be exceeded. */
export interface Bar {
  readonly case: string;
  readonly metric: Metric;
  /** In the metric's unit; with `ratioTo`, a ratio. */
  readonly max: number;
  /** The case to divide by. */
  readonly ratioTo?: string;
  /** The case to take off. */
  readonly over?: string;
}

/** The figure of a case in one round. */
export type Figure = (name: string, metric: Metric) => number;

/** A bar on something that is worked out of several figures of the same round; its median counts. */
export interface RoundBar {
  /** What is worked out. */
  readonly says: string;
  readonly unit: string;
  readonly max: number;
  readonly of: (figure: Figure) => number;
}

/**
 * CPU time of this process, user and system, with that of the case's other processes, which is also `elsewhere`; bytes on the V8 heap, garbage included; wall-clock time as context, and
 * percentiles of it where a case tells its latencies.
 */
export type Metric = 'cpu' | 'elsewhere' | 'allocated' | 'wall' | 'p50' | 'p99';

const units: Readonly<Record<Metric, string>> = {
  cpu: 'µs',
  elsewhere: 'µs',
  allocated: 'bytes',
  wall: 'µs',
  p50: 'µs',
  p99: 'µs',
};
const metrics = Object.keys(units) as Metric[];

/** How long each operation of one sample took. Off the heap, so that collecting them is no garbage of the case. */
export class Latencies {
  readonly #ms: Float64Array;
  #count = 0;

  constructor(most: number) {
    this.#ms = new Float64Array(most);
  }

  add(ms: number): void {
    this.#ms[this.#count++] = ms;
  }

  /** In µs; undefined if nobody told any. */
  percentile(share: number): number | undefined {
    if (this.#count === 0) return undefined;
    const sorted = this.#ms.subarray(0, this.#count).sort();
    return (sorted[Math.min(this.#count - 1, Math.floor(this.#count * share))] as number) * 1_000;
  }
}

/** What to measure, and how. */
export interface Measurement {
  /** Title of the table. */
  readonly name: string;
  readonly cases: readonly Case[];
  /** Default 30, after three that do not count. */
  readonly rounds?: number;
  /** Runs of each case in each round. Default 10,000. */
  readonly perRound?: number;
  /** Runs before each sample that are not part of it. Default 0. */
  readonly settle?: number;
  /** Name of the case that the others are compared with. Default none. */
  readonly baseline?: string;
  readonly bars?: readonly (Bar | RoundBar)[];
}

/** One line of a result file. */
export interface Row {
  readonly case: string;
  readonly metric: string;
  readonly unit: string;
  readonly median: number;
  readonly min: number;
  readonly max: number;
  readonly ratioTo: Readonly<Record<string, number>>;
}

type Sample = Readonly<Partial<Record<Metric, number>>>;
type Samples = ReadonlyMap<string, readonly Sample[]>;

const WARM_UP = 3;

/** Measures, prints a table, and sets the exit status to 1 if a bar is exceeded. The rows go to {@link save}. */
export async function measure(measurement: Measurement): Promise<Row[]> {
  const { cases, rounds = 30, perRound = 10_000, settle = 0, baseline } = measurement;
  const taken = new Map<string, Sample[]>(cases.map((each) => [each.name, []]));
  for (let round = 0; round < rounds + WARM_UP; round++) {
    // Every round begins with another case: none is always the one that runs after the garbage of the same other.
    for (let i = 0; i < cases.length; i++) {
      const each = cases[(i + round) % cases.length] as Case;
      const sample = await take(each, perRound, settle);
      if (round >= WARM_UP) taken.get(each.name)?.push(sample);
    }
  }
  const samples = new Map(cases.map((each) => [each.name, figures(each, taken)]));
  const rows = cases.flatMap(({ name }) => {
    const first = samples.get(name)?.[0];
    const measured = metrics.filter((metric) => first?.[metric] !== undefined);
    return measured.map((metric) => row(name, metric, samples, baseline));
  });
  print(measurement, rows);
  for (const bar of measurement.bars ?? []) judge(bar, samples, rounds);
  return rows;
}

/** Writes `benchmarks/results/NAME.json`; on another Node than the project's, which is 24, `NAME.node22.json`. */
export function save(name: string, rows: readonly Row[]): void {
  const [major] = process.versions.node.split('.');
  const file = major === '24' ? `${name}.json` : `${name}.node${major}.json`;
  const { model = 'unknown' } = cpus()[0] ?? {};
  const machine = `${model} x${cpus().length}, ${process.platform} ${process.arch}`;
  const folder = new URL('./results/', import.meta.url);
  mkdirSync(folder, { recursive: true });
  const result = { name, node: process.version, machine, rows };
  writeFileSync(new URL(file, folder), `${JSON.stringify(result, null, 2)}\n`);
}

async function take(each: Case, n: number, settle: number): Promise<Sample> {
  const latencies = new Latencies(n);
  // The young generation alone, so that nobody pays for the garbage of the one before. Not all of the heap: what a full
  // collection throws away (caches, code, the size that the young generation has grown to) makes the next thousands of
  // requests dearer by half, which no service sees that collects when it has to.
  globalThis.gc?.({ type: 'minor', execution: 'sync' });
  if (settle > 0) await each.run(settle, new Latencies(settle));
  const profiler = new GCProfiler();
  profiler.start();
  const heap = getHeapStatistics().used_heap_size;
  const others = cpuOf(each.also);
  const wall = systemClock.now();
  const cpu = process.cpuUsage();
  const running = each.run(n, latencies);
  if (running !== undefined) await running;
  const used = process.cpuUsage(cpu);
  const wallMs = systemClock.now() - wall;
  const othersUsed = cpuOf(each.also) - others;
  let bytes = getHeapStatistics().used_heap_size - heap;
  // What was collected meanwhile had been allocated, too.
  for (const { beforeGC, afterGC } of profiler.stop().statistics) {
    bytes += beforeGC.heapStatistics.usedHeapSize - afterGC.heapStatistics.usedHeapSize;
  }
  const p50 = latencies.percentile(0.5);
  return {
    cpu: (used.user + used.system + othersUsed) / n,
    ...(each.also === undefined ? {} : { elsewhere: othersUsed / n }),
    allocated: bytes / n,
    wall: (wallMs * 1_000) / n,
    ...(p50 === undefined ? {} : { p50, p99: latencies.percentile(0.99) as number }),
  };
}

/** CPU time of other processes since they began, in µs, by the scheduler's own count: that of `stat` ticks every 10 ms. */
function cpuOf(pids: readonly number[] = []): number {
  let ns = 0;
  for (const pid of pids) {
    for (const task of readdirSync(`/proc/${pid}/task`)) {
      ns += Number(readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'utf8').split(' ', 1)[0]);
    }
  }
  return ns / 1_000;
}

/** Samples of one case, per operation, without what is not its own. */
function figures(each: Case, taken: ReadonlyMap<string, readonly Sample[]>): readonly Sample[] {
  const own = taken.get(each.name) ?? [];
  const others = each.less === undefined ? [] : taken.get(each.less);
  if (others === undefined) throw new Error(`there is no case ${each.less} to take off`);
  const figure = (metric: Metric, i: number): number =>
    ((own[i]?.[metric] ?? 0) - (others[i]?.[metric] ?? 0)) / (isPercentile(metric) ? 1 : (each.per ?? 1));
  return own.map((sample, i) =>
    Object.fromEntries(Object.keys(sample).map((metric) => [metric, figure(metric as Metric, i)])),
  );
}

/** These are of single operations as they are, and not of a whole sample. */
function isPercentile(metric: Metric): boolean {
  return metric === 'p50' || metric === 'p99';
}

function row(name: string, metric: Metric, samples: Samples, baseline?: string): Row {
  const values = (of: string): number[] => (samples.get(of) ?? []).map((sample) => sample[metric] ?? 0);
  const own = values(name);
  const ratioTo: Record<string, number> = {};
  if (baseline !== undefined && baseline !== name) {
    const base = values(baseline);
    ratioTo[baseline] = round(median(own.map((value, i) => value / (base[i] as number))));
  }
  const [least, most] = [Math.min(...own), Math.max(...own)];
  return {
    case: name,
    metric,
    unit: units[metric],
    median: round(median(own)),
    min: round(least),
    max: round(most),
    ratioTo,
  };
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1
    ? (sorted[middle] as number)
    : ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2;
}

/** Four significant digits: more would be noise, and would change with every run. */
export function round(value: number): number {
  return Number.isFinite(value) ? Number(value.toPrecision(4)) + 0 : 0;
}

function print(measurement: Measurement, rows: readonly Row[]): void {
  const { baseline } = measurement;
  const find = (name: string, metric: Metric): Row => {
    const found = rows.find((each) => each.case === name && each.metric === metric);
    if (found === undefined) throw new Error(`there is no ${metric} of ${name}`);
    return found;
  };
  const has = (metric: Metric): boolean => rows.some((row) => row.metric === metric);
  const [elsewhere, percentiles] = [has('elsewhere'), has('p50')];
  const medianOf = (name: string, metric: Metric): number | string =>
    rows.find((each) => each.case === name && each.metric === metric)?.median ?? '';
  console.log(`\n${measurement.name}`);
  console.table(
    Object.fromEntries(
      measurement.cases.map(({ name }) => {
        const cpu = find(name, 'cpu');
        return [
          name,
          {
            'CPU µs': cpu.median,
            'min … max': `${cpu.min} … ${cpu.max}`,
            ...(elsewhere ? { 'of it elsewhere': medianOf(name, 'elsewhere') } : {}),
            bytes: Math.round(find(name, 'allocated').median) + 0,
            'wall µs': find(name, 'wall').median,
            ...(percentiles ? { p50: medianOf(name, 'p50'), p99: medianOf(name, 'p99') } : {}),
            ...(baseline === undefined ? {} : { [`× ${baseline}`]: cpu.ratioTo[baseline] ?? 1 }),
          },
        ];
      }),
    ),
  );
}

function judge(bar: Bar | RoundBar, samples: Samples, rounds: number): void {
  const claim = 'of' in bar ? bar : roundBar(bar);
  const values = Array.from({ length: rounds }, (_, i) =>
    claim.of((name, metric) => {
      const value = samples.get(name)?.[i]?.[metric];
      if (value === undefined) throw new Error(`there is no ${metric} of ${name}`);
      return value;
    }),
  );
  check(claim.says, median(values), claim.unit, claim.max);
}

function roundBar({ case: name, metric, max, ratioTo, over }: Bar): RoundBar {
  const says = `${name}, ${metric}`;
  if (ratioTo !== undefined) {
    return { says, unit: `× ${ratioTo}`, max, of: (figure) => figure(name, metric) / figure(ratioTo, metric) };
  }
  if (over === undefined) return { says, unit: units[metric], max, of: (figure) => figure(name, metric) };
  const unit = `${units[metric]} over ${over}`;
  return { says, unit, max, of: (figure) => figure(name, metric) - figure(over, metric) };
}

/** Says whether a bar is met, and sets the exit status to 1 if not. */
export function check(says: string, value: number, unit: string, max: number): void {
  const met = value <= max;
  if (!met) process.exitCode = 1;
  console.log(`${met ? 'met   ' : 'MISSED'}  ${says}: ${round(value)} ${unit}, at most ${max}`);
}
