/** @module Real processes that a test starts, tells something, and hears from. */
import type { ChildProcess } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

/** Makes a script of a module of `tests/` that runs without this repository's tools. */
export async function bundle(name: string): Promise<{ script: string; remove(): Promise<void> }> {
  // Inside the package, so that the bundle finds what it leaves outside.
  const dir = await mkdtemp(here('../.drain-child-'));
  const script = join(dir, 'child.mjs');
  await build({
    entryPoints: [here(`./${name}.ts`)],
    outfile: script,
    bundle: true,
    format: 'esm',
    platform: 'node',
    external: ['express'],
    alias: { '@fairlead/core': here('../../core/src/index.ts') },
  });
  return { script, remove: () => rm(dir, { recursive: true }) };
}

const children: ChildProcess[] = [];

/** For `afterEach`. */
export function killChildren(): void {
  for (const child of children.splice(0)) child.kill('SIGKILL');
}

/** What a child has printed, and a way to wait for more of it. */
export class Child {
  output = '';
  readonly exited: Promise<{ code: number | null; signal: string | null }>;
  #waiting: (() => void) | null = null;

  constructor(readonly process: ChildProcess) {
    children.push(process);
    for (const stream of [process.stdout, process.stderr]) {
      stream?.on('data', (chunk: Buffer) => {
        this.output += chunk.toString();
        this.#waiting?.();
      });
    }
    this.exited = new Promise((resolve) =>
      process.on('close', (code, signal) => {
        this.#waiting?.();
        resolve({ code, signal });
      }),
    );
  }

  async prints(pattern: RegExp): Promise<string> {
    for (;;) {
      const match = pattern.exec(this.output);
      if (match !== null) return match[1] ?? match[0];
      if (this.process.exitCode !== null) throw new Error(`exited without ${pattern}; printed ${this.output}`);
      await new Promise<void>((resolve) => {
        this.#waiting = resolve;
      });
    }
  }
}
