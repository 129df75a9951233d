/**
 * @module Ten minutes of virtual time in which twenty services are killed, frozen, slowed, cut off and answer garbage, the
 * clock is set, the event loop blocked, and callers lose interest. Whatever happens: every call ends in time, no answer is
 * delivered twice, nothing is left; and hardly a call fails that could have been saved.
 *
 * The stack is that of `createClient` with its own defaults and shorter times. What could have been saved: `chaos/oracle.ts`.
 *
 * `npm run bench -- chaos` takes some minutes; `short` some seconds, and writes no results; `-- chaos 7` one seed.
 */
import { createClient } from 'fairlead';
import { asLayer, type ChaosReport, simulate } from './chaos/simulation.ts';
import { check, type Row, round, save } from './measure.ts';

const words = process.argv.slice(2);
const short = words.includes('short');
const given = words.map(Number).filter((seed) => seed > 0);
const seeds = given.length > 0 ? given : short ? [1, 2] : [1, 2, 3, 4, 5];
const ms = short ? 60_000 : 600_000;

const reports: ChaosReport[] = [];
for (const seed of seeds) {
  const report = await simulate({
    seed,
    ms,
    makeClient: (init, network) =>
      createClient({ ...init, defaults: { ...init.defaults, layers: { attempt: [asLayer(network)] } } }),
  });
  reports.push(report);
  const { calls, good, missed, attempts, complaints } = report;
  console.log(
    `  seed ${seed}: ${calls} calls, ${attempts} attempts, ${percent(good / calls)} good; ` +
      `${percent(missed / calls)} could have been saved; ${complaints.length} complaints`,
  );
  for (const each of complaints.slice(0, 10)) console.log(`    ${each}`);
}
const sum = (of: (report: ChaosReport) => number): number => reports.reduce((total, report) => total + of(report), 0);
const calls = sum(({ calls }) => calls);
const total = (of: (report: ChaosReport) => Readonly<Record<string, number>>): Record<string, number> => {
  const counts: Record<string, number> = {};
  for (const report of reports)
    for (const [kind, n] of Object.entries(of(report))) counts[kind] = (counts[kind] ?? 0) + n;
  return counts;
};
console.table(total(({ endings }) => endings));
console.log('of these could have been saved');
console.table(total(({ missedEndings }) => missedEndings));
const missed = (sum(({ missed }) => missed) / calls) * 100;
const complaints = sum(({ complaints }) => complaints.length);
check('calls that ended late, answers delivered twice, things left behind', complaints, '', 0);
check('success below that of an oracle that knows the faults', missed, 'percentage points', 0.1);

function percent(share: number): string {
  return `${(share * 100).toFixed(3)} %`;
}

const row = (name: string, metric: string, unit: string, value: number): Row => {
  const rounded = round(value);
  return { case: name, metric, unit, median: rounded, min: rounded, max: rounded, ratioTo: {} };
};
if (words.length === 0) {
  save('chaos', [
    row('all seeds', 'calls', '', calls),
    row('all seeds', 'good', '%', (sum(({ good }) => good) / calls) * 100),
    row('all seeds', 'below the oracle', 'percentage points', missed),
    row('all seeds', 'attempts per call', '', sum(({ attempts }) => attempts) / calls),
    row('all seeds', 'complaints', '', complaints),
  ]);
}
