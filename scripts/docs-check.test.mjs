// Catches: a check of the documentation that lets a broken link, a stale block of code or an empty shelf pass.
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { root } from './packages.mjs';

/** @type {string[]} */
const made = [];
afterAll(() => {
  for (const dir of made) rmSync(dir, { recursive: true });
});

const example = '// #region main\nfunction f() {\n  // #region inner\n  go();\n  // #endregion\n}\n// #endregion\n';
const block = '<!-- from: examples/x.ts#main -->\n```ts\nfunction f() {\n  go();\n}\n```\n';

/** @param {Record<string, string>} files @param {string[]} options */
function check(files, ...options) {
  const dir = mkdtempSync(join(tmpdir(), 'docs-check-'));
  made.push(dir);
  for (const [path, text] of Object.entries({ 'examples/x.ts': example, ...files })) {
    mkdirSync(dirname(join(dir, path)), { recursive: true });
    writeFileSync(join(dir, path), text);
  }
  const args = [join(root, 'scripts/docs-check.mjs'), ...options, dir];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  const all = (stdout + stderr).split('\n');
  // A temporary tree has no policies at all.
  return {
    dir,
    status,
    problems: all.filter((line) => line && !line.includes('shelf') && !line.startsWith('docs-check:')),
    all,
  };
}

test('whole links and equal code pass', () => {
  const { problems } = check({
    'README.md': `[a](docs/a.md) [b](docs/a.md#two-words) [c](#top) [d](https://example.org)\n\n# Top\n\n${block}`,
    'docs/a.md': '# A\n\n## Two `words`!\n\n```md\n[not a link](nowhere.md)\n```\n',
  });
  expect(problems).toEqual([]);
});

test.each([
  ['a missing file', '[a](docs/missing.md)', 'link to docs/missing.md leads nowhere'],
  ['a missing heading', '[a](#missing)', 'there is no such heading'],
  ['a link by reference', '[a]: docs/missing.md', 'leads nowhere'],
  ['a path out of the repository', '[a](../../x.md)', 'leads out'],
  ['code that differs', block.replace('go()', 'stop()'), 'differs from the file'],
  ['a region that is not there', block.replace('#main', '#other'), 'no such file or region'],
  ['a file that is not there', block.replace('x.ts', 'y.ts'), 'no such file or region'],
  ['a comment without code', '<!-- from: examples/x.ts -->\n\nText.', 'without a code block'],
])('%s is a problem', (_, page, message) => {
  const { status, problems } = check({ 'docs/a.md': `${page}\n` });
  expect(problems.join('\n')).toContain(message);
  expect(status).toBe(1);
});

test('--write puts the code of the file into the page', () => {
  const { dir } = check({ 'docs/a.md': `${block.replace('go()', 'stop()')}` }, '--write');
  expect(readFileSync(join(dir, 'docs/a.md'), 'utf8')).toBe(block);
});

test('an empty shelf is a problem', () => {
  const { status, all } = check({ 'packages/policies/src/retry/retry.ts': '' });
  expect(all).toContain('retry: the shelf packages/policies/src/retry/retry.test.ts is empty');
  expect(all).toContain('retry: the shelf docs/policies/retry.md is empty');
  expect(all).not.toContain('retry: the shelf packages/policies/src/retry/retry.ts is empty');
  expect(status).toBe(1);
});

test('a generator that finds a difference is a problem', () => {
  const { problems } = check({ 'scripts/generate-docs.mjs': 'process.exit(1);' });
  expect(problems.join('\n')).toContain('generated pages');
});
