// What the repository holds, read from the package.json files, so that no list has to be kept in step by hand.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** Packages whose name is not listed here are level 1: they may use core and nothing else. */
const levels = { core: 0, fairlead: 2 };

/**
 * @typedef {object} Entry
 * @property {string} subpath as in `exports`: "." or "./express"
 * @property {string} specifier what a user imports: "fairlead/express"
 * @property {string} source src/express.ts, relative to the package
 * @property {string} output dist/express.js
 * @property {string} types dist/express.d.ts
 *
 * @typedef {object} Package
 * @property {string} id the folder name
 * @property {string} name
 * @property {string} dir
 * @property {number} level
 * @property {any} manifest
 * @property {Entry[]} entries
 * @property {string[]} siblings names of the packages of this repository it depends on
 */

/** Every package, lower levels first, which is the order in which declarations can be made. @returns {Package[]} */
export function packages() {
  return readdirSync(join(root, 'packages'))
    .filter((id) => existsSync(join(root, 'packages', id, 'package.json')))
    .map(read)
    .sort((a, b) => a.level - b.level || a.id.localeCompare(b.id));
}

/** @param {string} id @returns {Package} */
function read(id) {
  const dir = join(root, 'packages', id);
  const manifest = JSON.parse(readFileSync(join(dir, 'package.json'), 'utf8'));
  const entries = Object.entries(manifest.exports)
    .filter(([, target]) => typeof target === 'object')
    .map(([subpath, target]) => entry(manifest.name, subpath, target.default));
  for (const [command, output] of Object.entries(manifest.bin ?? {})) {
    entries.push({ ...entry(manifest.name, '', `./${output.replace(/^\.\//, '')}`), specifier: `bin:${command}` });
  }
  const siblings = Object.keys(manifest.dependencies ?? {}).filter((name) => /^(@fairlead\/|fairlead$)/.test(name));
  return { id, name: manifest.name, dir, level: levels[id] ?? 1, manifest, entries, siblings };
}

/** @param {string} name @param {string} subpath @param {string} output @returns {Entry} */
function entry(name, subpath, output) {
  const stem = output.replace(/^\.\/dist\//, '').replace(/\.js$/, '');
  return {
    subpath,
    specifier: name + subpath.slice(1),
    source: `src/${stem}.ts`,
    output: `dist/${stem}.js`,
    types: `dist/${stem}.d.ts`,
  };
}
