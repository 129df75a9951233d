/** @module Durations as they are written in environments and files: `500ms`, `2s`, `1m30s`. */

const unitMs: Readonly<Record<string, number>> = Object.freeze({ h: 3_600_000, m: 60_000, s: 1_000, ms: 1 });

/**
 * Reads a duration: the format of Kubernetes' Gateway API (GEP-2257), or a bare whole number of milliseconds.
 * @returns ms, or undefined if `text` is neither
 */
export function parseDuration(text: string): number | undefined {
  if (/^[0-9]{1,15}$/.test(text)) return Number(text);
  if (!/^([0-9]{1,5}(h|m|s|ms)){1,4}$/.test(text)) return undefined;
  let total = 0;
  for (const [, digits, unit] of text.matchAll(/([0-9]+)(ms|h|m|s)/g))
    total += Number(digits) * (unitMs[unit as string] as number);
  return total;
}

/**
 * Writes a duration in the shortest form of GEP-2257, which {@link parseDuration} reads back.
 * @param ms a whole number, not negative; a fraction is rounded, since the format has none
 * @returns bare milliseconds where the format has no room: its largest number of hours is 99999
 */
export function formatDuration(ms: number): string {
  let rest = Math.round(ms);
  if (rest === 0) return '0s';
  if (rest >= 100_000 * 3_600_000) return String(rest);
  let text = '';
  for (const unit of ['h', 'm', 's', 'ms']) {
    const size = unitMs[unit] as number;
    if (rest >= size) text += Math.floor(rest / size) + unit;
    rest %= size;
  }
  return text;
}
