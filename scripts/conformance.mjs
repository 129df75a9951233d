// Runs what depends on Node itself on the Nodes that the other tests do not run on: the built-in fetch, the undici inside of
// Node, node:http and file watching are another one in each. One line per Node; a failure is told whole.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { supportedNodes } from './node-versions.mjs';
import { root } from './packages.mjs';
import { assertProjectNode } from './project-node.mjs';

assertProjectNode();

/**
 * What depends on the Node that it runs on, by package: fetch, dispatcher, bridge, each alone and in a whole client; files
 * and names that are watched; the API server's traffic; servers and how they stop.
 */
const subjects = {
  transport: ['src/fetch/conformance.test.ts', 'src/door/', 'src/bridge/'],
  balance: ['src/resolvers/file/', 'src/resolvers/dns/', 'src/resolvers/conformance.test.ts'],
  kubernetes: ['src/traffic.test.ts', 'src/access/', 'src/kubeconfig/'],
  server: ['src/conformance.test.ts', 'src/guard.test.ts', 'src/http2.test.ts', 'src/drain/drain.test.ts'],
  fairlead: ['src/dispatcher', 'src/install-http', 'src/register', 'src/wrap-fetch', 'src/faults/unheard'],
};

const scratch = mkdtempSync(join(tmpdir(), 'fairlead-conformance-'));
let failed = 0;
try {
  for (const { version, node } of supportedNodes()) {
    // `npm test` runs all of it there.
    if (node === process.execPath) continue;
    const runs = Object.entries(subjects).map(([name, files]) => run(node, name, files));
    const passed = runs.reduce((sum, each) => sum + each.passed, 0);
    const failures = runs.flatMap((each) => each.failures);
    failed += failures.length;
    console.log(`Node ${version}: ${passed} tests passed, ${failures.length} failed`);
    for (const each of failures) console.error(each);
  }
} finally {
  rmSync(scratch, { recursive: true });
}
console.log(failed ? `conformance: ${failed} failures` : 'conformance: all well');
process.exitCode = failed ? 1 : 0;

/** Runs tests of one package on one Node. @param {string} node @param {string} name @param {string[]} files */
function run(node, name, files) {
  const report = join(scratch, 'report.json');
  rmSync(report, { force: true });
  const args = ['run', '--reporter=json', `--outputFile=${report}`, ...files];
  const { status, stdout, stderr } = spawnSync(node, [join(root, 'node_modules/vitest/vitest.mjs'), ...args], {
    cwd: join(root, 'packages', name),
    encoding: 'utf8',
    timeout: 120_000,
  });
  const { numPassedTests: passed = 0, testResults = [] } = readReport(report);
  const failures = testResults.flatMap(failuresOf);
  // Nothing that ran is as bad as something that failed: files are renamed.
  const wellDone = status === 0 && passed > 0 && testResults.length >= files.length;
  if (!wellDone && failures.length === 0) failures.push(`${name}: exit ${status}\n${stdout}${stderr}`);
  return { passed, failures };
}

/** @param {string} file */
function readReport(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return {};
  }
}

/** @param {{ name: string, status: string, message: string, assertionResults: { status: string, fullName: string, failureMessages: string[] }[] }} file */
function failuresOf({ name, status, message, assertionResults }) {
  const tests = assertionResults.filter((test) => test.status === 'failed');
  if (tests.length === 0) return status === 'failed' ? [`${name}\n${message}`] : [];
  return tests.map((test) => `${name}\n${test.fullName}\n${test.failureMessages.join('\n')}`);
}
