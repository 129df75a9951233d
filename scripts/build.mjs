// Builds every package into its dist: JavaScript by tsup, declarations by tsc. A package whose inputs have not
// changed is skipped. Usage: npm run build [-- --force]
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { tsupOptions } from '../tsup.config.mjs';
import { withLock } from './lock.mjs';
import { packages, root } from './packages.mjs';
import { assertProjectNode } from './project-node.mjs';

assertProjectNode();
const stamps = join(root, 'node_modules/.cache/fairlead/build');
const shared = [
  'package-lock.json',
  'tsconfig.base.json',
  'tsup.config.mjs',
  'scripts/build.mjs',
  'scripts/packages.mjs',
];
const force = process.argv.includes('--force');

/** @param {string} dir @returns {string[]} files below dir, sorted, tests left out */
function sources(dir) {
  return readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter((file) => file.isFile() && !file.name.endsWith('.test.ts'))
    .map((file) => join(file.parentPath, file.name))
    .sort();
}

/** @param {import('./packages.mjs').Package} pack @param {Map<string, string>} done hashes of the packages below */
function inputHash(pack, done) {
  const hash = createHash('sha256');
  const own = [join(pack.dir, 'package.json'), join(pack.dir, 'tsconfig.json'), ...sources(join(pack.dir, 'src'))];
  for (const file of [...shared.map((path) => join(root, path)), ...own]) {
    hash.update(file.slice(root.length)).update('\0').update(readFileSync(file)).update('\0');
  }
  // Declarations of the packages below are inputs too: their hash stands for them.
  for (const name of pack.siblings) hash.update(done.get(name) ?? name);
  return hash.digest('hex');
}

/** @param {import('./packages.mjs').Package} pack @param {string} hash */
function isBuilt(pack, hash) {
  const stamp = join(stamps, pack.id);
  const outputs = pack.entries.flatMap((entry) => [entry.output, entry.types]);
  return (
    existsSync(stamp) &&
    readFileSync(stamp, 'utf8') === hash &&
    outputs.every((output) => existsSync(join(pack.dir, output)))
  );
}

/** @param {import('./packages.mjs').Package} pack */
async function build(pack) {
  // Loaded late: a run in which everything is up to date should not pay for it.
  const { build: tsup } = await import('tsup');
  process.chdir(pack.dir);
  await tsup(tsupOptions(pack));
  process.chdir(root);
  const tsc = join(root, 'node_modules/typescript/bin/tsc');
  const result = spawnSync(process.execPath, [tsc, '-p', pack.dir, '--emitDeclarationOnly'], { stdio: 'inherit' });
  if (result.status !== 0) throw new Error(`${pack.name}: tsc found the errors above`);
  const missing = pack.entries.flatMap((e) => [e.output, e.types]).filter((path) => !existsSync(join(pack.dir, path)));
  if (missing.length) throw new Error(`${pack.name}: the build made no ${missing.join(', ')}`);
  copyFileSync(join(root, 'LICENSE'), join(pack.dir, 'LICENSE'));
}

const broken = await withLock('build', async () => {
  mkdirSync(stamps, { recursive: true });
  /** @type {Map<string, string>} */
  const done = new Map();
  /** @type {string[]} */
  const failed = [];
  for (const pack of packages()) {
    const hash = inputHash(pack, done);
    done.set(pack.name, hash);
    if (!force && isBuilt(pack, hash)) continue;
    const started = performance.now();
    rmSync(join(stamps, pack.id), { force: true });
    try {
      // What stands on a package that failed would only repeat its errors.
      const below = pack.siblings.filter((name) => failed.includes(name));
      if (below.length) throw new Error(`${pack.name}: needs ${below.join(', ')}`);
      await build(pack);
      writeFileSync(join(stamps, pack.id), hash);
      console.log(`built ${pack.name} in ${Math.round(performance.now() - started)} ms`);
    } catch (error) {
      console.error(`build failed: ${error.message}`);
      failed.push(pack.name);
    }
  }
  return failed;
});
if (broken.length) process.exit(1);
