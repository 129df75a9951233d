/** @module A real redis-server for the tests that are about one: it can be killed, frozen and started again. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sleep, systemClock } from '@fairlead/core';
import { Cluster, Redis, type RedisOptions } from 'ioredis';

/** Whether there is a server to run. Says aloud if not: a missing server must not look like a passed test. */
export function redisInstalled(test: string, binary = 'redis-server'): boolean {
  try {
    execFileSync(binary, ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    console.warn(`${test}: skipped, there is no ${binary}; install it with: apt-get install ${binary}`);
    return false;
  }
}

/** Which servers there are to run. */
export function serversInstalled(test: string): string[] {
  return ['redis-server', 'valkey-server'].filter((binary) => redisInstalled(test, binary));
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}

/** A server on a port of its own, and its clients. */
export class RedisServer {
  readonly #folder = mkdtempSync(join(tmpdir(), 'fairlead-redis-'));
  readonly #clients: (Redis | Cluster)[] = [];
  #process: ChildProcess | null = null;
  readonly #cluster: boolean;
  readonly #binary: string;
  port = 0;
  /** On which the nodes of a cluster talk to each other. */
  busPort = 0;

  /** @param cluster makes it a node of a cluster */
  constructor(cluster = false, binary = 'redis-server') {
    this.#cluster = cluster;
    this.#binary = binary;
  }

  /** Starts it, empty; again on the same port if it ran before. */
  async start(): Promise<void> {
    const again = this.port !== 0;
    for (let tries = 0; tries < 5; tries++) {
      if (!again) this.port = await freePort();
      const args = ['--port', String(this.port), '--bind', '127.0.0.1', '--dir', this.#folder, '--save', ''];
      if (this.#cluster) {
        this.busPort = await freePort();
        args.push('--cluster-enabled', 'yes', '--cluster-port', String(this.busPort));
        // A node that has met no other does not know its address.
        args.push('--cluster-announce-ip', '127.0.0.1');
      }
      const child = spawn(this.#binary, args, { stdio: ['ignore', 'pipe', 'ignore'] });
      if (await saysReady(child)) {
        this.#process = child;
        // A test that times out does not get to close anything.
        process.once('exit', () => child.kill('SIGKILL'));
        return;
      }
    }
    throw new Error(`${this.#binary} does not start on port ${this.port}`);
  }

  /** A client, connected. Errors of its connection are what the tests are about. */
  async client(options: RedisOptions = {}): Promise<Redis> {
    const client = new Redis(this.port, '127.0.0.1', { retryStrategy: () => 5, ...options });
    client.on('error', () => {});
    this.#clients.push(client);
    await once(client, 'ready');
    return client;
  }

  /** A client of the cluster that this node makes up with `others`, once that has found itself complete. */
  async clusterClient(others: readonly RedisServer[] = []): Promise<Cluster> {
    const nodes = [this, ...others];
    const clients = await Promise.all(nodes.map((node) => node.client()));
    for (const [i, client] of clients.entries()) {
      const [from, to] = [i, i + 1].map((part) => Math.floor((part * 16_384) / nodes.length)) as [number, number];
      await client.call('CLUSTER', 'SET-CONFIG-EPOCH', i + 1);
      await client.call('CLUSTER', 'ADDSLOTSRANGE', from, to - 1);
    }
    for (const { port, busPort } of others) await clients[0]?.call('CLUSTER', 'MEET', '127.0.0.1', port, busPort);
    // Says nothing when it is ready, so it is asked until it is: 2 s after its start at the earliest.
    const ready = async (client: Redis): Promise<boolean> => {
      const info = String(await client.call('CLUSTER', 'INFO'));
      return info.includes('cluster_state:ok') && info.includes(`cluster_known_nodes:${nodes.length}`);
    };
    for (const client of clients) while (!(await ready(client))) await sleep(systemClock, 20);
    const client = new Cluster([{ port: this.port, host: '127.0.0.1' }], { clusterRetryStrategy: () => 5 });
    client.on('error', () => {});
    this.#clients.push(client);
    await once(client, 'ready');
    return client;
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

  /** The server and every client gone, and nothing left on the disk. */
  async close(): Promise<void> {
    for (const client of this.#clients.splice(0)) client.disconnect();
    await this.kill();
    rmSync(this.#folder, { recursive: true, force: true });
  }
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
