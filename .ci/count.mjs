// Prints "passed failed" for a vitest JSON report. Arguments: the report, the exit status of the run.
import { existsSync, readFileSync } from 'node:fs';

const [file, status] = process.argv.slice(2);
const report = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : undefined;
const passed = report?.numPassedTests ?? 0;
// A file that could not be loaded has no tests to count, and is a failure all the same.
const unloaded =
  report?.testResults.filter((one) => one.status === 'failed' && !one.assertionResults.length).length ?? 0;
const failed = (report?.numFailedTests ?? 0) + unloaded;
// So is a run without a report, and one that failed for a reason outside of any test.
console.log(passed, failed || (status === '0' && report ? 0 : 1));
