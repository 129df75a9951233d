// Checks what would be published: what is in each tarball, its package.json, its types, its size.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { publint } from 'publint';
import { formatMessage } from 'publint/utils';
import { packages, root } from './packages.mjs';
import { assertProjectNode } from './project-node.mjs';
import { checkSizes } from './size.mjs';
import { packAll } from './tarballs.mjs';

assertProjectNode();
const folder = mkdtempSync(join(tmpdir(), 'fairlead-pack-'));
/** @type {string[]} */
const problems = [];
const attw = join(root, 'node_modules/@arethetypeswrong/cli/dist/index.js');

for (const { pack, file, files, size, unpackedSize } of packAll(folder)) {
  const before = problems.length;
  problems.push(...contents(pack, files));
  problems.push(...(await lint(pack, file)));
  problems.push(...types(pack, file));
  const verdict = problems.length === before ? 'ok' : `${problems.length - before} problems`;
  console.log(
    `${pack.name}: ${files.length} files, ${kb(size)} kB packed, ${kb(unpackedSize)} kB unpacked, ${verdict}`,
  );
}
problems.push(...(await checkSizes(packages())));
rmSync(folder, { recursive: true });

for (const problem of problems) console.error(problem);
console.log(`pack-check: ${problems.length} problems`);
process.exitCode = problems.length ? 1 : 0;

/** @param {number} bytes */
function kb(bytes) {
  return (bytes / 1000).toFixed(1);
}

/** @param {import('./packages.mjs').Package} pack @param {{ path: string }[]} files */
function contents(pack, files) {
  const allowed = /^(dist\/.+\.(js|d\.ts|js\.map)|README\.md|LICENSE|package\.json)$/;
  const paths = files.map((entry) => entry.path);
  const wanted = [
    'README.md',
    'LICENSE',
    'package.json',
    ...pack.entries.flatMap((entry) => [entry.output, entry.types]),
  ];
  return [
    ...paths
      .filter((path) => !allowed.test(path) || path.includes('.test.'))
      .map((path) => `${pack.name}: ${path} does not belong in the tarball`),
    ...wanted.filter((path) => !paths.includes(path)).map((path) => `${pack.name}: ${path} is not in the tarball`),
  ];
}

/** @param {import('./packages.mjs').Package} pack @param {string} file */
async function lint(pack, file) {
  const bytes = readFileSync(file);
  const tarball = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
  const { messages } = await publint({ strict: true, pack: { tarball } });
  return messages.map((message) => `${pack.name}: publint: ${formatMessage(message, pack.manifest, { color: false })}`);
}

/** @param {import('./packages.mjs').Package} pack @param {string} file */
function types(pack, file) {
  const args = [
    attw,
    file,
    '--profile',
    'esm-only',
    '--no-definitely-typed',
    '--format',
    'ascii',
    '--no-color',
    '--no-emoji',
  ];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  return status === 0 ? [] : [`${pack.name}: attw: ${stdout}${stderr}`];
}
