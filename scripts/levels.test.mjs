// Catches: a rule of .dependency-cruiser.mjs that no longer sees the violation it was written for.
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { root } from './packages.mjs';

/** @type {string[]} */
const made = [];
afterAll(() => {
  for (const dir of made.splice(0)) rmSync(dir, { recursive: true });
});

/** A small repository with the given sources, and what `levels` says about it. @param {Record<string, string>} files */
function levels(files) {
  const dir = mkdtempSync(join(tmpdir(), 'levels-'));
  made.push(dir);
  const all = {
    'package.json': '{"private":true,"devDependencies":{"p-retry":"*"}}',
    'tsconfig.json': JSON.stringify({
      compilerOptions: {
        module: 'nodenext',
        paths: { '@fairlead/*': ['./packages/*/src/index.ts'], fairlead: ['./packages/fairlead/src/index.ts'] },
      },
    }),
    'packages/core/src/index.ts': 'export interface Call {}\nexport const call = 1;\n',
    'packages/balance/src/index.ts': 'export interface Node {}\nexport const node = 1;\n',
    'packages/testing/src/index.ts': 'export const virtual = 1;\n',
    'packages/policies/src/index.ts': "import { call } from '@fairlead/core';\nexport const retry = call;\n",
    'packages/fairlead/src/index.ts':
      "export { retry } from '@fairlead/policies';\nexport { node } from '@fairlead/balance';\n",
    ...files,
  };
  for (const id of ['core', 'balance', 'testing', 'policies', 'fairlead']) {
    all[`packages/${id}/package.json`] ??= JSON.stringify({ name: id, dependencies: { undici: '*' } });
  }
  for (const [path, text] of Object.entries(all)) {
    mkdirSync(dirname(join(dir, path)), { recursive: true });
    writeFileSync(join(dir, path), text);
  }
  symlinkSync(join(root, 'node_modules'), join(dir, 'node_modules'));
  const result = spawnSync(process.execPath, [join(root, 'scripts/levels.mjs'), dir], { encoding: 'utf8' });
  return { status: result.status, output: result.stdout + result.stderr };
}

test('a tree that keeps the rules passes', () => {
  const { status, output } = levels({
    'packages/policies/src/retry.test.ts': "import { virtual } from '@fairlead/testing';\nvirtual;\n",
    'packages/policies/src/dispatch.ts': "import { request } from 'undici';\nrequest;\n",
  });
  expect(output).toContain(' 0 violations');
  expect(status).toBe(0);
});

const planted = [
  ['core-imports-nothing', 'core/src/type.ts', "import type { Node } from '@fairlead/balance';\nexport type A = Node;"],
  ['core-imports-nothing', 'core/src/vendor.ts', "import { request } from 'undici';\nrequest;"],
  ['parts-import-core-only', 'policies/src/value.ts', "import { node } from '@fairlead/balance';\nnode;"],
  [
    'parts-import-core-only',
    'policies/src/type.ts',
    "import type { Node } from '@fairlead/balance';\nexport type A = Node;",
  ],
  ['parts-import-core-only', 'testing/src/up.ts', "import { retry } from 'fairlead';\nretry;"],
  [
    'part-tests-import-core-and-testing-only',
    'policies/src/a.test.ts',
    "import { node } from '@fairlead/balance';\nnode;",
  ],
  ['assembly-ships-without-testing', 'fairlead/src/a.ts', "import { virtual } from '@fairlead/testing';\nvirtual;"],
  ['through-the-front-door', 'policies/src/path.ts', "import { call } from '../../core/src/index.js';\ncall;"],
  ['declared-dependencies-only', 'policies/src/undeclared.ts', "import retry from 'p-retry';\nretry;"],
  ['resolvable', 'policies/src/nowhere.ts', "import { x } from './missing.js';\nx;"],
  ['no-cycle', 'core/src/a.ts', "import type { B } from './b.js';\nexport interface A { b: B }"],
];

describe('a tree with one violation of each kind', () => {
  /** @type {ReturnType<typeof levels>} */
  let result;
  beforeAll(() => {
    const files = Object.fromEntries(planted.map(([, path, text]) => [`packages/${path}`, `${text}\n`]));
    // The other half of the cycle, which is reported once, from its first module.
    files['packages/core/src/b.ts'] = "import type { A } from './a.js';\nexport interface B { a: A }\n";
    result = levels(files);
  });

  test('fails', () => expect(result.status).toBe(1));
  test.each(planted)('%s: %s', (rule, path) => {
    expect(result.output).toContain(`${rule}: packages/${path}`);
  });
});
