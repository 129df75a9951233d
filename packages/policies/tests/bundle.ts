/** @module Scripts that run in processes of their own, without this repository's tools. */
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

/** Makes a script of a module of `tests/`. Engines stay beside it, as users have them. */
export async function bundle(name: string): Promise<{ script: string; remove(): Promise<void> }> {
  // Inside the package, so that it finds them.
  const dir = await mkdtemp(here('../.test-child-'));
  const script = join(dir, 'child.mjs');
  await build({
    entryPoints: [here(`./${name}.ts`)],
    outfile: script,
    bundle: true,
    format: 'esm',
    platform: 'node',
    external: ['ioredis'],
    alias: { '@fairlead/core': here('../../core/src/index.ts') },
  });
  return { script, remove: () => rm(dir, { recursive: true }) };
}
