// How much code an import brings: the entry of a package, minified and compressed, dependencies left out.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';
import { root } from './packages.mjs';

/** Upper bounds in kB (1000 bytes), by what a user imports. Raise one only together with the reason. */
const budgets = JSON.parse(readFileSync(join(root, 'scripts/size-budget.json'), 'utf8'));

/** @param {import('./packages.mjs').Package[]} packs @returns {Promise<string[]>} what is over its budget */
export async function checkSizes(packs) {
  const problems = [];
  const rows = [];
  for (const pack of packs) {
    for (const entry of pack.entries) {
      const kb = await size(join(pack.dir, entry.output));
      const budget = budgets[entry.specifier];
      rows.push({ import: entry.specifier, 'kB gzip': kb, budget });
      if (budget === undefined) problems.push(`${entry.specifier}: no budget in scripts/size-budget.json`);
      else if (kb > budget) problems.push(`${entry.specifier}: ${kb} kB is over its budget of ${budget} kB`);
    }
  }
  console.table(rows);
  const known = new Set(rows.map((row) => row.import));
  for (const name of Object.keys(budgets))
    if (!known.has(name)) problems.push(`${name}: a budget for what is not there`);
  return problems;
}

/** @param {string} file @returns {Promise<number>} kB */
async function size(file) {
  const { outputFiles } = await build({
    entryPoints: [file],
    bundle: true,
    minify: true,
    write: false,
    format: 'esm',
    platform: 'node',
    target: 'node22',
    packages: 'external',
    logLevel: 'silent',
  });
  return Number((gzipSync(outputFiles[0].contents, { level: 9 }).length / 1000).toFixed(2));
}
