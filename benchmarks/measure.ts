/**
 * @module Measures cases against each other: interleaved rounds in one process, CPU time rather than wall-clock time,
 * medians, and ratios that are taken within a round, where both sides met the same machine in the same mood.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { GCProfiler, getHeapStatistics } from 'node:v8';
import { systemClock } from '@fairlead/core';

/** Something to be measured. */
export interface Case {
  readonly name: string;
  /** Does it `n` times. */
  readonly run: (n: number) => Promise<void> | void;
  /** How many operations one run of `run(1)` is; figures are per operation. Default 1. */
  readonly per?: number;
  /** Name of a case of the same measurement whose cost is no part of this one's, and is taken off, round by round. */
  readonly less?: string;
}

/** A figure that must not be exceeded. */
export interface Bar {
  readonly case: string;
  readonly metric: Metric;
  /** In the metric's unit; with `ratioTo`, a ratio. */
  readonly max: number;
  /** The case to compare with. It must be the baseline. */
  readonly ratioTo?: string;
}

/** CPU time of this process, user and system; bytes on the V8 heap, garbage included; wall-clock time as context. */
export type Metric = 'cpu' | 'allocated' | 'wall';

const units = { cpu: 'µs', allocated: 'bytes', wall: 'µs' } as const;
const metrics: readonly Metric[] = ['cpu', 'allocated', 'wall'];

/** What to measure, and how. */
export interface Measurement {
  /** Title of the table. */
  readonly name: string;
  readonly cases: readonly Case[];
  /** Default 30, after three that do not count. */
  readonly rounds?: number;
  /** Runs of each case in each round. Default 10,000. */
  readonly perRound?: number;
  /** Name of the case that the others are compared with. Default none. */
  readonly baseline?: string;
  readonly bars?: readonly Bar[];
}

/** One line of a result file. */
export interface Row {
  readonly case: string;
  readonly metric: Metric;
  readonly unit: string;
  readonly median: number;
  readonly min: number;
  readonly max: number;
  readonly ratioTo: Readonly<Record<string, number>>;
}

type Sample = Readonly<Record<Metric, number>>;

const WARM_UP = 3;

/** Measures, prints a table, and sets the exit status to 1 if a bar is exceeded. The rows go to {@link save}. */
export async function measure(measurement: Measurement): Promise<Row[]> {
  const { cases, rounds = 30, perRound = 10_000, baseline } = measurement;
  const taken = new Map<string, Sample[]>(cases.map((each) => [each.name, []]));
  for (let round = 0; round < rounds + WARM_UP; round++) {
    // Every round begins with another case: none is always the one that runs after the garbage of the same other.
    for (let i = 0; i < cases.length; i++) {
      const each = cases[(i + round) % cases.length] as Case;
      const sample = await take(each, perRound);
      if (round >= WARM_UP) taken.get(each.name)?.push(sample);
    }
  }
  const samples = new Map(cases.map((each) => [each.name, figures(each, taken)]));
  const rows = cases.flatMap((each) => metrics.map((metric) => row(each.name, metric, samples, baseline)));
  print(measurement, rows);
  return rows;
}

/** Writes `benchmarks/results/NAME.json`. */
export function save(name: string, rows: readonly Row[]): void {
  const { model = 'unknown' } = cpus()[0] ?? {};
  const machine = `${model} x${cpus().length}, ${process.platform} ${process.arch}`;
  const folder = new URL('./results/', import.meta.url);
  mkdirSync(folder, { recursive: true });
  const result = { name, node: process.version, machine, rows };
  writeFileSync(new URL(`${name}.json`, folder), `${JSON.stringify(result, null, 2)}\n`);
}

async function take(each: Case, n: number): Promise<Sample> {
  globalThis.gc?.();
  const profiler = new GCProfiler();
  profiler.start();
  const heap = getHeapStatistics().used_heap_size;
  const wall = systemClock.now();
  const cpu = process.cpuUsage();
  const running = each.run(n);
  if (running !== undefined) await running;
  const used = process.cpuUsage(cpu);
  const wallMs = systemClock.now() - wall;
  let bytes = getHeapStatistics().used_heap_size - heap;
  // What was collected meanwhile had been allocated, too.
  for (const { beforeGC, afterGC } of profiler.stop().statistics) {
    bytes += beforeGC.heapStatistics.usedHeapSize - afterGC.heapStatistics.usedHeapSize;
  }
  return { cpu: (used.user + used.system) / n, allocated: bytes / n, wall: (wallMs * 1_000) / n };
}

/** Samples of one case, per operation, without what is not its own. */
function figures(each: Case, taken: ReadonlyMap<string, readonly Sample[]>): readonly Sample[] {
  const own = taken.get(each.name) ?? [];
  const others = each.less === undefined ? [] : taken.get(each.less);
  if (others === undefined) throw new Error(`there is no case ${each.less} to take off`);
  const figure = (metric: Metric, i: number): number =>
    ((own[i] as Sample)[metric] - (others[i]?.[metric] ?? 0)) / (each.per ?? 1);
  return own.map((_, i) => ({ cpu: figure('cpu', i), allocated: figure('allocated', i), wall: figure('wall', i) }));
}

function row(name: string, metric: Metric, samples: ReadonlyMap<string, readonly Sample[]>, baseline?: string): Row {
  const values = (of: string): number[] => (samples.get(of) ?? []).map((sample) => sample[metric]);
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

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1
    ? (sorted[middle] as number)
    : ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2;
}

/** Four significant digits: more would be noise, and would change with every run. */
function round(value: number): number {
  return Number.isFinite(value) ? Number(value.toPrecision(4)) + 0 : 0;
}

function print(measurement: Measurement, rows: readonly Row[]): void {
  const { baseline } = measurement;
  const find = (name: string, metric: Metric): Row => {
    const found = rows.find((each) => each.case === name && each.metric === metric);
    if (found === undefined) throw new Error(`there is no case ${name}`);
    return found;
  };
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
            bytes: Math.round(find(name, 'allocated').median) + 0,
            'wall µs': find(name, 'wall').median,
            ...(baseline === undefined ? {} : { [`× ${baseline}`]: cpu.ratioTo[baseline] ?? 1 }),
          },
        ];
      }),
    ),
  );
  for (const bar of measurement.bars ?? []) {
    const figures = find(bar.case, bar.metric);
    const value = bar.ratioTo === undefined ? figures.median : figures.ratioTo[bar.ratioTo];
    const unit = bar.ratioTo === undefined ? units[bar.metric] : `× ${bar.ratioTo}`;
    const met = value !== undefined && value <= bar.max;
    if (!met) process.exitCode = 1;
    console.log(`${met ? 'met   ' : 'MISSED'}  ${bar.case}, ${bar.metric}: ${value} ${unit}, at most ${bar.max}`);
  }
}
