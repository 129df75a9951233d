// The one entry of every npm script: `node scripts/run.mjs <task> [arguments]`. It needs Node 20 or newer and npm,
// and sees to the rest: what is installed, the project's own Node, the build. Only Node 20 syntax in here.
import { spawnSync } from 'node:child_process';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const [task, ...args] = process.argv.slice(2);

/** What each task runs, and whether it wants the packages built first. "node" is the project's Node. */
const tasks = {
  build: { run: ['node', 'scripts/build.mjs'] },
  test: { build: true, run: ['node', 'node_modules/vitest/vitest.mjs', 'run'] },
  unit: { run: ['node', 'node_modules/vitest/vitest.mjs', 'run'] },
  start: { build: true, run: ['node', 'scripts/start.mjs'] },
  bench: { build: true, run: ['node', 'scripts/bench.mjs'] },
  lint: { run: ['node', 'node_modules/@biomejs/biome/bin/biome', 'check', '--error-on-warnings'] },
  typecheck: {
    before: ['node', 'node_modules/typescript/bin/tsc', '-p', 'scripts'],
    run: ['node', 'node_modules/typescript/bin/tsc', '-p', 'tsconfig.json'],
  },
  levels: { run: ['node', 'scripts/levels.mjs'] },
  api: { build: true, run: ['node', 'scripts/api.mjs'] },
  'pack-check': { build: true, run: ['node', 'scripts/pack-check.mjs'] },
  smoke: { build: true, run: ['node', 'scripts/smoke.mjs'] },
  conformance: { build: true, run: ['node', 'scripts/conformance.mjs'] },
  examples: { build: true, run: ['node', 'scripts/examples.mjs'] },
  'docs-check': { run: ['node', 'scripts/docs-check.mjs'] },
  changeset: { run: ['node', 'node_modules/@changesets/cli/bin.js'] },
  release: { build: true, run: ['node', 'node_modules/@changesets/cli/bin.js', 'publish'] },
};

/** @param {string} message @returns {never} */
function refuse(message) {
  console.error(`\n${message}\n`);
  process.exit(1);
}

if (Number(process.versions.node.split('.')[0]) < 20) {
  refuse(`Node 20 or newer is needed to start, this is ${process.version}.`);
}
if (!Object.hasOwn(tasks, task)) refuse(`There is no task "${task}". Tasks: ${Object.keys(tasks).join(', ')}`);

// Imported only now: an old Node should read the sentence above, not a syntax error.
const { installIsCurrent, writeInstallStamp } = await import('./install-stamp.mjs');
const { projectNode, projectEnv } = await import('./project-node.mjs');

if (!installIsCurrent()) install();

let node;
try {
  node = projectNode();
} catch (error) {
  refuse(error.message);
}

if (tasks[task].build) run('node', ['scripts/build.mjs']);
const { before, run: command } = tasks[task];
if (before) run(before[0], before.slice(1));
run(command[0], [...command.slice(1), ...args]);

/** Runs with the project's Node; a failure ends everything with the same status. */
function run(command, commandArgs) {
  const result = spawnSync(command === 'node' ? node : command, commandArgs, {
    cwd: root,
    env: projectEnv(node),
    stdio: 'inherit',
  });
  if (result.error) refuse(`Could not start ${command}: ${result.error.message}`);
  if (result.status !== 0) process.exit(result.status ?? 1);
}

function install() {
  console.log('node_modules is missing or older than package-lock.json: npm ci');
  // npm itself must not run on the Node that it is about to delete and install again.
  const path = (process.env.PATH ?? '').split(delimiter).filter((part) => !part.startsWith(join(root, 'node_modules')));
  const result = spawnSync('npm', ['ci', '--include=dev'], {
    cwd: root,
    env: { ...process.env, PATH: path.join(delimiter) },
    stdio: 'inherit',
    shell: process.platform === 'win32',
  });
  if (result.error) refuse(`Could not start npm: ${result.error.message}`);
  if (result.status !== 0) refuse('npm ci failed, see above.');
  // The install writes its own stamp, unless npm was told to ignore scripts.
  writeInstallStamp();
}
