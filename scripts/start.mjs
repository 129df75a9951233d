// `npm start`: the demo.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './packages.mjs';
import { assertProjectNode } from './project-node.mjs';

assertProjectNode();
const demo = join(root, 'examples/demo/main.mjs');
if (!existsSync(demo)) {
  console.error('There is no demo yet: examples/demo/main.mjs does not exist.');
  process.exit(1);
}
const result = spawnSync(process.execPath, [demo, ...process.argv.slice(2)], { stdio: 'inherit', cwd: root });
process.exit(result.status ?? 1);
