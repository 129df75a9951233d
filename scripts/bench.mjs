// `npm run bench` lists the benchmarks, `npm run bench -- NAME` runs one.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './packages.mjs';
import { assertProjectNode } from './project-node.mjs';

assertProjectNode();
const [name, ...args] = process.argv.slice(2);
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
  const result = spawnSync(process.execPath, ['--expose-gc', join(folder, name + suffix), ...args], {
    stdio: 'inherit',
    cwd: root,
  });
  process.exitCode = result.status ?? 1;
}
