/** @module Metrics as text, in the format that Prometheus scrapes (text exposition format 0.0.4). */
import type { Labels, MetricFamily } from './metric-families.js';

/** The `Content-Type` of {@link exposition}. */
export const expositionType = 'text/plain; version=0.0.4; charset=utf-8';

/** Writes `families`, those without any series left out. */
export function exposition(families: readonly MetricFamily[]): string {
  let text = '';
  for (const family of families) {
    if (family.series.length === 0) continue;
    const { name } = family;
    text += `# HELP ${name} ${family.help}\n# TYPE ${name} ${family.type}\n`;
    if (family.type !== 'histogram') {
      for (const { labels, value } of family.series) text += `${name}${labelText(labels)} ${value}\n`;
      continue;
    }
    for (const { labels, buckets, count, sum } of family.series) {
      let upTo = 0;
      for (const [i, n] of buckets.entries()) {
        upTo += n;
        text += `${name}_bucket${labelText({ ...labels, le: String(family.bounds[i] ?? '+Inf') })} ${upTo}\n`;
      }
      text += `${name}_sum${labelText(labels)} ${sum}\n${name}_count${labelText(labels)} ${count}\n`;
    }
  }
  return text;
}

function labelText(labels: Labels): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escaped(value)}"`);
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
}

function escaped(value: string): string {
  return value.replace(/[\\"\n]/g, (c) => (c === '\n' ? '\\n' : `\\${c}`));
}
