// Loads every import of every packed package in an otherwise empty project, on every supported Node, by import and by
// require; runs the README's first example there; and compiles a program that uses all of their types.
import { spawnSync } from 'node:child_process';
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { withInstalled } from './installed.mjs';
import { supportedNodes } from './node-versions.mjs';
import { packages, root } from './packages.mjs';
import { assertProjectNode } from './project-node.mjs';
import { readmePrograms } from './readme-example.mjs';

assertProjectNode();
const { devDependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const imports = packages().flatMap((pack) =>
  pack.entries.filter((entry) => entry.subpath).map((entry) => ({ pack, ...entry })),
);
let failed = 0;

await withInstalled([`@types/node@${devDependencies['@types/node']}`], (folder) => {
  copyFileSync(join(root, 'scripts/smoke-load.mjs'), join(folder, 'smoke-load.mjs'));
  const programs = Object.entries(readmePrograms());
  for (const [name, code] of programs) writeFileSync(join(folder, name), code);
  for (const { version, node } of supportedNodes()) {
    let loaded = 0;
    for (const entry of imports) {
      for (const first of ['import', 'require']) loaded += load(node, folder, entry, first) ? 1 : 0;
    }
    const wanted = imports.length * 2;
    failed += wanted - loaded;
    const ran = programs.filter(([name]) => runs(node, folder, name)).length;
    failed += programs.length - ran;
    console.log(
      `Node ${version}: ${loaded} of ${wanted} loads as they should be; ` +
        `the README's example ran ${ran} of ${programs.length} times, by import and by require`,
    );
  }
  if (!compiles(folder)) failed++;
});
console.log(failed ? `smoke: ${failed} failures` : 'smoke: all well');
process.exitCode = failed ? 1 : 0;

/** @param {string} node @param {string} folder @param {(typeof imports)[number]} entry @param {string} first */
function load(node, folder, entry, first) {
  const args = ['smoke-load.mjs', entry.specifier, first];
  if (wantsExports(entry)) args.push('exports');
  const { status, stdout, stderr } = spawnSync(node, args, { cwd: folder, encoding: 'utf8', timeout: 30_000 });
  // A warning at import, such as the one on an experimental feature, is a defect for a library.
  if (status === 0 && stdout + stderr === '') return true;
  console.error(`${entry.specifier}, ${first} first: exit ${status}\n${stdout}${stderr}`);
  return false;
}

/** @param {string} node @param {string} folder @param {string} program */
function runs(node, folder, program) {
  const { status, stdout, stderr } = spawnSync(node, [program], { cwd: folder, encoding: 'utf8', timeout: 30_000 });
  if (status === 0 && stderr === '' && stdout.includes("path: '/charges/42'")) return true;
  console.error(`${program}: exit ${status}\n${stdout}${stderr}`);
  return false;
}

/** A module of side effects exports nothing, and neither does one nobody has written yet. @param {(typeof imports)[number]} entry */
function wantsExports({ pack, output, source }) {
  const effects = pack.manifest.sideEffects;
  const forEffects = Array.isArray(effects) && effects.includes(`./${output}`);
  const code = readFileSync(join(pack.dir, source), 'utf8').replace(/\/\*[\s\S]*?\*\//g, '');
  return !forEffects && code.trim() !== 'export {};';
}

/** Whether the shipped types hold up in a strict program that skips no check of theirs. @param {string} folder */
function compiles(folder) {
  const program = imports.map((entry, i) => `export * as all${i} from '${entry.specifier}';`).join('\n');
  writeFileSync(join(folder, 'user.ts'), `${program}\n`);
  const options = { module: 'nodenext', target: 'es2023', lib: ['es2024', 'esnext.disposable'], types: ['node'] };
  writeFileSync(
    join(folder, 'tsconfig.json'),
    JSON.stringify({ compilerOptions: { ...options, strict: true, noEmit: true }, files: ['user.ts'] }),
  );
  const tsc = join(root, 'node_modules/typescript/bin/tsc');
  const { status, stdout } = spawnSync(process.execPath, [tsc, '-p', folder], { cwd: folder, encoding: 'utf8' });
  console.log(status === 0 ? 'types: a strict program with all imports compiles' : `types:\n${stdout}`);
  return status === 0;
}
