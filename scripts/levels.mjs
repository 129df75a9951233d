// Checks the rules of .dependency-cruiser.mjs. Usage: npm run levels [-- folder], the folder standing for the root.
import { readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { root } from './packages.mjs';
import { assertProjectNode } from './project-node.mjs';

assertProjectNode();
await import('./typescript-api.mjs');
const base = resolve(process.argv[2] ?? root);
const { default: rules } = await import(pathToFileURL(join(root, '.dependency-cruiser.mjs')).href);
const { cruise } = await import('dependency-cruiser');
const { default: readTsConfig } = await import('dependency-cruiser/config-utl/extract-ts-config');

process.chdir(base);
const tsConfig = readTsConfig(join(base, 'tsconfig.json'));
const { output } = await cruise(
  readdirSync('packages').map((id) => `packages/${id}/src`),
  { ...rules.options, ruleSet: { forbidden: rules.forbidden }, validate: true, baseDir: base },
  undefined,
  { tsConfig },
);
if (typeof output === 'string') throw new Error(output);
const { violations, totalCruised, totalDependenciesCruised } = output.summary;

// Without a compiler dependency-cruiser skips .ts files and finds nothing wrong: that must not look like success.
const seen = output.modules.filter((module) => /^packages\/.*\.ts$/.test(module.source)).length;
if (seen === 0) {
  console.error('levels: not a single TypeScript module was read');
  process.exit(1);
}
for (const { rule, from, to, cycle } of violations) {
  const comment = rules.forbidden.find((candidate) => candidate.name === rule.name)?.comment ?? '';
  const path = cycle ? [from, ...cycle.map((step) => step.name ?? step)].join(' -> ') : `${from} -> ${to}`;
  console.error(`${rule.name}: ${path}\n    ${comment}`);
}
console.log(`levels: ${totalCruised} modules, ${totalDependenciesCruised} imports, ${violations.length} violations`);
process.exit(violations.length ? 1 : 0);
