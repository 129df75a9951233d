/** @module A real cluster of redis-servers for the tests that are about one: nodes that fail soon, and slots that move. */
import { once } from 'node:events';
import { sleep, systemClock } from '@fairlead/core';
import { Cluster } from 'ioredis';
import { freePort, RedisServer } from './redis-server.js';

const SLOTS = 16_384;

/** A node of a cluster. */
interface Node {
  readonly server: RedisServer;
  readonly busPort: number;
}

/** Three masters that share the slots, and replicas that are asked for. */
export class RedisCluster {
  readonly #nodes: Node[] = [];
  #client: Cluster | null = null;

  async start(): Promise<void> {
    for (let i = 0; i < 3; i++) this.#nodes.push(await startNode());
    const { length } = this.#nodes;
    for (const [i, { server }] of this.#nodes.entries()) {
      const [from, to] = [i, i + 1].map((part) => Math.floor((part * SLOTS) / length)) as [number, number];
      await server.client.call('CLUSTER', 'SET-CONFIG-EPOCH', i + 1);
      await server.client.call('CLUSTER', 'ADDSLOTSRANGE', from, to - 1);
    }
    for (const node of this.#nodes.slice(1)) await this.#meet(node);
    await this.#complete(this.#nodes);
    this.#client = new Cluster([{ port: this.#first.server.port, host: '127.0.0.1' }], {
      clusterRetryStrategy: () => 5,
    });
    this.#client.on('error', () => {});
    await once(this.#client, 'ready');
  }

  get client(): Cluster {
    if (this.#client === null) throw new Error('the cluster was not started');
    return this.#client;
  }

  get servers(): readonly RedisServer[] {
    return this.#nodes.map(({ server }) => server);
  }

  /** The master that keeps `key`. */
  async masterOf(key: string): Promise<RedisServer> {
    const slot = await this.#first.server.client.cluster('KEYSLOT', key);
    for (const { server } of this.#nodes) {
      const slots = await server.client.cluster('SLOTS');
      const master = slots.find(([from, to]) => from <= slot && slot <= to)?.[2] as [string, number] | undefined;
      if (master?.[1] === server.port) return server;
    }
    throw new Error(`nobody keeps ${key}`);
  }

  /** Moves the slot of `key`, with all that is in it, from its master to another one. */
  async move(key: string): Promise<void> {
    const from = await this.masterOf(key);
    const to = this.servers.find((server) => server !== from) as RedisServer;
    const slot = await from.client.cluster('KEYSLOT', key);
    const [fromId, toId] = [await from.client.cluster('MYID'), await to.client.cluster('MYID')];
    await to.client.cluster('SETSLOT', slot, 'IMPORTING', fromId);
    await from.client.cluster('SETSLOT', slot, 'MIGRATING', toId);
    for (;;) {
      const keys = await from.client.cluster('GETKEYSINSLOT', slot, 100);
      if (keys.length === 0) break;
      await from.client.call('MIGRATE', '127.0.0.1', to.port, '', 0, 1_000, 'KEYS', ...keys);
    }
    for (const { client } of [to, from, ...this.servers]) await client.cluster('SETSLOT', slot, 'NODE', toId);
  }

  /** Adds a replica, in step with `master`. */
  async replicate(master: RedisServer): Promise<RedisServer> {
    const node = await startNode();
    this.#nodes.push(node);
    await this.#meet(node);
    await this.#complete([node]);
    const { client } = node.server;
    const id = await master.client.cluster('MYID');
    while (!String(await client.cluster('NODES')).includes(id)) await sleep(systemClock, 20);
    await client.call('CLUSTER', 'REPLICATE', id);
    while (!String(await client.info('replication')).includes('master_link_status:up')) await sleep(systemClock, 20);
    return node.server;
  }

  async close(): Promise<void> {
    this.#client?.disconnect();
    await Promise.all(this.servers.map((server) => server.close()));
  }

  get #first(): Node {
    return this.#nodes[0] as Node;
  }

  async #meet({ server, busPort }: Node): Promise<void> {
    await this.#first.server.client.call('CLUSTER', 'MEET', '127.0.0.1', server.port, busPort);
  }

  /** They say nothing when they are complete, so they are asked until they are. */
  async #complete(nodes: readonly Node[]): Promise<void> {
    for (const { server } of nodes) {
      for (;;) {
        const info = String(await server.client.call('CLUSTER', 'INFO'));
        if (info.includes('cluster_state:ok') && info.includes(`cluster_known_nodes:${this.#nodes.length}`)) break;
        await sleep(systemClock, 20);
      }
    }
  }
}

async function startNode(): Promise<Node> {
  const busPort = await freePort();
  const server = new RedisServer([
    ...['--cluster-enabled', 'yes', '--cluster-port', String(busPort), '--cluster-announce-ip', '127.0.0.1'],
    // A node is missed soon, and the others go on without it.
    ...['--cluster-node-timeout', '1000', '--cluster-require-full-coverage', 'no', '--repl-diskless-sync-delay', '0'],
  ]);
  await server.start();
  return { server, busPort };
}
