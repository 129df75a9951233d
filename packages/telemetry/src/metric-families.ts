/** @module Counts and histograms with labels: what a metric is made of. */

/** Names and values of labels, in a fixed order. */
export type Labels = Readonly<Record<string, string>>;

/** One count, or one value that goes up and down. */
export interface ValueSeries {
  readonly labels: Labels;
  readonly value: number;
}

/** How often something took how long. */
export interface HistogramSeries {
  readonly labels: Labels;
  readonly count: number;
  /** Sum of all durations, in seconds. */
  readonly sum: number;
  /** How many took at most {@link HistogramFamily.bounds} of the same index, in seconds; not cumulated. The last has no bound. */
  readonly buckets: readonly number[];
}

/** All series of a metric that counts. */
export interface ValueFamily {
  readonly name: string;
  readonly help: string;
  readonly type: 'counter' | 'gauge';
  readonly series: readonly ValueSeries[];
}

/** All series of a metric that measures durations. */
export interface HistogramFamily {
  readonly name: string;
  readonly help: string;
  readonly type: 'histogram';
  /** Upper bounds of the buckets in seconds, ascending; one more bucket follows. */
  readonly bounds: readonly number[];
  readonly series: readonly HistogramSeries[];
}

/** A metric. */
export type MetricFamily = ValueFamily | HistogramFamily;

/** What a label says once there are more series than allowed. */
const overflow = 'other';

/**
 * The series of one metric, made when they are first needed. Beyond `maxSeries` everything new is counted in one series
 * whose labels all say `other`, so that nothing a stranger can choose makes memory grow.
 */
export class SeriesTable<T> {
  readonly labelNames: readonly string[];
  readonly maxSeries: number;
  readonly #create: () => T;
  readonly #series = new Map<string, { readonly labels: Labels; readonly value: T }>();

  constructor(labelNames: readonly string[], maxSeries: number, create: () => T) {
    this.labelNames = labelNames;
    this.maxSeries = maxSeries;
    this.#create = create;
  }

  /** The series with these values of its labels; an empty value leaves its label out. */
  at(first: string, second = '', third = ''): T {
    const key = `${first}\n${second}\n${third}`;
    const found = this.#series.get(key);
    if (found !== undefined) return found.value;
    if (this.#series.size < this.maxSeries) return this.#add(key, [first, second, third]);
    return this.#series.get(overflow)?.value ?? this.#add(overflow, [overflow, overflow, overflow]);
  }

  #add(key: string, values: readonly string[]): T {
    const labels: Record<string, string> = {};
    for (const [i, name] of this.labelNames.entries()) if (values[i]) labels[name] = values[i] as string;
    const value = this.#create();
    this.#series.set(key, { labels, value });
    return value;
  }

  /** All series in the order in which they were first seen. */
  entries(): Iterable<{ readonly labels: Labels; readonly value: T }> {
    return this.#series.values();
  }
}
