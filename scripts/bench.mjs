// `npm run bench` lists the benchmarks, `npm run bench -- NAME` runs one; `npm run bench -- NAME node22` on another Node.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { supportedNodes } from './node-versions.mjs';
import { root } from './packages.mjs';
import { assertProjectNode } from './project-node.mjs';

assertProjectNode();
const [name, ...given] = process.argv.slice(2);
const major = /^node(\d+)$/;
const args = given.filter((arg) => !major.test(arg));
const folder = join(root, 'benchmarks');
const suffix = '.bench.ts';
const names = (existsSync(folder) ? readdirSync(folder) : [])
  .filter((file) => file.endsWith(suffix))
  .map((file) => file.slice(0, -suffix.length));

if (!name) {
  console.log(
    names.length ? `Benchmarks, run one with "npm run bench -- NAME":\n  ${names.join('\n  ')}` : 'No benchmarks yet.',
  );
} else if (!names.includes(name)) {
  console.error(`There is no benchmark "${name}". There are: ${names.join(', ') || 'none'}`);
  process.exitCode = 1;
} else {
  // Node 24 strips the types itself. expose-gc lets a benchmark count garbage between two known points.
  const result = spawnSync(
    nodeOf(given.find((arg) => major.test(arg))),
    ['--expose-gc', join(folder, name + suffix), ...args],
    {
      stdio: 'inherit',
      cwd: root,
    },
  );
  process.exitCode = result.status ?? 1;
}

/** The path of the Node that was asked for; the project's own by default. @param {string | undefined} asked */
function nodeOf(asked) {
  if (asked === undefined) return process.execPath;
  const found = supportedNodes().find(({ version }) => `node${version.split('.')[0]}` === asked);
  if (found === undefined) throw new Error(`${asked} is none of the Nodes that are supported`);
  return found.node;
}
