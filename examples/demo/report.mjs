// The table at the end, and whether the promise held.

/** @typedef {{ phase: string, spike: boolean, kind: string, total: number, failed: number, attemptsPerCall: number,
 *   served: { count: number, p50: number, p99: number }, refused: { count: number, p50: number, p99: number } }} Row */

const ms = (value) => (Number.isNaN(value) ? '-' : `${value.toFixed(value < 10 ? 1 : 0)} ms`);
const percent = (part, whole) => `${((100 * part) / whole).toFixed(2)} %`;

/** @param {Row[]} rows */
export function table(rows) {
  const head = [
    'phase',
    'gateway',
    'requests',
    'success',
    'failed',
    'refused',
    'p50',
    'p99',
    'refused p99',
    'attempts/call',
  ];
  const body = rows.map((row) => [
    row.phase,
    row.kind === 'fairlead' ? 'Fairlead' : 'built-in fetch',
    String(row.total),
    percent(row.served.count, row.total),
    String(row.failed),
    String(row.refused.count),
    ms(row.served.p50),
    ms(row.served.p99),
    ms(row.refused.p99),
    row.attemptsPerCall.toFixed(3),
  ]);
  const widths = head.map((title, column) => Math.max(title.length, ...body.map((line) => line[column].length)));
  const line = (cells) =>
    cells.map((cell, i) => (i < 2 ? cell.padEnd(widths[i]) : cell.padStart(widths[i]))).join('  ');
  return [line(head), widths.map((width) => '-'.repeat(width)).join('  '), ...body.map(line)].join('\n');
}

/**
 * With Fairlead no request fails in any phase but the spike; in the spike what is admitted keeps its latency, and what
 * is refused is refused fast.
 * @param {Row[]} rows
 * @returns {string[]} what did not hold
 */
export function broken(rows) {
  const ours = rows.filter((row) => row.kind === 'fairlead');
  const calm = ours[0];
  const complaints = [];
  for (const row of ours) {
    if (!row.spike && row.failed + row.refused.count > 0) {
      complaints.push(`${row.phase}: ${row.failed} requests failed and ${row.refused.count} were refused`);
    }
    if (!row.spike) continue;
    const allowed = 2 * calm.served.p99 + 50;
    if (row.failed > 0) complaints.push(`${row.phase}: ${row.failed} requests failed rather than being refused`);
    if (!(row.served.p99 <= allowed)) {
      complaints.push(`${row.phase}: admitted p99 ${ms(row.served.p99)}, more than ${ms(allowed)}`);
    }
    if (row.refused.count === 0) complaints.push(`${row.phase}: nothing was refused`);
    else if (!(row.refused.p99 <= 100)) complaints.push(`${row.phase}: refusals took ${ms(row.refused.p99)} at p99`);
  }
  return complaints;
}
