// Catches: a ban on real time or chance in biome.json or clock-ban.grit that stopped working, or works where it should not.
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { root } from './packages.mjs';

const biome = join(root, 'node_modules/@biomejs/biome/bin/biome');
const dir = mkdtempSync(join(tmpdir(), 'clock-ban-'));
afterAll(() => rmSync(dir, { recursive: true }));

for (const path of ['biome.json', '.gitignore', 'scripts/clock-ban.grit']) {
  mkdirSync(dirname(join(dir, path)), { recursive: true });
  copyFileSync(join(root, path), join(dir, path));
}

/** What the linter says about one file. @param {string} path @param {string} text */
function lint(path, text) {
  const file = join(dir, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, `${text}\n`);
  const { status, stdout, stderr } = spawnSync(process.execPath, [biome, 'lint', path], { cwd: dir, encoding: 'utf8' });
  rmSync(file);
  return { status, output: (stdout + stderr).replace(/\s+/g, ' ') };
}

const bans = [
  ['export const a = setTimeout(() => {}, 1);', 'no test could own this timer'],
  ['export const a = setInterval(() => {}, 1);', 'no test could own this timer'],
  ['export const a = setImmediate(() => {});', 'no test could own this turn'],
  ['export const a = globalThis.setTimeout(() => {}, 1);', 'could not own this timer'],
  ["import { setTimeout as sleep } from 'node:timers/promises';\nawait sleep(1);", 'use the clock'],
  ['export const a = AbortSignal.timeout(1);', 'could not own this timer'],
  ['export const a = Date.now();', 'Real time'],
  ['export const a = new Date();', 'Real time'],
  ['export const a = performance.now();', 'Real time'],
  ['export const a = process.hrtime.bigint();', 'Real time'],
  ['export const a = Math.random();', 'Real chance'],
];

test.each(bans)('refused with its reason: %s', (text, reason) => {
  const { status, output } = lint('packages/policies/src/a.ts', text);
  expect(output).toContain(reason);
  expect(status).toBe(1);
});

test('tests are under the ban too', () => {
  expect(lint('packages/policies/src/a.test.ts', 'export const a = Date.now();').status).toBe(1);
});

const all = 'export const a = [Date.now(), performance.now(), Math.random(), setTimeout(() => {}, 1)];';
test.each(['packages/core/src/clock.ts', 'benchmarks/a.bench.ts', 'examples/a.ts', 'scripts/a.mjs'])(
  '%s may read the real clock',
  (path) => expect(lint(path, all)).toMatchObject({ status: 0 }),
);

test('a date that is given and a clock that is asked are fine', () => {
  const text = 'export const a = (clock: { now(): number }) => [new Date(5), clock.now()];';
  expect(lint('packages/policies/src/a.ts', text)).toMatchObject({ status: 0 });
});
