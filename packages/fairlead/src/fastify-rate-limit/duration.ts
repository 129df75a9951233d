/** @module Durations as @fastify/rate-limit reads and writes them: `1 minute`, `15s`. */

const units: readonly [name: string, ms: number, pattern: RegExp][] = [
  ['ms', 1, /^(?:ms|msecs?|milliseconds?)?$/],
  ['second', 1_000, /^s(?:ecs?|econds?)?$/],
  ['minute', 60_000, /^m(?:ins?|inutes?)?$/],
  ['hour', 3_600_000, /^h(?:rs?|ours?)?$/],
  ['day', 86_400_000, /^d(?:ays?)?$/],
  ['week', 604_800_000, /^w(?:ks?|eeks?)?$/],
  ['year', 31_557_600_000, /^y(?:rs?|ears?)?$/],
];

/** Milliseconds, or null if `text` is no duration. */
export function parseDuration(text: string): number | null {
  const match = /^(\d*\.?\d+) *([a-z]*)$/.exec(text.trim().toLowerCase());
  const unit = match === null ? undefined : units.find(([, , pattern]) => pattern.test(match[2] as string));
  return match === null || unit === undefined ? null : Number(match[1]) * unit[1];
}

/** `2 minutes`: in the largest unit of which it is at least one, rounded. */
export function durationText(ms: number): string {
  if (ms < 1_000) return `${ms} ms`;
  const [name, size] = units.filter(([unit, size]) => unit !== 'week' && size <= ms).at(-1) as [string, number, RegExp];
  const count = Math.round(ms / size);
  return `${count} ${name}${count === 1 ? '' : 's'}`;
}
