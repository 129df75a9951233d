/** Would catch a real process that does not stop on a real signal, stops too early, or with an exit code of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { ask, Wire } from '../tests/harness.js';

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
let dir: string;
let script: string;
const children: ChildProcess[] = [];

beforeAll(async () => {
  // Inside the package, so that the bundle finds what it leaves outside.
  dir = await mkdtemp(here('../.drain-child-'));
  script = join(dir, 'child.mjs');
  await build({
    entryPoints: [here('../tests/drain-child.ts')],
    outfile: script,
    bundle: true,
    format: 'esm',
    platform: 'node',
    external: ['express'],
    alias: { '@fairlead/core': here('../../core/src/index.ts') },
  });
});
afterAll(() => rm(dir, { recursive: true }));
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
});

/** What a child has printed, and a way to wait for more of it. */
class Child {
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

const start = (...args: string[]): Child => new Child(spawn(process.execPath, [script, ...args]));

// Real processes start in real time, which on a busy machine is seconds.
describe('a real process', { timeout: 30_000 }, () => {
  it('drains on SIGTERM, found by its middleware alone, and dies of the signal', async () => {
    const child = start('300');
    const port = Number(await child.prints(/port (\d+)/));
    expect((await ask(port)).body).toBe('ok');
    const silent = await Wire.open(port);
    child.process.kill('SIGTERM');
    let connection: string | undefined;
    // The signal arrives in its own time, well within the delay.
    while (connection !== 'close') connection = (await ask(port)).headers.connection;
    expect(await child.exited).toEqual({ code: null, signal: 'SIGTERM' });
    expect(child.output).toContain('cleaned up');
    await silent.closed;
  });

  it('has exit code 143 for whoever asks a shell', async () => {
    const child = new Child(
      spawn('sh', ['-c', '"$0" "$@" & echo "pid $!"; wait $!; echo "code $?"', process.execPath, script, '0']),
    );
    const pid = Number(await child.prints(/pid (\d+)/));
    await child.prints(/port (\d+)/);
    process.kill(pid, 'SIGTERM');
    await child.exited;
    expect(child.output).toContain('code 143');
  });

  it('stops at once at the second signal', async () => {
    const child = start('20000');
    const port = Number(await child.prints(/port (\d+)/));
    const wire = await Wire.open(port);
    wire.get('/hang');
    await child.prints(/hanging/);
    child.process.kill('SIGTERM');
    while ((await ask(port)).headers.connection !== 'close');
    child.process.kill('SIGTERM');
    expect(await child.exited).toEqual({ code: null, signal: 'SIGTERM' });
    await wire.closed;
  });

  it('leaves the end to a listener of the application', async () => {
    const child = start('0', 'own-listener');
    await child.prints(/port (\d+)/);
    child.process.kill('SIGTERM');
    expect(await child.exited).toEqual({ code: 7, signal: null });
    expect(child.output.match(/own listener/g)).toHaveLength(1);
  });
});
