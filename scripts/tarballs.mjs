// Packs every package into a folder, for the checks that want to see what users get.
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { packages } from './packages.mjs';

/**
 * @typedef {object} Tarball
 * @property {import('./packages.mjs').Package} pack
 * @property {string} file
 * @property {{ path: string, size: number }[]} files
 * @property {number} size compressed, in bytes
 * @property {number} unpackedSize
 *
 * @param {string} folder @returns {Tarball[]}
 */
export function packAll(folder) {
  const all = packages();
  const output = execFileSync('npm', ['pack', '--json', '--pack-destination', folder, ...all.map((pack) => pack.dir)], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
    shell: process.platform === 'win32',
  });
  /** @type {any[]} */
  const packed = Object.values(JSON.parse(output));
  return all.map((pack) => {
    const found = packed.find((candidate) => candidate.name === pack.name);
    if (!found) throw new Error(`npm pack made no tarball of ${pack.name}`);
    const { filename, files, size, unpackedSize } = found;
    return { pack, file: join(folder, filename), files, size, unpackedSize };
  });
}
