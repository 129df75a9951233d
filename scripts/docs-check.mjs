// Checks the documentation: links, code cut from examples, generated pages, and the five shelves of every policy.
// `npm run docs-check -- --write` puts the current text of the examples and the generated pages into the pages.
// The last argument may name another folder to look at instead of this repository.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { checkCode } from './docs-code.mjs';
import { checkLinks } from './docs-links.mjs';
import { checkShelves } from './docs-shelves.mjs';
import { root as repository } from './packages.mjs';
import { assertProjectNode } from './project-node.mjs';

assertProjectNode();
const write = process.argv.includes('--write');
const root = resolve(process.argv.slice(2).find((argument) => !argument.startsWith('--')) ?? repository);

const pages = [
  ...['README.md', 'CONTRIBUTING.md', 'SECURITY.md'],
  ...list('docs').filter((path) => path.endsWith('.md')),
  ...list('packages', 0).map((id) => join('packages', id, 'README.md')),
]
  .map((path) => join(root, path))
  .filter((path) => existsSync(path));

const problems = [
  ...checkLinks(root, pages),
  ...checkCode(root, pages, write),
  ...checkGenerated(),
  ...checkShelves(root),
];
for (const problem of problems) console.error(problem);
console.log(`docs-check: ${pages.length} pages, ${problems.length} problems`);
process.exitCode = problems.length ? 1 : 0;

/** @param {string} folder */
function list(folder, depth = Number.POSITIVE_INFINITY) {
  if (!existsSync(join(root, folder))) return [];
  if (depth === 0) return readdirSync(join(root, folder));
  return readdirSync(join(root, folder), { recursive: true }).map((path) => join(folder, String(path)));
}

/** Pages made from tables in the code must be what the code would make now. */
function checkGenerated() {
  const generator = join(root, 'scripts/generate-docs.mjs');
  if (!existsSync(generator)) return [];
  const { status } = spawnSync(process.execPath, [generator, write ? '--write' : '--check'], {
    cwd: root,
    stdio: 'inherit',
  });
  return status === 0 ? [] : ['generated pages: scripts/generate-docs.mjs says that they differ, see above'];
}
