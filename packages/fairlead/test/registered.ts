/** @module Processes that begin with the built `fairlead/register`, as those of users do, and a server for them. */
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { afterAll, beforeAll } from 'vitest';

/** The built module. */
export const register: URL = new URL('../dist/register.js', import.meta.url);

/** Whether it is there. */
export const built: boolean = existsSync(fileURLToPath(register));
if (!built) console.warn('register is not tested: packages/fairlead/dist is missing; npm run build makes it');

/** A server for the tests of a file, which says `seen` and the path. Ask for its origin within a test. */
export function pathServer(): () => string {
  let server: Worker;
  let origin = '';
  beforeAll(async () => {
    // In a thread of its own: the children are waited for synchronously.
    server = new Worker(
      `const { createServer } = require('node:http');
       const { parentPort } = require('node:worker_threads');
       const server = createServer((request, response) => response.end('seen ' + request.url));
       server.listen(0, '127.0.0.1', () => parentPort.postMessage(server.address().port));`,
      { eval: true },
    );
    const [port] = await once(server, 'message');
    origin = `http://127.0.0.1:${port}`;
  });
  afterAll(() => server.terminate());
  return () => origin;
}

/** How a process ended, and what it said. */
export interface Ended {
  readonly status: number | null;
  readonly out: string;
  readonly err: string;
}

/** Runs `code`, a module, with `args` before it and no environment but `env`. */
export function run(args: readonly string[], code: string, env: Record<string, string>): Ended {
  const { status, stdout, stderr } = spawnSync(process.execPath, [...args, '--input-type=module', '--eval', code], {
    env: { PATH: process.env.PATH ?? '', ...env },
    encoding: 'utf8',
    timeout: 20_000,
  });
  return { status, out: stdout.trim(), err: stderr };
}
