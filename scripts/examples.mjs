// Runs every file of examples/ (not the demo) against the packed tarballs. An example ends by itself with status 0.
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { withInstalled } from './installed.mjs';
import { root } from './packages.mjs';
import { assertProjectNode } from './project-node.mjs';

assertProjectNode();
const folder = join(root, 'examples');
const wanted = process.argv.slice(2);
const files = (existsSync(folder) ? readdirSync(folder) : [])
  .filter((file) => /\.(ts|mjs)$/.test(file))
  .filter((file) => !wanted.length || wanted.includes(file))
  .sort();

let failed = 0;
await withInstalled(others(), (project) => {
  cpSync(folder, join(project, 'examples'), { recursive: true });
  for (const file of files) {
    const started = performance.now();
    const { status, signal, stdout, stderr } = spawnSync(process.execPath, [join('examples', file)], {
      cwd: project,
      encoding: 'utf8',
      timeout: 60_000,
    });
    const ok = status === 0;
    console.log(`${ok ? 'ok    ' : 'FAILED'} ${file} (${Math.round(performance.now() - started)} ms)`);
    if (ok) continue;
    failed++;
    console.error(`${stdout}${stderr}exit ${signal === 'SIGTERM' ? 'none within 60 s' : (signal ?? status)}\n`);
  }
});
console.log(`examples: ${files.length} run, ${failed} failed`);
process.exitCode = failed ? 1 : 0;

/** What the examples import besides ours, in the versions that the repository is developed with. */
function others() {
  const { devDependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const text = files.map((file) => readFileSync(join(folder, file), 'utf8')).join('\n');
  const names = [...text.matchAll(/\bfrom '((?:@[\w.-]+\/)?[\w.-]+)/g)].map((match) => match[1]);
  return [...new Set(names)].filter((name) => devDependencies[name]).map((name) => `${name}@${devDependencies[name]}`);
}
