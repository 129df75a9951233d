// The Node versions that users have. They come from the registry, like the project's own.
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { npm } from './installed.mjs';
import { root } from './packages.mjs';

const versions = ['22.23.3', '24.21.0', '26.10.0'];

/** Version and path of each; the first call downloads them. */
export function supportedNodes() {
  return versions.map((version) => ({ version, node: binary(version) }));
}

/** @param {string} version */
function binary(version) {
  if (process.version === `v${version}`) return process.execPath;
  const platform = process.platform === 'win32' ? 'win' : process.platform;
  const name = `node-${platform}-${process.arch}`;
  const folder = join(root, 'node_modules/.cache/fairlead/nodes', version);
  const file = join(folder, 'node_modules', name, process.platform === 'win32' ? 'bin/node.exe' : 'bin/node');
  if (!existsSync(file)) {
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'package.json'), '{ "private": true }\n');
    npm(['install', '--no-package-lock', `${name}@${version}`], folder);
  }
  return file;
}
