/** @module Whether we have become dearer since the results were committed. Ratios, so that it holds on another machine too. */
import { readFileSync } from 'node:fs';
import type { Row } from '../measure.ts';

/** So much dearer is a regression; less is what two runs differ by. */
const TOLERANCE = 1.15;

/** Says which of our figures are dearer in relation to their baseline than in the committed results. */
export function regressed(rows: readonly Row[]): string[] {
  const file = new URL('../results/overhead.short.json', import.meta.url);
  const committed = (JSON.parse(readFileSync(file, 'utf8')) as { rows: readonly Row[] }).rows;
  return rows.filter(isOurs).flatMap((row) => {
    const before = committed.find((each) => each.case === row.case && each.metric === row.metric);
    if (before === undefined) throw new Error(`there is no committed ${row.metric} of ${row.case}`);
    return Object.entries(row.ratioTo)
      .filter(([to, ratio]) => ratio > TOLERANCE * (before.ratioTo[to] ?? Number.POSITIVE_INFINITY))
      .map(([to, ratio]) => `${row.case}: ${row.metric} ${ratio} × ${to}, committed ${before.ratioTo[to]}`);
  });
}

function isOurs({ case: name, metric }: Row): boolean {
  return name.startsWith('Fairlead') && (metric === 'cpu' || metric === 'allocated');
}
