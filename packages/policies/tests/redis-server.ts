/** @module A real redis-server for the tests that are about one: it can be killed, frozen and started again. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';

/** Whether there is a redis-server to run. Says aloud if not: a missing server must not look like a passed test. */
export function redisInstalled(test: string): boolean {
  try {
    execFileSync('redis-server', ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    console.warn(`${test}: skipped, there is no redis-server; install it with: apt-get install redis-server`);
    return false;
  }
}

/** A server on a port of its own, and one client of it that only looks. */
export class RedisServer {
  readonly #folder = mkdtempSync(join(tmpdir(), 'fairlead-pace-'));
  #process: ChildProcess | null = null;
  #client: Redis | null = null;
  readonly #options: readonly string[];
  port = 0;

  /** @param options of the command line, beside those that every server here has */
  constructor(options: readonly string[] = []) {
    this.#options = options;
  }

  /** Starts it, empty; again on the same port if it ran before. */
  async start(): Promise<void> {
    const again = this.port !== 0;
    for (let tries = 0; tries < 5; tries++) {
      if (!again) this.port = await freePort();
      const args = [
        '--port',
        String(this.port),
        '--bind',
        '127.0.0.1',
        '--dir',
        this.#folder,
        '--save',
        '',
        ...this.#options,
      ];
      const child = spawn('redis-server', args, { stdio: ['ignore', 'pipe', 'ignore'] });
      if (!(await saysReady(child))) continue;
      this.#process = child;
      // A test that times out does not get to close anything.
      process.once('exit', () => child.kill('SIGKILL'));
      return;
    }
    throw new Error(`redis-server does not start on port ${this.port}`);
  }

  get client(): Redis {
    if (this.#client === null) {
      this.#client = new Redis(this.port, '127.0.0.1', { retryStrategy: () => 5 });
      this.#client.on('error', () => {});
    }
    return this.#client;
  }

  /** Connections beside that of {@link client}. */
  async connections(): Promise<number> {
    return (
      String(await this.client.call('CLIENT', 'LIST'))
        .trim()
        .split('\n').length - 1
    );
  }

  /** Stops it in its tracks, connections open. It has stopped when this returns. */
  freeze(): void {
    const pid = this.#process?.pid;
    this.#process?.kill('SIGSTOP');
    // The kernel's word for it: `T` after the name, which is in parentheses.
    while (pid !== undefined && !/\) T/.test(readFileSync(`/proc/${pid}/stat`, 'utf8')));
  }

  /** Lets it go on. */
  thaw(): void {
    this.#process?.kill('SIGCONT');
  }

  async kill(): Promise<void> {
    const child = this.#process;
    this.#process = null;
    if (child === null) return;
    child.kill('SIGKILL');
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  }

  async close(): Promise<void> {
    this.#client?.disconnect();
    await this.kill();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}

function saysReady(child: ChildProcess): Promise<boolean> {
  return new Promise((resolve) => {
    let said = '';
    child.stdout?.on('data', (chunk: Buffer) => {
      said += chunk.toString();
      if (said.includes('Ready to accept connections')) resolve(true);
    });
    child.once('exit', () => resolve(false));
    child.once('error', () => resolve(false));
  });
}
