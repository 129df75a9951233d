// The Node that this project is developed with. It is an npm dependency, so that nobody has to install it.
// Plain Node 20: run.mjs imports this before anything is installed.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const wanted = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).devDependencies.node;
const major = Number(wanted.split('.')[0]);

/** The path of the project's Node. Throws with what to do when it is not there or is another version. */
export function projectNode() {
  const candidates = ['bin/node', 'bin/node.exe'].map((path) => join(root, 'node_modules/node', path));
  const node = candidates.find((path) => existsSync(path));
  if (!node) {
    throw new Error(
      `The project's own Node ${wanted} is missing: ${candidates[0]} does not exist. ` +
        'It is put there by the install script of the npm package "node". Was npm told to ignore scripts? ' +
        'Run: npm ci --ignore-scripts=false',
    );
  }
  const { stdout } = spawnSync(node, ['--version'], { encoding: 'utf8' });
  const version = String(stdout).trim();
  if (!version.startsWith(`v${major}.`)) {
    throw new Error(`The project's own Node should be v${wanted}, but ${node} says "${version}". Run: npm ci`);
  }
  return node;
}

/** An environment in which `node` and the installed commands are the project's. @param {string} node */
export function projectEnv(node) {
  const first = [dirname(node), join(root, 'node_modules/.bin')];
  return { ...process.env, PATH: [...first, process.env.PATH].join(delimiter) };
}

/** For files that may also be started by hand: refuses any other Node. */
export function assertProjectNode() {
  if (Number(process.versions.node.split('.')[0]) !== major) {
    throw new Error(
      `This runs on Node ${major}, but was started with ${process.version}. ` +
        'Start it through npm, for example "npm test", which brings the right Node with it.',
    );
  }
}
