// The public API of every package as text that is tracked, so that a change of it shows in the diff of a commit.
// `npm run api` fails when a report differs, `npm run api -- --update` rewrites the reports.
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { Extractor, ExtractorConfig } from '@microsoft/api-extractor';
import { packages, root } from './packages.mjs';
import { assertProjectNode } from './project-node.mjs';

assertProjectNode();
const update = process.argv.includes('--update');
const scratch = mkdtempSync(join(tmpdir(), 'fairlead-api-'));

/** packages/core/api.md, and packages/fairlead/api.express.md for a subpath. @param {string} subpath */
const reportName = (subpath) => (subpath === '.' ? 'api.md' : `api.${subpath.slice(2).replaceAll('/', '.')}.md`);

/** @param {import('./packages.mjs').Package} pack @param {import('./packages.mjs').Entry} entry */
function report(pack, entry) {
  const problems = [];
  const config = ExtractorConfig.prepare({
    configObject: {
      projectFolder: pack.dir,
      mainEntryPointFilePath: join(pack.dir, entry.types),
      compiler: { overrideTsconfig: compilerOptions },
      apiReport: {
        enabled: true,
        reportFileName: 'report',
        reportFolder: scratch,
        reportTempFolder: scratch,
        includeForgottenExports: true,
      },
      docModel: { enabled: false },
      dtsRollup: { enabled: false },
      tsdocMetadata: { enabled: false },
      newlineKind: 'lf',
    },
    configObjectFullPath: undefined,
    packageJsonFullPath: join(pack.dir, 'package.json'),
  });
  const result = Extractor.invoke(config, {
    localBuild: true,
    showVerboseMessages: false,
    messageCallback(message) {
      message.handled = true;
      if (message.category === 'Compiler') problems.push(message.formatMessageWithLocation(root));
    },
  });
  if (problems.length) throw new Error(`${entry.specifier}: ${problems.join('\n')}`);
  return normalize(readFileSync(result.extractorConfig.reportFilePath, 'utf8'));
}

const compilerOptions = {
  compilerOptions: {
    target: 'es2023',
    module: 'nodenext',
    moduleResolution: 'nodenext',
    lib: ['es2024', 'esnext.disposable'],
    types: ['node'],
    strict: true,
    skipLibCheck: true,
  },
};

/** What remains is only about the API: no notice on how to edit it, no remarks on its documentation comments. @param {string} text */
function normalize(text) {
  return text
    .split('\n')
    .filter((line) => !/^\/\/ (Warning|\(undocumented\)|\(No @packageDocumentation)|^> Do not edit/.test(line.trim()))
    .join('\n')
    .replace(/\n{3,}/g, '\n\n');
}

let differing = 0;
let total = 0;
for (const pack of packages()) {
  const names = new Set();
  for (const entry of pack.entries.filter((candidate) => candidate.subpath)) {
    const file = join(pack.dir, reportName(entry.subpath));
    names.add(reportName(entry.subpath));
    total++;
    const now = report(pack, entry);
    const before = existsSync(file) ? readFileSync(file, 'utf8') : '';
    if (now === before) continue;
    differing++;
    if (update) writeFileSync(file, now);
    console.log(`${update ? 'rewritten' : 'differs'}: ${relative(root, file)}`);
    if (!update) printDifference(before, now);
  }
  // A report of a subpath that is gone would be read as if it were still there.
  for (const name of readdirSync(pack.dir).filter((name) => /^api(\..+)?\.md$/.test(name) && !names.has(name))) {
    differing++;
    if (update) rmSync(join(pack.dir, name));
    console.log(`${update ? 'removed' : 'left over'}: packages/${pack.id}/${name}`);
  }
}
rmSync(scratch, { recursive: true });

if (differing && !update) {
  console.error(
    'The API differs from its report. If that is meant, run "npm run api -- --update" and commit the reports.',
  );
  process.exitCode = 1;
} else {
  console.log(`api: ${total} reports, ${differing} ${update ? 'rewritten' : 'differ'}`);
}

/** Lines that came and went: enough to see what happened. @param {string} before @param {string} now */
function printDifference(before, now) {
  const [old, current] = [new Set(before.split('\n')), new Set(now.split('\n'))];
  for (const line of old) if (!current.has(line)) console.log(`  - ${line}`);
  for (const line of current) if (!old.has(line)) console.log(`  + ${line}`);
}
