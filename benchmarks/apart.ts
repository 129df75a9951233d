/** @module What a benchmark keeps apart from itself: its servers, in other processes, and the cores that all of them run on. */
import { type ChildProcess, fork, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

/** A server in a process of its own. */
export interface Apart<T> {
  readonly process: ChildProcess;
  readonly pid: number;
  /** What it said when it was ready. */
  readonly ready: T;
}

/** Starts a module of this folder on core 0, and moves this process to core 1. It ends with this process. */
export async function startApart<T>(module: string, ...args: string[]): Promise<Apart<T>> {
  const process_ = fork(fileURLToPath(new URL(module, import.meta.url)), args);
  const failed = once(process_, 'exit').then(([code]) => {
    throw new Error(`${module} ended with ${code} before it was ready`);
  });
  const [ready] = (await Promise.race([once(process_, 'message'), failed])) as [T];
  failed.catch(() => {});
  const pid = process_.pid as number;
  pin(pid, 0);
  pin(process.pid, 1);
  return { process: process_, pid, ready };
}

/** Keeps a process, all of its threads, on one core where the system can do that. */
export function pin(pid: number, core: number): void {
  spawnSync('taskset', ['-acp', String(core), String(pid)], { stdio: 'ignore' });
}
