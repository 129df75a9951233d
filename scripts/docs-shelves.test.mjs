// Catches: a policy whose source, tests, page, example or benchmark is missing, or that nobody has put on the list.
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeEach, expect, test } from 'vitest';
import { checkShelves } from './docs-shelves.mjs';
import { root } from './packages.mjs';

const copy = mkdtempSync(join(tmpdir(), 'docs-shelves-'));
afterAll(() => rmSync(copy, { recursive: true }));

const bench = 'benchmarks/layers.bench.ts';
beforeEach(() => {
  for (const path of ['packages/policies/src', 'docs/policies', 'examples', bench]) {
    mkdirSync(dirname(join(copy, path)), { recursive: true });
    cpSync(join(root, path), join(copy, path), { recursive: true });
  }
});

/** @param {string} path @param {(text: string) => string} change */
function edit(path, change) {
  const before = readFileSync(join(copy, path), 'utf8');
  const after = change(before);
  expect(after).not.toBe(before);
  writeFileSync(join(copy, path), after);
}

test('every shelf of this repository is filled', () => {
  expect(checkShelves(copy)).toEqual([]);
});

test.each([
  'packages/policies/src/breaker/breaker.ts',
  'packages/policies/src/breaker/breaker.test.ts',
  'docs/policies/breaker.md',
  'examples/breaker.ts',
])('%s is missed', (path) => {
  rmSync(join(copy, path));
  expect(checkShelves(copy)).toEqual([`breaker: the shelf ${path} is empty`]);
});

test('an example is missed by every policy that it shows', () => {
  rmSync(join(copy, 'examples/retry.ts'));
  const problem = 'the shelf examples/retry.ts is empty';
  expect(checkShelves(copy)).toEqual([`retry: ${problem}`, `retry-budget: ${problem}`]);
});

test('a benchmark is missed by name', () => {
  edit(bench, (text) => text.replaceAll("'breaker: ", "'circuit: "));
  expect(checkShelves(copy)).toEqual([`breaker: the shelf ${bench} has no case of the name 'breaker: …'`]);
  rmSync(join(copy, bench));
  expect(checkShelves(copy).length).toBeGreaterThan(5);
});

test('a policy that is on no list is told', () => {
  edit('packages/policies/src/index.ts', (text) => `${text}export { bulkhead } from './bulkhead/bulkhead.js';\n`);
  expect(checkShelves(copy)).toEqual(['bulkhead/bulkhead: no shelf is known for it; add it to docs-shelves.mjs']);
});
